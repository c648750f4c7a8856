"""Text on pictures, in the letters of Pillow's own font, which draws boxes for all others."""

import unicodedata


def drawn(text: str, otherwise: str = "") -> str:
    """A text without accents, as the font has none.

    Args:
        text: of any letters.
        otherwise: instead of a text with letters that the font lacks, such as Chinese; left out,
            each of them becomes a question mark.
    """
    parts = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in parts if not unicodedata.combining(letter))
    if plain.isascii() and plain.isprintable():
        return plain
    known = (letter if letter.isascii() and letter.isprintable() else "?" for letter in plain)
    return otherwise or "".join(known)
