"""Archives of strangers: whatever they bring, none of it runs."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from zoo.errors import ModelFileError
from zoo.precision import Precision
from zoo.runtimes import open_runtime

CPU = Precision("fp32", torch.device("cpu"))
GRAPH = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
SAMPLE = "data/sample_inputs/model.pt"


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def repacked(
    source: Path, target: Path, change: Callable[[dict[str, bytes]], None], **options: Any
) -> Path:
    """The archive with its members changed, by their place below the one folder."""
    with zipfile.ZipFile(source) as archive:
        members = {n.partition("/")[2]: archive.read(n) for n in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)
    return target


def edited(name: str, edit: Callable[[Any], None]) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        document = json.loads(members[name])
        edit(document)
        members[name] = json.dumps(document).encode()

    return change


def run(path: Path) -> torch.Tensor:
    return open_runtime(str(path), CPU).logits(torch.zeros(1, 1, 32, 32, dtype=torch.uint8))


def nodes(program: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = program["graph_module"]["graph"]["nodes"]
    return found


def signature(program: Any) -> dict[str, Any]:
    found: dict[str, Any] = program["graph_module"]["module_call_graph"][0]["signature"]
    return found


def size(program: Any) -> dict[str, Any]:
    """The first size that is an expression."""
    for tensor in program["graph_module"]["graph"]["tensor_values"].values():
        for one in tensor["sizes"]:
            if "as_expr" in one:
                found: dict[str, Any] = one["as_expr"]
                return found
    raise AssertionError("no size is an expression")


def test_what_would_run_is_left_behind(exports: dict[str, Path], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"

    def change(members: dict[str, bytes]) -> None:
        content = io.BytesIO()
        torch.save(((Bomb(mark),), {}), content)
        members[SAMPLE] = content.getvalue()
        members["data/aotinductor/model/model.so"] = b"\x7fELF"
        members["data/constants/custom_obj_0"] = pickle.dumps(Bomb(mark))
        edited(GRAPH, lambda program: program["guards_code"].append(code))(members)

    path = repacked(exports["pt2"], tmp_path / "m.pt2", change)
    assert torch.equal(run(path), run(exports["pt2"]))
    assert not mark.exists()


def test_torch_itself_would_have_run_it(exports: dict[str, Path], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    change = edited(GRAPH, lambda program: program["guards_code"].append(code))
    path = repacked(exports["pt2"], tmp_path / "m.pt2", change)
    with pytest.raises(AssertionError, match="Guard failed"):
        torch.export.load(path).module()(torch.zeros(2, 1, 32, 32))
    assert mark.exists()  # else the tests here would prove nothing


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            edited(GRAPH, lambda p: nodes(p)[0].update(target="torch.os.system")),
            r"it calls torch\.os\.system",
        ),
        (
            edited(GRAPH, lambda p: nodes(p)[0].update(target="torch.ops.aten.save.default")),
            r"it calls torch\.ops\.aten\.save",
        ),
        (
            edited(GRAPH, lambda p: nodes(p)[0].update(target="torch.ops.aten.from_file.default")),
            "it calls torch.ops.aten.from_file",
        ),
        (
            edited(GRAPH, lambda p: nodes(p)[0].update(target="torch.ops.aten._foreach.default")),
            "it calls torch.ops.aten._foreach",
        ),
        (
            edited(GRAPH, lambda p: nodes(p)[0].update(name="x); import os; (")),
            "is no name or expression",
        ),
        (
            edited(GRAPH, lambda p: nodes(p)[0].update(name="a-b.__class__-c")),
            "is no name or expression",
        ),
        (
            edited(GRAPH, lambda p: size(p).update(expr_str="__import__('os').getcwd()")),
            "is no name or expression",
        ),
        (
            edited(GRAPH, lambda p: size(p).update(expr_str="S('1')")),
            "is no name or expression",
        ),
        (
            edited(GRAPH, lambda p: size(p).update(expr_str="9**9**9")),
            "is no name or expression",
        ),
        (
            edited(GRAPH, lambda p: size(p).update(expr_str="1" * 5000 + "!")),
            "is no name or expression",
        ),
        (
            edited(
                GRAPH,
                lambda p: signature(p).update(
                    in_spec='[1, {"type": "builtins.dict", "context": '
                    '"{\\"__enum__\\": true, \\"fqn\\": \\"this:x\\"}", "children_spec": []}]'
                ),
            ),
            "its inputs or outputs are a",
        ),
        (
            edited(WEIGHTS, lambda d: d["config"]["c1.weight"].update(use_pickle=True)),
            "is a pickle",
        ),
        (
            edited(WEIGHTS, lambda d: d["config"]["c1.weight"].update(path_name="../x")),
            "is no name or expression|lies in",
        ),
        (lambda members: members.pop(WEIGHTS), "it lacks"),
    ],
)
def test_what_no_network_needs_is_refused(
    change: Callable[[dict[str, bytes]], None],
    match: str,
    exports: dict[str, Path],
    tmp_path: Path,
) -> None:
    with pytest.raises(ModelFileError, match=match):
        run(repacked(exports["pt2"], tmp_path / "m.pt2", change))


def test_names_may_have_a_hyphen(exports: dict[str, Path], tmp_path: Path) -> None:
    def change(members: dict[str, bytes]) -> None:  # as torchvision names the layers of a RegNet
        for name in (GRAPH, WEIGHTS):
            assert b"c1.weight" in members[name]
            members[name] = members[name].replace(b"c1.weight", b"c1-0.weight")

    path = repacked(exports["pt2"], tmp_path / "m.pt2", change)
    assert "c1-0.weight" in "".join(torch.export.load(path).state_dict)
    assert torch.equal(run(path), run(exports["pt2"]))


def test_compressed_members_are_refused(exports: dict[str, Path], tmp_path: Path) -> None:
    def change(members: dict[str, bytes]) -> None:
        members["data/weights/weight_0"] = bytes(1 << 20)

    path = repacked(exports["pt2"], tmp_path / "m.pt2", change, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelFileError, match=r"torch\.export writes no such archive"):
        run(path)


def test_a_member_twice_is_refused(exports: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    path.write_bytes(exports["pt2"].read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/models/model.json", b"{}")
    with pytest.raises(ModelFileError, match="twice"):
        run(path)


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.99])
def test_a_truncated_archive(kept: float, exports: dict[str, Path], tmp_path: Path) -> None:
    content = exports["pt2"].read_bytes()
    (tmp_path / "m.pt2").write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ModelFileError, match="truncated"):
        run(tmp_path / "m.pt2")


def test_an_archive_that_lost_its_beginning(exports: dict[str, Path], tmp_path: Path) -> None:
    content = exports["pt2"].read_bytes()
    (tmp_path / "m.pt2").write_bytes(content[:9] + content[50_000:])
    with pytest.raises(ModelFileError, match="truncated"):
        run(tmp_path / "m.pt2")


def test_weights_that_do_not_fit(exports: dict[str, Path], tmp_path: Path) -> None:
    def change(members: dict[str, bytes]) -> None:
        members["data/weights/weight_0"] = bytes(12)

    with pytest.raises(ModelFileError, match=r"torch\.export's graph refuses"):
        run(repacked(exports["pt2"], tmp_path / "m.pt2", change))
