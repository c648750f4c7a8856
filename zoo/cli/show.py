"""`zoo show`: an architecture's card, or what a model file says of itself."""

import json
import shlex
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from zoo import catalog, edit_texts, published
from zoo.catalog import Architecture
from zoo.cli.app import app, command
from zoo.cli.following import on_model
from zoo.cli.options import LookedAtArg
from zoo.cli.output import Result, compact, count, percent, plural, shape

if TYPE_CHECKING:
    from zoo.description import Description, Publication
    from zoo.modelfile import Source


@command(app, "show", example="zoo show lenet5\nzoo show runs/lenet5-digits")
def show(model: LookedAtArg) -> Result:
    """Show an architecture's card, or a model file's edits, classes and origin."""
    card = catalog.named(model)
    if card is not None:
        return Result({"card": _card_json(card)}, _card_text(card))

    from zoo import modelfile

    source = modelfile.resolve(model, exported=True)
    return Result(_file_json(source), _file_text(source))


def _card_json(card: Architecture) -> dict[str, Any]:
    known = {key: value for key, value in asdict(card).items() if key not in ("builder", "options")}
    return {**known, "published": [asdict(weights) for weights in card.published]}


def _card_text(card: Architecture) -> str:
    lines = [
        f"{card.name}: {card.title}",
        "",
        *_aligned(
            ("family", f"{card.family}, {card.year}" if card.year else card.family),
            ("paper", card.paper),
            ("input", shape(card.input_shape)),
            ("classes", str(card.num_classes)),
            ("parameters", f"{count(card.params)} (with batch-norm statistics "
             f"{count(card.total_params)})"),
            ("mult-adds", compact(card.mult_adds)),
            ("recipe", card.recipe),
        ),
        "",
        *_departures(card),
        *_weights_text(card),
        "next:",
        f"  zoo summary {card.name}",
        f"  zoo train {card.name}",
        *([f"  zoo build {card.name} --weights imagenet -o FILE"] if card.weights else ()),
    ]  # fmt: skip
    return "\n".join(lines)


def _weights_text(card: Architecture) -> list[str]:
    """Its published weights, the default first, and their terms."""
    from zoo.downloads import format_bytes

    entries = card.published
    if not entries:
        names = ", ".join(card.weights)
        return [f"pretrained weights: {names}", ""] if names else []
    described = [
        (
            weights.name,
            f"top-1 {percent(weights.top1)}, top-5 {percent(weights.top5)}, "
            f"{weights.crop_px}×{weights.crop_px}, {format_bytes(weights.bytes)}, "
            f"{weights.licence}",
        )
        for weights in entries
    ]
    return [
        "pretrained weights:",
        *(f"  {line}" for line in _aligned(*described)),
        *(f"  {line}" for line in textwrap.wrap(published.TERMS + ".", 96)),
        "",
    ]


def _departures(card: Architecture) -> list[str]:
    if "/" in card.name:
        return []  # nobody compared a library's network with its paper
    if not card.departures:
        return ["no departures from the paper", ""]
    return ["departures from the paper:", *(f"  - {one}" for one in card.departures), ""]


def _file_json(source: "Source") -> dict[str, Any]:
    return {
        "model": source.name,
        "path": str(source.path),
        "run_status": _run_status(source),
        "export": _export_json(source),
        **source.description.model_dump(mode="json"),
    }


def _export_json(source: "Source") -> dict[str, Any] | None:
    """What an exported file says of itself besides; None for a model file."""
    if source.exported is None:
        return None
    return source.exported.model_dump(mode="json", exclude={"description"})


