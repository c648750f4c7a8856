"""Published pretrained weights by name: fetched into the cache, checked, and ready to start from.

A library's file is first loaded into the library's own network, strictly, so that whatever it does
to old names of tensors happens here too; what that network then holds is the donor.
"""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo import modelfile, published, tensorfile
from zoo.catalog import Architecture, canonical
from zoo.data.sources.checks import distinct
from zoo.description import Description, Publication, describe
from zoo.downloads import Downloads, RemoteFile
from zoo.errors import ModelFileError, UsageError, closest
from zoo.places import cache_directory
from zoo.schema import Preprocessing
from zoo.weights import Donor, auxiliary_tensors, read_donor, read_pickle, sha256_of

DEFAULT = "imagenet"
"""The library's own choice among an architecture's weights."""
_SUFFIXES = (".pt", ".pth", ".safetensors")


def find_donor(weights: str | Path, card: Architecture, downloads: Downloads) -> Donor:
    """What `--weights` means: published weights by their name, or a file.

    A path has a separator or ends in .pt, .pth or .safetensors; of anything else a published name
    wins over a file, and `./name` forces the file.

    Args:
        weights: what the user typed; a `Path` is a file.
        card: of the network that is to start from them.
        downloads: may be offline.

    Raises:
        UsageError: there are neither such weights nor such a file.
        DataError: offline, or the file can't be downloaded.
        ModelFileError: the file is refused or corrupt.
        DiskError: the disk is full, or there is no permission.
    """
    name = name_of(weights, card)
    if name is None:
        return read_donor(Path(weights))
    for entry in card.published:
        if entry.name == name:
            return _of_torchvision(card, entry, downloads)
    return _of_timm(card, name, downloads)


def name_of(weights: str | Path, card: Architecture) -> str | None:
    """The name of the published weights that are meant; None where a file is.

    Raises:
        UsageError: there are neither such weights nor such a file.
    """
    path = Path(weights)
    if isinstance(weights, Path) or os.sep in weights or path.suffix in _SUFFIXES:
        return None
    names = card.weights
    asked = canonical(weights)
    if asked == DEFAULT and names:
        return names[0]
    for name in names:
        if canonical(name) == asked:
            return name
    if path.exists():
        return None
    raise _not_found(weights, card, names)


def _not_found(weights: str, card: Architecture, names: tuple[str, ...]) -> UsageError:
    if not names:
        return UsageError(
            f"There is no file {weights}, and {card.name} has no published weights.",
            hint="zoo list --pretrained shows the architectures that have.",
        )
    match = closest(canonical(weights), (DEFAULT, *names))
    suggestion = f" Did you mean {match}?" if match else ""
    return UsageError(
        f"{card.name} has no weights {weights!r}, and there is no such file.{suggestion}",
        hint=f"Published for {card.name}: {', '.join(names)}; {DEFAULT} is the first.",
    )


# -- torchvision ----------------------------------------------------------------------------------


def _of_torchvision(card: Architecture, weights: published.Weights, downloads: Downloads) -> Donor:
    file = RemoteFile(
        name=weights.url.rpartition("/")[2],
        urls=(weights.url,),
        digest=f"sha256:{weights.sha256_prefix}",
        size=weights.bytes,
        dataset="weights/torchvision",
    )
    of_torch = Path(torch.hub.get_dir()) / "checkpoints" / file.name
    is_here = of_torch.is_file() and file.matches(of_torch)
    path = of_torch if is_here else downloads.get(file, cache_directory() / file.dataset)
    crop = weights.crop_px
    described = describe(card, 1000, 3, (crop, crop))
    has_classifier = weights.top1 is not None
    described = described.model_copy(
        update={
            "published": Publication(
                library="torchvision",
                network=weights.model,
                weights=weights.name,
                licence=weights.licence,
            ),
            "classes": tuple(published.imagenet_classes().values()) if has_classifier else (),
            # The middle of what the shorter side fills, as torchvision's transforms have it.
            "preprocessing": Preprocessing.model_validate(
                {
                    "channels": 3,
                    "size": (crop, crop),
                    "content": (weights.resize_px, weights.resize_px),
                    "mean": weights.mean,
                    "std": weights.std,
                    "interpolation": weights.interpolation,
                    "fit": "crop",
                }
            ),
        }
    )
    tensors = _as_torchvision_loads(described, path)
    accuracy = f"top-1 {100 * weights.top1:.2f} %" if weights.top1 else "no classifier"
    terms = "not for commercial use" if "NC" in weights.licence else published.TERMS
    return Donor(
        name=f"{weights.name} of {card.name}",
        origin=f"{weights.name} of torchvision's {weights.model}, SHA-256 {sha256_of(path)}",
        tensors=tensors,
        description=described,
        untrained=_untrained(card, weights, tensors),
        notes=(f"{weights.name}: {accuracy} on ImageNet; {weights.licence}: {terms}",),
    )


