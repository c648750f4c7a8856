"""A contact sheet: what the network will see of some pictures."""

from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from zoo.data.augment import augment, mix
from zoo.data.decode import BadPictureError
from zoo.data.fit import fit
from zoo.data.letters import drawn
from zoo.data.pictures import Pictures
from zoo.data.randomness import generator
from zoo.errors import DiskError
from zoo.files import atomic_path
from zoo.schema import Augment, Preprocessing

MAX_CLASSES = 40
_CELL_PX = 72  # smaller pictures are enlarged to at least this
_GAP_PX = 4
_LABEL_PX = 150
_FONT_PX = 14


def one_of_each_class(pictures: Pictures, seed: int) -> Pictures:
    """A picture of each class, the first forty, drawn from a seed; only these are decoded.

    Pictures that can't be read are passed over.
    """
    order = torch.randperm(len(pictures), generator=generator(seed, 0, 0, "preview"))
    found: dict[int, int] = {}
    for index in order.tolist():
        label = int(pictures.targets[index])
        if label < MAX_CLASSES and label not in found and _is_readable(pictures, index):
            found[label] = index
    return pictures.at([found[label] for label in sorted(found)])


def contact_sheet(
    pictures: Pictures,
    preprocessing: Preprocessing,
    settings: Augment,
    *,
    versions: int,
    seed: int,
) -> Image.Image:
    """A row for each picture: its class's name, itself, and augmented versions of it.

    Args:
        pictures: one of each class.
        preprocessing: of the network that is to see them.
        settings: the recipe's `augment`; mixup and CutMix blend in the row above.
        versions: augmented ones a row.
        seed: draws the changes.
    """
    originals = torch.cat(
        [fit(pictures.picture(index)[None], preprocessing) for index in range(len(pictures))]
    ).float()  # (K, C, H, W)
    columns = [originals]
    for version in range(versions):
        columns.append(
            augmented(
                originals,
                pictures.targets,
                settings,
                num_classes=len(pictures.classes),
                seed=seed,
                version=version,
            )
        )
    cells = [_enlarged(column.round().clamp(0, 255).byte()) for column in columns]
    labels = pictures.targets.tolist()
    return _sheet(cells, [drawn(pictures.classes[label], f"class {label}") for label in labels])


def augmented(
    images: Tensor, targets: Tensor, settings: Augment, *, num_classes: int, seed: int, version: int
) -> Tensor:
    """Pictures as training would see them in one epoch.

    Args:
        images: (N, C, H, W), 0 to 255, fitted.
        targets: (N,), class indices.
        settings: the recipe's `augment`.
        num_classes: for mixup and CutMix.
        seed: draws the changes.
        version: which of the draws.

    Returns:
        (N, C, H, W), float, 0 to 255.
    """
    draws = generator(seed, 1, version, "preview")
    images = augment(images, settings, draws)
    if settings.mixup or settings.cutmix:
        draws = generator(seed, 1, version, "mix")
        images, _ = mix(images, targets, settings, draws, num_classes)
    return images


def write_png(sheet: Image.Image, path: Path) -> None:
    """Writes a sheet atomically, as PNG whatever the file is called.

    Raises:
        DiskError: the disk is full, or there is no permission.
    """
    with atomic_path(path) as temporary:
        sheet.save(temporary, "PNG")


def _is_readable(pictures: Pictures, index: int) -> bool:
    try:
        pictures.picture(index)
    except (BadPictureError, DiskError):
        return False
    return True


def _enlarged(images: Tensor) -> Tensor:
    """(K, 3, H, W), whole multiples of the pixels, so that single ones can be seen."""
    factor = max(1, -(-_CELL_PX // max(images.shape[-2:])))
    images = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
    return F.interpolate(images, scale_factor=factor, mode="nearest")


def _sheet(columns: list[Tensor], names: list[str]) -> Image.Image:
    rows, _, height, width = columns[0].shape
    titles = ["original", *(["augmented"] if len(columns) > 1 else [])]
    head = _FONT_PX + 2 * _GAP_PX
    sheet = Image.new(
        "RGB",
        (
            _LABEL_PX + len(columns) * (width + _GAP_PX),
            head + rows * (height + _GAP_PX),
        ),
        "white",
    )
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_PX)
    for column, title in enumerate(titles):
        pen.text((_LABEL_PX + column * (width + _GAP_PX), _GAP_PX), title, "black", font)
    for row, name in enumerate(names):
        top = head + row * (height + _GAP_PX)
        pen.text((_GAP_PX, top + height // 2 - _FONT_PX // 2), _shortened(name, pen, font), 0, font)
        for column, images in enumerate(columns):
            cell = Image.fromarray(images[row].permute(1, 2, 0).numpy())
            sheet.paste(cell, (_LABEL_PX + column * (width + _GAP_PX), top))
    return sheet


def _shortened(
    name: str, pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> str:
    """As much of a class's name as fits beside the pictures."""
    while name and pen.textlength(name, font) > _LABEL_PX - 2 * _GAP_PX:
        name = name.rstrip("…")[:-1] + "…" if len(name) > 1 else ""
    return name
