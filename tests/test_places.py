"""Where zoo looks for data."""

from pathlib import Path

import pytest

from zoo import places


def test_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATA", "/env")
    monkeypatch.setenv("ZOO_CACHE", "/cache")
    assert places.search_path("mnist", Path("/given"), "~/root") == [
        Path("/given/mnist"),
        Path("/given"),
        Path.home() / "root" / "mnist",
        Path.home() / "root",
        Path("/env/mnist"),
        Path("/env"),
        Path("/cache/data/mnist"),
        Path("/cache/data"),
        Path("/usr/share/datasets/mnist"),
    ]


def test_the_cache_is_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert places.cache_directory() == Path("/xdg/zoo")
