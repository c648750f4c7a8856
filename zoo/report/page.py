"""The page around everything: jinja2 with every value escaped, one style, one script."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from zoo import __version__, wording
from zoo.errors import UsageError

if TYPE_CHECKING:
    from jinja2 import Environment


def check_installed() -> None:
    """Refuses a report where it can't be drawn, before any work is done for it.

    Raises:
        UsageError: jinja2 or matplotlib is missing.
    """
    missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if missing:
        are = (
            f"{missing[0]}, which is"
            if len(missing) == 1
            else f"{' and '.join(missing)}, which are"
        )
        raise UsageError(
            f"A report needs {are} not installed.", hint="pip install 'cnn-zoo[report]'"
        )


def render(template: str, **content: Any) -> str:
    """A page of its own: it loads nothing, and no script runs but ours.

    Args:
        template: in `templates/`.
        content: what it shows; whatever is no markup of ours is escaped.
    """
    from markupsafe import Markup

    style, script = _asset("style.css"), _asset("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            style=Markup(style),  # noqa: S704 (a file of ours)
            script=Markup(script),  # noqa: S704
            policy=policy,
            version=__version__,
        )
    )


def duration(seconds: float | None) -> str:
    """`9.4 s`, `2 min 05 s`, `3 h 20 min`, or a dash."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("zoo.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("compact", "count", "figure", "plural", "shape", "shortened", "speed")
    made.filters |= {name: getattr(wording, name) for name in names}
    made.filters |= {
        "duration": duration,
        "percent": _percent,
        "gap": _gap,
        "svg": _svg,
        "unbroken": _unbroken,
    }
    return made


def _percent(share: float | None) -> str:
    return _unbroken(wording.percent(share))


def _unbroken(text: str) -> str:
    """A percent sign stays on its number's line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _gap(difference: float) -> str:
    """Of shares, with its sign."""
    return f"{100 * difference:+.2f}".replace("-", "\N{MINUS SIGN}") + "\N{NO-BREAK SPACE}%"


def _svg(drawn: str) -> str:
    """A drawing of `charts`, which has escaped what it holds."""
    from markupsafe import Markup

    return Markup(drawn)  # noqa: S704


def _asset(name: str) -> str:
    return (files("zoo.report") / "templates" / name).read_text(encoding="utf-8")
