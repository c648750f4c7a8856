"""What an exported file takes and gives, in numbers that any program can act on."""

from typing import Any

from zoo.description import Description
from zoo.exported import Exported


def input_of(document: Exported) -> dict[str, Any]:
    """The input: its type and shape, and what has to be done to a picture before.

    Where the file takes pictures, it does all of it itself, and the numbers say what it does.
    """
    prepared = document.description.preprocessing
    height, width = prepared.size
    takes_pictures = document.takes == "pictures"
    return {
        "name": "pictures" if takes_pictures else "images",
        "dtype": "uint8" if takes_pictures else "float32",
        "layout": "NHWC" if takes_pictures else "NCHW",
        "shape": [None, None, None, prepared.channels]
        if takes_pictures
        else [None, prepared.channels, height, width],
        "embedded": takes_pictures,
        "size": [height, width],
        "content": list(prepared.content),
        "fit": prepared.fit,
        "interpolation": prepared.interpolation,
        "rescale": prepared.rescale,
        "samplewise_center": prepared.samplewise_center,
        "samplewise_std_normalization": prepared.samplewise_std_normalization,
        "mean": list(prepared.mean),
        "std": list(prepared.std),
    }


def classes_of(description: Description) -> list[str] | None:
    """Names in the order of the outputs, the indices where none are known; None for features."""
    return None if description.is_headless else list(description.labels)
