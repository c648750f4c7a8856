"""What `zoo prune` takes for channels and single weights, and whether it fits together."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.pruning.choosing import Policy
    from zoo.pruning.versions import Wish


class ImportanceName(StrEnum):
    """How the importance of a channel is measured."""

    l1 = "l1"
    l2 = "l2"
    taylor = "taylor"
    random = "random"


Channels = Annotated[
    float | None,
    typer.Option(
        metavar="RATIO",
        help="Take this share of each layer's channels, and what depends on them, such as 0.3.",
    ),
]
TargetMultAdds = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Instead of --channels RATIO: as many channels as leave this share of the "
        "multiply-adds.",
    ),
]
Sparsity = Annotated[
    float | None,
    typer.Option(
        metavar="RATIO",
        help="Set this share of each layer's single weights to zero, where they stay in training.",
    ),
]
Importance = Annotated[
    ImportanceName | None,
    typer.Option(
        help="Which channels go: those of least norm (l2 unless given), least effect on the loss "
        "of a recipe's pictures (taylor), or any.",
    ),
]
Global = Annotated[
    bool,
    typer.Option("--global", help="Compare all layers, so that some lose more than others."),
]
RoundTo = Annotated[
    int | None,
    typer.Option(
        min=1, max=4096, metavar="N", help="Leave each layer a multiple of N channels, such as 8."
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Layers that stay as wide as they are. Repeatable."),
]
Steps = Annotated[
    int | None,
    typer.Option(
        min=2,
        max=100,
        metavar="K",
        help="Prune in K steps, each of about as much, and train by --recipe between them.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, max=100_000, metavar="N", help="Epochs of each training between --steps."),
]


@dataclass(frozen=True)
class Asked:
    """The options about channels and single weights, as they were given."""

    channels: float | None
    target_mult_adds: float | None
    sparsity: float | None
    importance: ImportanceName | None
    is_global: bool
    round_to: int | None
    keep: tuple[str, ...]
    steps: int | None
    epochs: int | None
    seed: int | None

    @property
    def is_of_channels(self) -> bool:
        """Whether channels are to go."""
        return self.channels is not None or self.target_mult_adds is not None

    @property
    def learns(self) -> bool:
        """Whether a recipe's pictures are needed, in a trial too."""
        return self.importance is ImportanceName.taylor or self.steps is not None

    def check(self, *, has_recipe: bool) -> None:
        """Refuses what does not fit together.

        Raises:
            UsageError: names the option.
        """
        for flag, share in (
            ("--channels", self.channels),
            ("--target-mult-adds", self.target_mult_adds),
            ("--sparsity", self.sparsity),
        ):
            if share is not None and not 0 < share < 1:
                percents = f" {share:g} % is {share / 100:g}." if 1 < share < 100 else ""
                raise UsageError(f"{flag} {share:g} is no share between 0 and 1.{percents}")
        of_channels = {
            "--importance": self.importance is not None,
            "--round-to": self.round_to is not None,
            "--steps": self.steps is not None,
        }
        of_both = {"--global": self.is_global, "--keep": bool(self.keep)}
        if not self.is_of_channels:
            self._refuse(of_channels, "--channels RATIO or --target-mult-adds SHARE")
        if not self.is_of_channels and self.sparsity is None:
            self._refuse(of_both, "--channels, --target-mult-adds or --sparsity")
        if self.epochs is not None and self.steps is None:
            self._refuse({"--epochs": True}, "--steps K")
        draws = self.importance in (ImportanceName.taylor, ImportanceName.random)
        if self.seed is not None and not draws:
            self._refuse({"--seed": True}, "--importance taylor or random, which draw from it")
        if self.importance is ImportanceName.taylor and not has_recipe:
            raise UsageError(
                "--importance taylor needs pictures.", hint="--recipe RECIPE or --data DIR"
            )
        if self.steps is not None and not has_recipe:
            raise UsageError(
                "--steps trains between the steps, which needs pictures.",
                hint="--recipe RECIPE or --data DIR",
            )

    def wish(self) -> "Wish":
        """What channels are to go."""
        from zoo.pruning.versions import Wish

        return Wish(
            self.channels, self.target_mult_adds, self._policy(), self.keep, self.steps or 1
        )

    def _policy(self) -> "Policy":
        from zoo.pruning.choosing import Policy

        return Policy(
            importance=self.importance.value if self.importance else "l2",
            is_global=self.is_global,
            round_to=self.round_to or 1,
            seed=self.seed or 0,
        )

    @staticmethod
    def _refuse(given: dict[str, bool], goes_with: str) -> None:
        for flag, is_given in given.items():
            if is_given:
                raise UsageError(f"{flag} does not apply: it goes with {goes_with}.")
