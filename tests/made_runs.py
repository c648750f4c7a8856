"""Run directories written by hand, without training anything."""

import json
from pathlib import Path
from typing import Any

HEAD = "epoch,seconds,images_per_second,lr,train_loss,train_top1,val_loss,val_top1"


def results(*top1: float) -> str:
    """A `results.csv` of one epoch for each validation accuracy; each lasts two seconds."""
    rows = [
        f"{number},2.0,100.0,0.01,{1 / number},0.5,{1 - share},{share}"
        for number, share in enumerate(top1, start=1)
    ]
    return "\n".join([HEAD, *rows]) + "\n"


def write_run(
    path: Path, csv: str | None = None, started: float | None = None, **document: Any
) -> Path:
    """A run of LeNet-5 that says in `run.json` what is given, besides the usual."""
    path.mkdir(parents=True)
    usual = {
        "schema": 1,
        "model": "lenet5",
        "recipe": "digits",
        "status": "finished",
        "resolved_recipe": {"dataset": {"source": "digits"}, "train": {"epochs": 3, "lr": 0.01}},
        "seed": 0,
        "versions": {"zoo": "0.1.0"},
    }
    (path / "run.json").write_text(json.dumps({**usual, **document}))
    if csv is not None:
        (path / "results.csv").write_text(csv)
    if started is not None:
        (path / "events.jsonl").write_text(json.dumps({"time": started, "event": "started"}) + "\n")
    return path
