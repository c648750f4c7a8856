"""One picture file as pixels: by content, never by name, upright, in 8 bits, without alpha."""

import io
import warnings

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from zoo.errors import DataError

# No others: Pillow would run Ghostscript on an EPS named .jpg.
# MPO has no opener of its own: JPEG's reads it.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm",
})  # fmt: skip
"""What names a picture; a file of such a name that can't be decoded is bad."""

# Pillow warns of half of what it refuses, and of odd metadata. For the whole process: what is set
# for a block is not safe between the threads that decode.
warnings.filterwarnings("ignore", module=r"PIL\.")


class BadPictureError(DataError):
    """A file that is no picture, or a damaged or dangerous one."""


def decode(content: bytes) -> Tensor:
    """The pixels of a picture: JPEG, PNG, WebP, BMP, GIF (first frame), TIFF or PPM.

    The EXIF orientation is honoured, 16 bits are scaled to 8, CMYK and palettes become RGB, and
    what is transparent shows white.

    Args:
        content: of a file.

    Returns:
        (1 or 3, h, w), uint8, channels-last in memory.

    Raises:
        BadPictureError: it can't be decoded, is truncated, or has more than 179 million pixels.
    """
    if not content:
        raise BadPictureError("the file is empty")
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
        ImageOps.exif_transpose(picture, in_place=True)
        return to_tensor(picture)
    except UnidentifiedImageError as error:
        raise BadPictureError("no JPEG, PNG, WebP, BMP, GIF, TIFF or PPM") from error
    except Image.DecompressionBombError as error:
        raise BadPictureError("more than 179 million pixels, a decompression bomb") from error
    except MemoryError:  # says nothing about the picture
        raise
    # Whatever else a damaged file does to a decoder: struct.error, KeyError, SyntaxError...
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadPictureError(f"damaged: {reason}") from error


def suffixes(content: bytes) -> frozenset[str]:
    """The suffixes that name such a picture, such as `.jpg` and `.jpeg`; none where it is none."""
    try:
        kind = Image.open(io.BytesIO(content), formats=FORMATS).format
    except Exception:  # whatever a damaged file does to a decoder
        return frozenset()
    Image.init()
    return frozenset(suffix for suffix, name in Image.EXTENSION.items() if name == kind) | (
        frozenset({".jpg", ".jpeg"}) if kind == "MPO" else frozenset()
    )


def to_tensor(picture: Image.Image) -> Tensor:
    """An opened picture's pixels, (1 or 3, h, w), uint8, channels-last in memory."""
    if picture.mode.startswith(("I", "F")):
        return _from_deep(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    if picture.mode == "1":
        picture = picture.convert("L")
    if picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    channels = len(picture.getbands())
    # One copy; by way of numpy there would be another. It is channels-last in memory.
    values = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return values.view(picture.height, picture.width, channels).permute(2, 0, 1)


def _from_deep(picture: Image.Image) -> Tensor:
    """Grayscale of 16 or 32 bits as 8 bits: 65,535 is white, and so is 1 where it is the most."""
    values = np.asarray(picture)
    if values.dtype.kind == "f" and values.max() <= 1:
        scaled = np.rint(values.clip(0, 1) * 255)
    else:
        scaled = np.rint(values.clip(0, 65_535) / np.float32(257))
    return torch.from_numpy(scaled.astype(np.uint8))[None]
