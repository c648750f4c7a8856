"""Small picture files for tests."""

import io
from pathlib import Path

import torch
from PIL import Image

from zoo.data.sources import shapes
from zoo.schema import Dataset


def write_folder(
    root: Path, *, count: int = 24, classes: int = 3, size: int = 24, suffix: str = "png"
) -> Path:
    """Geometric figures, a directory for each class; picture i is NNN.suffix."""
    drawn = shapes.read(
        Dataset(source="shapes", num_classes=classes, size=size, images=count)
    ).train
    for index in range(count):
        directory = root / drawn.classes[int(drawn.targets[index])]
        directory.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(drawn.picture(index).permute(1, 2, 0).numpy())
        picture.save(directory / f"{index:03}.{suffix}")
    return root


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """A picture as the bytes of a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def gradient(mode: str = "RGB", size: tuple[int, int] = (12, 8)) -> Image.Image:
    """A smooth picture that JPEG keeps well; left and right, top and bottom differ."""
    width, height = size
    x = torch.linspace(0, 200, width).expand(height, width)
    y = torch.linspace(0, 150, height)[:, None].expand(height, width)
    values = torch.stack([x, y, 255 - x], dim=-1).byte()
    return Image.fromarray(values.numpy()).convert(mode)
