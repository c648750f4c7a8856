"""A recipe's `train`: the defaults of `zoo train`."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from zoo.schema.section import Section
from zoo.values import ClassWeights, Milestones, Range, Share, Unfreezing


class Train(Section):
    """Defaults of `zoo train`."""

    epochs: int = Field(default=20, ge=1, le=1_000_000)
    """Passes over the training split."""
    batch_size: int = Field(default=64, ge=2)
    """Pictures in a batch; several processes share them."""
    accumulate: int = Field(default=1, ge=1, le=100_000)
    """Batches whose gradients are summed before each step of the optimizer."""
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    """adamw decouples the weight decay from the gradient (Loshchilov and Hutter 2019)."""
    momentum: Share | None = None
    """Of sgd and rmsprop; left out, 0.9 for sgd and 0 for rmsprop."""
    nesterov: bool = True
    """Nesterov's form of sgd's momentum."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate at its highest."""
    schedule: Literal["cosine", "one-cycle", "step", "multi-step", "plateau", "constant"] = "cosine"
    """How the rate falls. cosine: to min_lr over the whole training, step by step. one-cycle: up
    from a 25th, then down to a 10,000th of that (Smith and Topin 2018). step: by gamma every
    step_epochs. multi-step: by gamma at each of the milestones. plateau: by gamma when the
    validation loss no longer falls."""
    warmup_epochs: Range | None = None
    """Epochs, or parts of one, over which the rate first rises from nearly nothing, evenly. Left
    out, none; for one-cycle, 0.3 of the training."""
    min_lr: Range = 0.0
    """Where cosine and plateau end."""
    step_epochs: int = Field(default=30, ge=1)
    """`step`: epochs between two drops of the rate."""
    milestones: Milestones = ()
    """`multi-step`: epochs after which the rate drops, such as [30, 60, 80]."""
    gamma: float = Field(default=0.1, gt=0, lt=1)
    """step, multi-step and plateau: factor of a drop."""
    plateau_patience: int = Field(default=5, ge=1)
    """`plateau`: epochs without a lower validation loss that are waited out; in the next one the
    rate drops, as in PyTorch."""
    weight_decay: Range = 0.0
    """L2 penalty, for adamw decoupled; not applied to norms and biases."""
    clip_norm: Range = 0.0
    """Gradients are scaled down to this norm where theirs, over all parameters, is larger; 0 is
    off."""
    label_smoothing: Share = 0.0
    """Share of each label that is spread evenly over all classes (Szegedy et al. 2015)."""
    class_weights: ClassWeights = None
    """What each picture's loss is multiplied by: `balanced` is the inverse of its class's share, 1
    on average; or numbers in the order of the classes; or {class: number}, 1 for the others."""
    aux_weight: Range = 0.3
    """What the losses of auxiliary classifiers count, for networks that have them."""
    ema_decay: Share = 0.0
    """Decay per step of an average of the weights, which is then what is validated and kept, such
    as 0.999; 0 is off. It starts lower, so that short trainings work too."""
    patience: int = Field(default=0, ge=0)
    """Epochs without progress after which training stops early; 0 never stops it."""
    stop_metric: Literal["val_loss", "val_top1"] = "val_loss"
    """What must progress for patience: the validation loss, or the validation accuracy."""
    min_delta: Range = 0.0
    """The least change of stop_metric that is progress."""
    head_epochs: int = Field(default=0, ge=0)
    """Epochs at the start that train the head alone, all else frozen."""
    unfreeze: Unfreezing = 0
    """Epochs after head_epochs over which the layers below the head are unfrozen, from the top
    down, evenly; 0 unfreezes all at once. Or which layers or blocks learn from which epoch on, by
    glob, such as {2: layer4, 4: [layer3, layer2]}; those below the head that are not named keep
    their weights."""
    backbone_lr_scale: float = Field(default=1.0, gt=0)
    """Factor on the learning rate of everything below the head."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of forward and backward passes; weights, losses and the optimizer are always fp32. auto is
    bf16 where processor or GPU computes in it, else fp32."""
    deterministic: bool = False
    """Only algorithms that give the same bits each time. On a GPU these are fp32: precision auto
    is fp32 there, bf16 and fp16 are refused. A processor always gives the same bits, also in
    bf16."""
    compile: bool = False
    """Compile the network (torch.compile); it pays on GPUs, after half a minute."""
    tensorboard: bool = False
    """Write the run's figures for TensorBoard too; needs the extra `tensorboard`."""
    checkpoint_every: int = Field(default=0, ge=0)
    """Steps between two checkpoints within an epoch; 0 keeps one at the end of each epoch."""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    """First weights, order, augmentation and dropout."""

    moved: ClassVar[Mapping[str, str]] = {
        "mixup": "augment.mixup",
        "cutmix": "augment.cutmix",
        "augment": "a section of its own",
        "unfreeze_epochs": "train.unfreeze",
        "backbone_lr": "train.backbone_lr_scale",
        "freeze": "--freeze of zoo train, or zoo freeze",
    }

    @model_validator(mode="after")
    def _options_apply(self) -> Self:
        for key in sorted(self.model_fields_set):
            if getattr(self, key) == type(self).model_fields[key].get_default():
                continue
            chooser, choices = _APPLIES.get(key, ("", ()))
            if choices and getattr(self, chooser) not in choices:
                raise ValueError(f"train.{key} applies to {chooser} {' and '.join(choices)} only")
        if self.schedule == "multi-step" and not self.milestones:
            raise ValueError("train.schedule multi-step needs train.milestones, such as [30, 60]")
        if self.patience == 0 and (self.min_delta or self.stop_metric != "val_loss"):
            raise ValueError("train.stop_metric and min_delta apply to train.patience, which is 0")
        return self

    @model_validator(mode="after")
    def _epochs_suffice(self) -> Self:
        for key in ("head_epochs", "warmup_epochs"):
            if (getattr(self, key) or 0) > self.epochs:
                raise ValueError(f"train.{key} must not be more than train.epochs")
        if isinstance(self.unfreeze, dict):
            first, last = min(self.unfreeze), max(self.unfreeze)
            if first <= self.head_epochs:
                raise ValueError(
                    f"train.unfreeze has layers learn in epoch {first}, but train.head_epochs "
                    f"trains the head alone until epoch {self.head_epochs} ends"
                )
            if last > self.epochs:
                raise ValueError(f"train.unfreeze names epoch {last}, after train.epochs")
        elif self.head_epochs + self.unfreeze > self.epochs:
            raise ValueError("train.unfreeze and train.head_epochs are more than train.epochs")
        elif self.unfreeze and not self.head_epochs:
            raise ValueError(
                "train.unfreeze follows the epochs of train.head_epochs: set it to 1 or more"
            )
        return self

    def surplus_options(self) -> set[str]:
        """Options of other optimizers and schedules."""
        return {
            key
            for key, (chooser, choices) in _APPLIES.items()
            if getattr(self, chooser) not in choices
        }


_APPLIES = {
    "momentum": ("optimizer", ("sgd", "rmsprop")),
    "nesterov": ("optimizer", ("sgd",)),
    "min_lr": ("schedule", ("cosine", "plateau")),
    "step_epochs": ("schedule", ("step",)),
    "milestones": ("schedule", ("multi-step",)),
    "gamma": ("schedule", ("step", "multi-step", "plateau")),
    "plateau_patience": ("schedule", ("plateau",)),
}