# As torchvision.models.densenet has it: files of before 2018 have a dot between name and number.
_OLD_DENSENET = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$"
)


def _as_torchvision_loads(described: Description, path: Path) -> dict[str, Tensor]:
    """The tensors of torchvision's file under the names that its network has today."""
    state = read_pickle(path)
    for name in list(state):
        if match := _OLD_DENSENET.match(name):
            state[match[1] + match[2]] = state.pop(name)
    network = modelfile.skeleton(described)
    try:
        network.load_state_dict(state, assign=True)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(f"{path} does not fit torchvision's network: {reason}") from error
    return network.state_dict()


def _untrained(
    card: Architecture, weights: published.Weights, tensors: Mapping[str, Tensor]
) -> frozenset[str]:
    """Tensors that are in torchvision's file and learned nothing."""
    if weights.model == "googlenet":  # torchvision warns of it
        return auxiliary_tensors(card)
    if weights.top1 is None:  # features alone: the classifier is NaN
        return frozenset(name for name, tensor in tensors.items() if tensor.isnan().any())
    return frozenset()


# -- timm -----------------------------------------------------------------------------------------


def _of_timm(card: Architecture, tag: str, downloads: Downloads) -> Donor:
    try:
        import timm
    except ImportError as error:
        raise UsageError(
            f"{card.name} needs timm, which is not installed.", hint="pip install 'cnn-zoo[timm]'"
        ) from error

    name = f"{card.options['name']}.{tag}"
    config: Any = timm.get_pretrained_cfg(name)
    file = _file_of_timm(name, config)
    path = downloads.get(file, cache_directory() / file.dataset)
    is_pickle = not file.name.endswith(".safetensors")
    state = read_pickle(path) if is_pickle else tensorfile.read_tensors(path)
    try:
        # timm brings old names up to date only where it loads weights itself.
        network: nn.Module = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay={"state_dict": state}
        )
    except (RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(f"{path} does not fit timm's {name}: {reason}") from error
    channels, height, width = config.input_size
    described = describe(card, config.num_classes or None, channels, (height, width))
    licence = config.license or "licence not stated"
    described = described.model_copy(
        update={
            "published": Publication(
                library="timm", network=card.options["name"], weights=tag, licence=licence
            ),
            "classes": _classes_of_timm(config),
            "preprocessing": _preprocessing_of_timm(config),
        }
    )
    tensors = network.state_dict()
    missing = modelfile.outline(described).state_dict().keys() - tensors.keys()
    return Donor(
        name=f"{tag} of {card.name}",
        origin=f"{tag} of timm's {card.options['name']}, SHA-256 {sha256_of(path)}",
        tensors=tensors,
        description=described,
        untrained=frozenset() if config.num_classes else frozenset(missing),
        notes=(f"{tag}: {licence}; weights may have terms of the data they learned from too",),
    )


def _file_of_timm(name: str, config: Any) -> RemoteFile:
    """Where timm takes weights from; the hub states neither size nor digest beforehand."""
    if config.hf_hub_id:
        hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        file, url = "model.safetensors", f"{hub}/{config.hf_hub_id}/resolve/main/model.safetensors"
        return RemoteFile(file, (url,), "safetensors", None, f"weights/timm/{name}")
    file = config.url.rpartition("/")[2]
    digest = re.findall(r"-([0-9a-f]{8,})\.", file)
    if not digest:
        raise UsageError(f"timm states no digest of {name}: {config.url} is not downloaded.")
    return RemoteFile(file, (config.url,), f"sha256:{digest[-1]}", None, f"weights/timm/{name}")


def _classes_of_timm(config: Any) -> tuple[str, ...]:
    """The names of the classes; empty where timm does not know them."""
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset(config.to_dict())
    if subset is None or not config.num_classes:
        return ()
    if subset == "imagenet-1k":
        return tuple(published.imagenet_classes().values())
    info: Any = ImageNetInfo(subset)
    names = [info.index_to_description(index) for index in range(config.num_classes)]
    return distinct(names, info.label_names()[: len(names)])


def _preprocessing_of_timm(config: Any) -> Preprocessing:
    """As timm evaluates: enlarged by 1 / crop_pct, and the middle of it."""
    channels, height, width = config.input_size
    fits = {"center": "crop", "squash": "resize", "border": "pad"}
    return Preprocessing.model_validate(
        {
            "channels": channels,
            "size": (height, width),
            "content": [math.floor(side / config.crop_pct) for side in (height, width)],
            "mean": config.mean,
            "std": config.std,
            "interpolation": config.interpolation,
            "fit": fits[config.crop_mode],
        }
    )
