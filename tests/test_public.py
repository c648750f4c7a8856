"""What `import zoo` offers is pinned: notebooks rely on it."""

import subprocess
import sys

import pytest

import zoo


def test_the_public_names() -> None:
    assert zoo.__all__ == [
        "__version__",
        "Architecture",
        "ZooError",
        "build",
        "describe",
        "evaluate",
        "load",
        "load_recipe",
        "save",
        "summarize",
    ]


def test_every_public_name_is_there_and_documented() -> None:
    for name in zoo.__all__[1:]:
        assert getattr(zoo, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = zoo.lode


def test_importing_zoo_imports_no_torch() -> None:
    probe = "import sys, zoo; assert 'torch' not in sys.modules and 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-c", probe], check=True)
