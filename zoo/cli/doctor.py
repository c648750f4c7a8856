"""`zoo doctor`: what this machine offers."""

from typing import TYPE_CHECKING

from zoo.cli.app import app, command
from zoo.cli.output import Result

if TYPE_CHECKING:
    from zoo.doctor import Checkup, Extra


@command(app, "doctor", example="zoo doctor\nzoo doctor --json")
def doctor() -> Result:
    """Show versions, devices, fast arithmetic, directories and extras."""
    from zoo.doctor import examine

    found = examine()
    document = {**vars(found), "extras": [_extra_json(extra) for extra in found.extras]}
    return Result(document, _text(found))


def _extra_json(extra: "Extra") -> dict[str, object]:
    return {"name": extra.name, "present": extra.present, "packages": extra.packages}


def _text(found: "Checkup") -> str:
    instructions = ", ".join(name for name, has in found.arithmetic.items() if has) or "none"
    sections = {
        "versions": found.versions,
        "compute": {
            "devices": ", ".join(found.devices),
            "threads": str(found.threads),
            "fast arithmetic": instructions,
        },
        "directories": found.directories,
        "extras": {extra.name: _extra_text(extra) for extra in found.extras},
    }
    lines: list[str] = []
    for title, pairs in sections.items():
        width = max((len(name) for name in pairs), default=0)
        lines += [f"{title}:", *(f"  {name:<{width}}  {value}" for name, value in pairs.items())]
    return "\n".join(lines)


def _extra_text(extra: "Extra") -> str:
    if extra.present:
        return "present"
    missing = ", ".join(name for name, version in extra.packages.items() if version is None)
    return f"missing {missing}: pip install 'cnn-zoo[{extra.name}]'"
