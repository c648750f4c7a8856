"""Letters that Pillow's own font has."""

from PIL import ImageFont

from zoo.data.letters import drawn


def test_no_box_is_drawn() -> None:
    assert drawn("Käfer – 100 %") == "Kafer ? 100 %"
    assert drawn("數字七", "class 7") == "class 7"
    assert drawn("Ångström", "class 7") == "Angstrom"
    assert drawn("a\nb") == "a?b"
    assert drawn("") == ""
    font = ImageFont.load_default(14)
    box = bytes(font.getmask("\N{CJK UNIFIED IDEOGRAPH-4E03}"))
    every = "".join(map(chr, range(0x20, 0x2FFF)))
    assert all(bytes(font.getmask(letter)) != box for letter in {*drawn(every)})
