"""Who may import whom: DESIGN.md section 2, as a table that every import is held against."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import zoo

PACKAGE = Path(zoo.__file__).parent

# Everyone may also import errors and files, and the version from zoo itself.
EVERYONE = {"errors", "files", "__init__"}
MAY_IMPORT = {
    "__init__": set(),
    "errors": set(),
    "files": set(),
    "tables": set(),
    "published": set(),
    "cards": {"published", "tables"},
    "layer_specs": set(),
    "catalog": {"cards", "tables"},
    "yaml_nodes": set(),
    "shipped": set(),
    "values": set(),
    "schema": {"values"},
    "recipe": {"yaml_nodes", "shipped", "schema", "values"},
    "architectures": set(),
    "devices": set(),
    "precision": set(),
    "timing": {"precision"},
    "plotting": set(),
    "places": set(),
    "data": {"archives", "downloads", "places", "published", "schema", "values"},
    "removed": set(),
    "activations": {"removed"},
    "layers": {"activations", "removed"},
    "frozen": {"layers"},
    "surgery": {"activations", "frozen", "heads", "layers", "removed"},
    "summary": {"layers"},
    "tensorfile": set(),
    "description": {"catalog", "layer_specs", "schema", "tensorfile", "values"},
    "exported": {"description", "tensorfile"},
    "modelfile": {"catalog", "description", "exported", "schema", "surgery", "tensorfile"},
    "runtimes": {
        "data", "description", "devices", "exported", "modelfile", "precision", "schema",
    },
    "input_sizes": {"catalog", "description", "layers", "modelfile"},
    "heads": {"layers"},
    "misfits": {"description", "modelfile"},
    "weights": {
        "catalog", "description", "exported", "heads", "misfits", "modelfile", "tensorfile",
    },
    "pretrained": {
        "catalog", "data", "description", "downloads", "modelfile", "places", "published", "schema",
        "tensorfile", "weights",
    },
    "building": {
        "description", "downloads", "input_sizes", "modelfile", "pretrained", "summary", "surgery",
        "weights",
    },
    "freezing": {"description", "frozen", "heads", "layers", "modelfile", "summary", "surgery"},
    "downloads": {"places", "tensorfile"},
    "archives": set(),
    "provenance": {"data", "description", "modelfile", "recipe", "schema", "values"},
    "shrinking": {
        "description", "evaluation", "input_sizes", "modelfile", "precision", "summary", "surgery",
        "timing",
    },
    "pruning": {
        "data", "description", "evaluation", "heads", "layers", "modelfile", "precision",
        "shrinking", "summary", "surgery", "training",
    },
    "figures": set(),
    "judging": set(),
    "wording": set(),
    "edit_texts": {"wording"},
    "evaluation": {
        "data", "downloads", "figures", "judging", "modelfile", "precision", "provenance",
        "runtimes", "schema",
    },
    "benchmark": {
        "catalog", "data", "devices", "downloads", "evaluation", "export", "input_sizes",
        "modelfile", "plotting", "precision", "runtimes", "summary", "timing", "wording",
    },
    "prediction": {"data", "modelfile", "runtimes", "schema"},
    "training": {
        "data", "schema", "recipe", "layers", "description", "modelfile", "evaluation", "devices",
        "downloads", "freezing", "frozen", "heads", "input_sizes", "plotting", "precision",
        "pretrained", "provenance", "surgery", "tensorfile", "weights",
    },
    "export": {
        "data", "description", "exported", "heads", "layers", "modelfile", "provenance", "runtimes",
        "schema", "tensorfile", "wording",
    },
    "keras_import": {"description", "layer_specs", "modelfile", "schema", "summary"},
    "explain": {"data", "layers", "modelfile", "schema", "summary", "wording"},
    "runs": {"schema", "tensorfile", "training", "wording"},
    "report": {
        "data", "description", "downloads", "edit_texts", "evaluation", "explain", "figures",
        "judging", "modelfile", "precision", "recipe", "runs", "schema", "summary", "timing",
        "wording",
    },
    "doctor": {"devices", "places", "precision", "shipped"},
    "__main__": {"cli"},
}  # fmt: skip


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def unit(module: str) -> str:
    """`zoo.data.loader` is part of the unit `data`; `zoo` itself is `__init__`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module of ours that a file imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("zoo"))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who imports whom"
            if node.module == "zoo":
                for alias in node.names:
                    own = alias.name.startswith("__")
                    yield "zoo" if own else f"zoo.{alias.name}"
            elif node.module and node.module.startswith("zoo."):
                yield node.module


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_keep_to_the_table(path: Path) -> None:
    name = ".".join(("zoo", *path.relative_to(PACKAGE).with_suffix("").parts))
    own = unit(name)
    found = {unit(module) for module in imported(ast.parse(path.read_text()))} - {own}
    if own == "cli":
        return  # the top may import everything; that nobody imports it is held by the others
    assert found <= MAY_IMPORT[own] | EVERYONE
    if own in {"errors", "files"}:
        assert found <= {"errors"}


def test_architectures_never_import_one_another() -> None:
    for path in (PACKAGE / "architectures").glob("*.py"):
        assert not [m for m in imported(ast.parse(path.read_text())) if "architectures" in m]


def test_nothing_below_the_command_line_prints_or_exits() -> None:
    for path in files():
        if path.is_relative_to(PACKAGE / "cli"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"print", "exit"}, f"{path}:{node.lineno}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert "typer" not in ast.unparse(node), f"{path}:{node.lineno}"
