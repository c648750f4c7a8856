"""Numbers as people read them, in the terminal and on a page."""

from collections.abc import Sequence


def count(number: int | None) -> str:
    """`87,290`, or a dash."""
    return "–" if number is None else f"{number:,}"


def plural(number: int | None, noun: str, nouns: str = "") -> str:
    """`1 picture`, `1,295 pictures`; `nouns` where it is not the noun with an s."""
    return f"{count(number)} {noun if number == 1 else nouns or f'{noun}s'}"


def figure(value: float | None) -> str:
    """A loss: `0.0129`, from a million on `1.234e+08`, or a dash."""
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.3e}"


def compact(number: float | None) -> str:
    """`2.55 M`, or a dash."""
    if number is None:
        return "–"
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= factor:
            scaled = number / factor
            return f"{scaled:,.0f} {unit}" if scaled >= 999.5 else f"{scaled:.3g} {unit}"
    return f"{number:g}"


def speed(images_per_second: float | None) -> str:
    """`5,538 images/s`, `0.4 images/s`, or a dash."""
    if images_per_second is None:
        return "–"
    return f"{images_per_second:,.{0 if images_per_second >= 10 else 1}f} images/s"


def percent(share: float | None) -> str:
    """`98.61 %`, or a dash."""
    return "–" if share is None else f"{100 * share:.2f} %"


def shape(sides: Sequence[int | str] | None) -> str:
    """`6×28×28`, or a dash."""
    return "–" if sides is None else "×".join(str(side) for side in sides)


def shortened(name: str, letters: int) -> str:
    """A name of at most so many letters, an ellipsis in the middle of a longer one."""
    if len(name) <= letters:
        return name
    head = letters // 2
    return f"{name[:head].rstrip()}…{name[len(name) - (letters - head - 1) :].lstrip()}"
