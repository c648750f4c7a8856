"""Decoding: by content, upright, 8 bits, without alpha; and nothing dangerous."""

import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.pictures import encoded, gradient
from zoo.data.decode import BadPictureError, decode, suffixes


def pixels(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP", "JPEG"])
def test_every_format_is_read_by_its_content(kind: str) -> None:
    lossless = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    found = decode(encoded(gradient(), kind, **lossless.get(kind, {})))
    assert found.shape == (3, 8, 12)
    assert found.dtype == torch.uint8
    tolerance = {"JPEG": 3, "GIF": 12}.get(kind, 0)
    assert (found.int() - pixels(gradient()).int()).abs().max() <= tolerance


def test_gray_stays_gray() -> None:
    for kind in ("PNG", "JPEG"):
        assert decode(encoded(gradient("L"), kind)).shape == (1, 8, 12)
    assert decode(encoded(gradient("1"), "PNG")).unique().tolist() == [0, 255]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_pictures_stand_upright(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees to be seen
    options = {"exif": exif, **({"quality": 100} if kind == "JPEG" else {})}
    found = decode(encoded(gradient(), kind, **options))
    plain = {k: v for k, v in options.items() if k != "exif"}
    upright = decode(encoded(gradient(), kind, **plain)).rot90(-1, (1, 2))
    assert torch.equal(found, upright)


def test_sixteen_bits_become_eight() -> None:
    deep = np.array([[0, 257, 32_896, 65_535]], dtype=np.uint16)
    found = decode(encoded(Image.fromarray(deep), "PNG"))
    assert found.tolist() == [[[0, 1, 128, 255]]]
    dark = np.full((2, 2), 200, dtype=np.uint16)  # dark stays dark, whatever the brightest is
    assert decode(encoded(Image.fromarray(dark), "PNG")).unique().tolist() == [1]
    shares = np.array([[0, 0.5, 1]], dtype=np.float32)
    assert decode(encoded(Image.fromarray(shares), "TIFF")).tolist() == [[[0, 128, 255]]]


def test_no_memory_is_no_fault_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    content = encoded(gradient(), "PNG")
    monkeypatch.setattr("PIL.Image.open", refuse)
    with pytest.raises(MemoryError):
        decode(content)


def test_cmyk_and_palettes_become_rgb() -> None:
    cmyk = Image.new("CMYK", (4, 4), (0, 255, 255, 0))  # red
    found = decode(encoded(cmyk, "JPEG", quality=100))
    assert found[:, 0, 0].tolist() == pytest.approx([255, 0, 0], abs=12)
    palette = gradient().quantize(16)
    assert torch.equal(decode(encoded(palette, "PNG")), pixels(palette.convert("RGB")))


def test_what_is_transparent_shows_white() -> None:
    for mode, clear in (("RGBA", (9, 9, 9, 0)), ("LA", (9, 0))):
        found = decode(encoded(Image.new(mode, (3, 3), clear), "PNG"))
        assert found.unique().tolist() == [255]
    half = decode(encoded(Image.new("RGBA", (1, 1), (0, 0, 0, 128)), "PNG"))
    assert half.flatten().tolist() == pytest.approx([127] * 3, abs=1)
    gif = Image.new("P", (2, 2), 0)
    gif.putpalette([0, 0, 0] * 256)
    assert decode(encoded(gif, "GIF", transparency=0)).unique().tolist() == [255]


def test_a_moving_picture_is_its_first_frame() -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(content)[:, 0, 0].tolist() == [255, 0, 0]


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"just a text", "no JPEG, PNG"),
        (EPS, "no JPEG, PNG"),
        (encoded(gradient(size=(64, 64)), "JPEG")[:400], "damaged"),
        (encoded(gradient(size=(64, 64)), "PNG")[:90], "damaged"),
        (encoded(gradient(size=(64, 64)), "WEBP")[:90], "damaged"),
    ],
)
def test_what_is_no_picture_is_said_to_be_none(content: bytes, reason: str) -> None:
    with pytest.raises(BadPictureError, match=reason):
        decode(content)


def bomb(side: int) -> bytes:
    """A PNG of a few kilobytes that claims side × side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(BadPictureError, match="bomb"):
        decode(bomb(20_000))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM"]),
    place=st.floats(0, 1),
    value=st.integers(0, 255),
    cut=st.booleans(),
)
def test_damage_is_survived(kind: str, place: float, value: int, cut: bool) -> None:
    content = bytearray(encoded(gradient(size=(40, 30)), kind))
    index = int(place * (len(content) - 1))
    if cut:
        content = content[:index]
    else:
        content[index] = value
    try:
        found = decode(bytes(content))
    except BadPictureError:
        return
    assert found.dtype == torch.uint8
    assert found.shape[0] in (1, 3)


def test_suffixes_follow_the_content() -> None:
    assert {".jpg", ".jpeg"} <= suffixes(encoded(gradient(), "JPEG"))
    assert ".png" in suffixes(encoded(gradient(), "PNG"))
    assert suffixes(b"text") == frozenset()
