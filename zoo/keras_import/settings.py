"""A Keras layer's settings: each is read and checked, and none that matters is passed over."""

from typing import Any

from zoo.keras_import.config import KerasLayer
from zoo.layer_specs import Function

_OF_TRAINING = (
    "name", "trainable", "dtype", "batch_input_shape", "batch_shape", "seed", "synchronized",
    "fused", "autocast", "renorm_momentum", "build_input_shape", "input_dtype",
)  # fmt: skip
"""Settings without a meaning for what the layer computes."""
_OF_TRAINING_ENDINGS = ("_initializer", "_regularizer", "_constraint")


class Settings:
    """A layer's settings; whatever nobody read must not matter."""

    def __init__(self, layer: KerasLayer) -> None:
        self.layer = layer
        self.read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        """A setting as it is."""
        self.read.add(key)
        return self.layer.settings.get(key, default)

    def number(self, key: str, default: float | None = None) -> float | None:
        """A number, or None."""
        value = self.get(key, default)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            self.layer.refuse(f"{key} is no number")
        return None if value is None else float(value)

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number above 0."""
        value = self.get(key, default)
        if type(value) is not int or value < 1:
            self.layer.refuse(f"{key} is no whole number above 0")
        return int(value)

    def switch(self, key: str, *, default: bool = True) -> bool:
        """True or false."""
        value = self.get(key, default)
        if type(value) is not bool:
            self.layer.refuse(f"{key} is neither true nor false")
        return bool(value)

    def pair(self, key: str, default: Any = (1, 1)) -> tuple[int, int]:
        """One whole number above 0, or two."""
        value = self.get(key)
        value = default if value is None else value
        sides = [value, value] if type(value) is int else list(value)
        if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
            self.layer.refuse(f"{key} is no pair of whole numbers above 0")
        return sides[0], sides[1]

    def padding(self) -> Any:
        """`same` or `valid`."""
        padding = self.get("padding", "valid")
        if padding not in ("same", "valid"):
            self.layer.refuse(f"padding {padding!r} can't be imported")
        return padding

    def channels_last(self) -> None:
        """Refuses channels that come first."""
        if self.get("data_format") not in (None, "channels_last"):
            self.layer.refuse("its data_format is not channels_last")

    def check_all_read(self) -> None:
        """Refuses a setting that nobody read and that may matter."""
        for key, value in self.layer.settings.items():
            known = key in self.read or key in _OF_TRAINING or key.endswith(_OF_TRAINING_ENDINGS)
            if not known and value not in (None, False, [], {}):
                self.layer.refuse(f"its setting {key} can't be imported")


_FUNCTIONS = {
    "relu": "relu", "relu6": "relu6", "selu": "selu", "sigmoid": "sigmoid", "tanh": "tanh",
    "hard_sigmoid": "hard-sigmoid", "softplus": "softplus", "softsign": "softsign",
    "silu": "silu", "swish": "silu", "hard_silu": "hard-silu", "hard_swish": "hard-silu",
    "gelu": "gelu", "mish": "mish", "exponential": "exponential", "softmax": "softmax",
    "log_softmax": "log-softmax", "linear": "linear",
}  # fmt: skip


def function_of(settings: Settings, keras_major: int) -> Function:
    """The activation that a layer names.

    Raises:
        ModelFileError: it is none that can be imported.
    """
    name = settings.get("activation")
    layer = settings.layer
    if name is None:
        return Function(name="linear")
    if not isinstance(name, str):
        layer.refuse("its activation is a function or layer of one's own, which can't be imported")
    if name == "leaky_relu":
        return Function(name="leaky-relu", value=0.2)
    if name == "elu":
        return Function(name="elu", value=1.0)
    if name == "hard_sigmoid" and keras_major < 3:
        layer.refuse("its hard_sigmoid is Keras 2's, which can't be imported")
    if name not in _FUNCTIONS:
        known = sorted((*_FUNCTIONS, "elu", "leaky_relu"))
        layer.refuse(f"its activation {name!r} can't be imported", f"Known: {', '.join(known)}.")
    return Function.model_validate({"name": _FUNCTIONS[name]})
