"""Writes zoo/tables from the installed libraries; by hand, after an update of one of them.

    python -m tests.make_tables torchvision timm [--mult-adds]

Each network is built with its parameters on the meta device. Multiply-adds, which take a pass
through it, are counted for torchvision always, for timm's 1,371 only with --mult-adds: half a
second of one core each, ten times as long as without. What was counted is written every 50 networks
and kept, so a run that was stopped goes on.
"""

import argparse
import bisect
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import Pool

import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import init
from torchvision.models import WeightsEnum as Weights
from torchvision.models import get_model_builder, get_model_weights

from zoo import layers, tables
from zoo.architectures.timm_models import timm_model
from zoo.architectures.torchvision_models import torchvision_model
from zoo.errors import StructureError
from zoo.modelfile import without_weights
from zoo.summary import summarize
from zoo.tables import Row, of_timm

# Of the papers; the libraries' own files do not tell.
YEARS = {
    "alexnet": 2014,  # One weird trick
    "convnext": 2022,
    "densenet": 2016,
    "efficientnet": 2019,
    "googlenet": 2014,
    "inception": 2015,
    "maxvit": 2022,
    "mnasnet": 2018,
    "mobilenetv2": 2018,
    "mobilenetv3": 2019,
    "regnet": 2020,
    "resnet": 2015,
    "shufflenetv2": 2018,
    "squeezenet": 2016,
    "swin_transformer": 2021,
    "vgg": 2014,
    "vision_transformer": 2020,
}
WITH_AUXILIARY = ("googlenet", "inception_v3")


def outline(row: Row, build: Callable[..., nn.Module]) -> nn.Module:
    arguments = {"num_classes": row.num_classes, "in_channels": row.input_shape[0]}
    make = partial(build, name=row.name, input_size=row.input_shape[1:], **arguments)
    return without_weights(make).to("meta")


def counted(row: Row, network: nn.Module, *, mult_adds: bool) -> Row:
    """The row with its counts."""
    params = sum(parameter.numel() for parameter in network.parameters())
    statistics = {
        id(tensor): tensor.numel()
        for module in network.modules()
        for tensor in layers.own_tensors(module)
        if not isinstance(tensor, nn.Parameter)
    }
    row = replace(row, params=params, total_params=params + sum(statistics.values()))
    if mult_adds:
        try:
            found = summarize(network, row.input_shape)
        except StructureError as error:
            print(f"{row.name}: {error}", file=sys.stderr)
        else:
            assert (found.torch_params, found.total_params) == (row.params, row.total_params)
            row = replace(row, mult_adds=found.mult_adds)
    return row


def torchvision_row(name: str) -> Row:
    preferred: Weights = get_model_weights(name).DEFAULT
    family = get_model_builder(name).__module__.rpartition(".")[2]
    row = Row(
        name=name,
        family=family,
        year=YEARS[family],
        input_shape=(3, *preferred.transforms().crop_size * 2),
        num_classes=1000,
    )
    network = outline(row, torchvision_model)
    row = counted(row, network, mult_adds=True)
    if name.startswith(("vit_", "maxvit")):
        return replace(row, smallest_px=1)  # their builder says which sizes they take
    row = replace(row, smallest_px=smallest(network))
    if name in WITH_AUXILIARY:
        row = replace(row, auxiliary_from=smallest(network, training=True))
    return row


def smallest(network: nn.Module, *, training: bool = False) -> int:
    """Shortest side that can pass, of those up to 512; with auxiliary classifiers if it trains."""
    network.eval().training = training

    def passes(side: int) -> bool:
        try:
            network(torch.zeros(2, 3, side, side, device="meta"))
        except (RuntimeError, ValueError):
            return False
        return True

    return 1 if passes(1) else bisect.bisect_left(range(1, 512), True, key=passes) + 1


def timm_row(row: Row, *, mult_adds: bool) -> Row:
    try:
        return counted(row, outline(row, timm_model), mult_adds=mult_adds)
    except StructureError as error:
        print(f"{row.name}: {error}", file=sys.stderr)
        return row


def start_process() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")

    # The values of weights are nobody's concern here, and on meta they take most of the time.
    def untouched(tensor: Tensor, *args: object, **kwargs: object) -> Tensor:
        return tensor

    for name in vars(init):
        if name.endswith("_") and not name.startswith("_"):
            setattr(init, name, untouched)
    timm.layers.weight_init._trunc_normal_ = untouched


def write_torchvision(pool: Pool) -> None:
    names = torchvision.models.list_models(module=torchvision.models)
    rows = pool.map(torchvision_row, names, chunksize=1)
    tables.write("torchvision", torchvision.__version__.partition("+")[0], rows)


def write_timm(pool: Pool, *, mult_adds: bool) -> None:
    """Counts of the same version are kept."""
    same = tables.path_of("timm").exists() and tables.version_of("timm") == timm.__version__
    known = {row.name: row for row in tables.rows_of("timm")} if same else {}
    rows = {}
    for name in timm.list_models():
        rows[name] = of_timm.row_of(name)
        if before := known.get(name):
            counts = ("params", "total_params", "mult_adds")
            rows[name] = replace(rows[name], **{key: getattr(before, key) for key in counts})
    key = "mult_adds" if mult_adds else "params"
    missing = [row for row in rows.values() if getattr(row, key) is None]
    count = partial(timm_row, mult_adds=mult_adds)
    for done, row in enumerate(pool.imap_unordered(count, missing), start=1):
        rows[row.name] = row
        if done % 50 == 0 or done == len(missing):
            print(f"{done} of {len(missing)}", file=sys.stderr)
            tables.write("timm", timm.__version__, list(rows.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("libraries", nargs="+", choices=tables.LIBRARIES)
    parser.add_argument("--mult-adds", action="store_true")
    asked = parser.parse_args()
    with get_context("spawn").Pool(os.cpu_count(), start_process) as pool:
        if "torchvision" in asked.libraries:
            write_torchvision(pool)
        if "timm" in asked.libraries:
            write_timm(pool, mult_adds=asked.mult_adds)


if __name__ == "__main__":
    main()
