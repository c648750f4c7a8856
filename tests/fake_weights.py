"""Random weights in place of published ones, served from this machine and checked as those are."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
import torchvision.models
from torch import nn

from tests.mirror import Mirror
from zoo import published


def random_network(name: str) -> nn.Module:
    """torchvision's own network with weights that tell pictures apart, batch norms included."""
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        # As torchvision builds them around its weights.
        options = {"transform_input": True, "aux_logits": True, "init_weights": False}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: nn.Module = torchvision.models.get_model(name, **options).eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return network


def saved(state: Mapping[str, Any]) -> bytes:
    """A pickled state dict."""
    content = io.BytesIO()
    torch.save(state, content)
    return content.getvalue()


def publish(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, model: str, content: bytes, place: int = 0
) -> published.Weights:
    """Puts content on the mirror as the `place`-th weights of a network, and states its digest."""
    table = published._table()
    entries = list(table[model])
    name = f"{model}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    entries[place] = replace(
        entries[place], url=f"{mirror.url}/models/{name}", bytes=len(content) + 300
    )
    monkeypatch.setitem(table, model, entries)
    mirror.files[f"/models/{name}"] = content
    return entries[place]