def _file_text(source: "Source") -> str:
    description, model = source.description, shlex.quote(source.name)
    lines = [
        f"{source.name}: {description.architecture}",
        "",
        *_aligned(
            ("file", str(source.path)),
            *_export_text(source),
            ("run", _run_status(source) or "none"),
            ("input", shape(description.input_shape)),
            ("classes", _classes_text(description)),
            ("preprocessing", _preprocessing_text(description)),
            ("recipe", description.training.recipe if description.training else "none"),
            ("metrics", _metrics_text(description)),
            ("started from", description.origin),
            *(
                [("weights", _published_text(description.published))]
                if description.published
                else ()
            ),
            ("written by", ", ".join(f"{k} {v}" for k, v in description.versions.items())),
        ),
        "",
        "edits:" if description.edits else "edits: none",
        *(
            f"  {number}. {edit}"
            for number, edit in enumerate(edit_texts.sentences(description.edits), start=1)
        ),
        "",
        "next:",
        f"  zoo summary {model}",
        f"  {_next_command(source)}",
    ]
    return "\n".join(lines)


def _next_command(source: "Source") -> str:
    description, model = source.description, shlex.quote(source.name)
    is_plain = source.exported is not None and source.exported.kind == "safetensors"
    if description.training and description.classes and not is_plain:
        return on_model("evaluate", source.name, description)
    if source.exported is None:
        return on_model("train", source.name, description)
    if is_plain or description.is_headless:
        return f"zoo explain layers {model}"
    return f"zoo predict {model} PICTURES..."


def _export_text(source: "Source") -> list[tuple[str, str]]:
    """What an exported file is, takes and gives, and how near it came."""
    exported = source.exported
    if exported is None:
        return []
    taken = (
        "float32 N×C×H×W, fitted and normalized"
        if exported.takes == "normalized"
        else "uint8 N×height×width×C as decoded, of any size"
    )
    lines = [("kind", exported.kind), ("takes", taken), ("gives", exported.gives)]
    calibration, parity = exported.calibration, exported.parity
    if calibration is not None:
        pictures = plural(calibration.images, "picture")
        lines.append(("calibration", f"{pictures} of {calibration.recipe}"))
    if parity is None:
        return [*lines, ("parity", "not checked")]
    pictures = plural(parity.images, "picture" if parity.recipe else "random picture")
    pictures += f" of {parity.recipe}" if parity.recipe else ""
    return [
        *lines,
        (
            "parity",
            f"largest difference {parity.max_abs_diff:.2g}, top-1 agreement "
            f"{percent(parity.top1_agreement)} on {pictures}",
        ),
    ]


def _classes_text(description: "Description") -> str:
    classes = description.classes
    shown = ", ".join(classes[:20])
    if len(classes) > 20:
        return f"{shown} and {len(classes) - 20} more"
    if description.arguments.tells_no_classes:
        return "none: it gives features"
    if description.is_headless:
        return "none: its top was taken off"
    if description.is_trained and not shown:
        return f"{description.num_classes}, without names"
    return shown or "none: nothing was trained"


def _published_text(weights: "Publication") -> str:
    return f"{weights.weights} of {weights.library}'s {weights.network}, {weights.licence}"


def _run_status(source: "Source") -> str | None:
    """What `run.json` beside the file says of the run, if it lies in one."""
    run = source.path.parent / "run.json" if source.path else None
    try:
        return str(json.loads(run.read_text(encoding="utf-8"))["status"]) if run else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _preprocessing_text(description: "Description") -> str:
    chosen = description.preprocessing
    fitted = f"{chosen.fit} to {shape(chosen.content)} ({chosen.interpolation})"
    framed = ""
    if chosen.content != chosen.size:
        is_cut = chosen.content > chosen.size
        size = shape(chosen.size)
        framed = f", the middle {size} of it" if is_cut else f" inside {size}"
    mean, std = (" ".join(f"{v:g}" for v in values) for values in (chosen.mean, chosen.std))
    kept = "" if chosen.rescale == 1 / 255 else f", values of 0 to 255 times {chosen.rescale:g}"
    return f"{fitted}{framed}{kept}, mean {mean}, std {std}"


def _metrics_text(description: "Description") -> str:
    metrics = description.metrics
    if not metrics:
        return "none"
    top1 = metrics.get("val_top1")
    return f"epoch {metrics.get('epoch')}, validation top-1 {percent(top1)}"


def _aligned(*pairs: tuple[str, str]) -> list[str]:
    width = max(len(name) for name, _ in pairs)
    return [f"{name:<{width}}  {value}" for name, value in pairs]
