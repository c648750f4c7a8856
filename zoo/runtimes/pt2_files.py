"""torch.export's archives of strangers, made safe before torch reads them.

`torch.export.load` runs code that an archive brings: it unpickles example inputs, weights marked as
pickles and custom objects, loads compiled libraries, evaluates symbolic expressions and guards as
Python, imports modules that a tree specification names, and calls any function below `torch` that a
node names. So torch is given another archive, made here in memory of what a network needs: numbers
as they are, and a graph of which every word is held against what it may be. No pickle is among it.
"""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

from zoo.errors import ModelFileError, UsageError
from zoo.exported import damage_of_archives
from zoo.files import disk_errors

_GRAPH = "models/model.json"
_TENSORS = (
    ("data/weights/", "data/weights/model_weights_config.json"),
    ("data/constants/", "data/constants/model_constants_config.json"),
)
_SAMPLE_INPUTS = "data/sample_inputs/model.pt"
_MAX_GRAPH_BYTES = 256 << 20
_MAX_MEMBERS = 100_000

_DOTTED = re.compile(r"(?!.*(?:^|[.-])__\w*__(?:[.-]|$))[\w.-]*", re.ASCII)
"""Modules may have a hyphen in their names, as a RegNet's `block1-0`."""
_NUMBERED = re.compile(r"(weight|tensor)_\d+", re.ASCII)
_EXPRESSION = re.compile(
    r"(?:Symbol\('[su]\d++'(?:, (?:integer|positive|nonnegative|real)=True)*+\)"
    r"|Float\('\d++\.\d++', precision=\d++\)|[su]\d++|\d++(?:\.\d++)?"
    r"|\b(?:Add|And|CeilDiv|CeilToInt|CleanDiv|Eq|Equality|FloatTrueDiv|FloorDiv|FloorToInt"
    r"|GreaterThan|Identity|IntTrueDiv|Integer|LessThan|Max|Min|Mod|Mul|Ne|Not|Or|PythonMod"
    r"|Rational|RoundToInt|StrictGreaterThan|StrictLessThan|ToFloat|TruncToFloat|TruncToInt"
    r"|Unequality|Where|true|false|True|False)\b|\*(?!\*)|[-+/(),<>= ])*+",
    re.ASCII,
)
"""Possessive, so that no text makes it try again and again."""
_OPERATOR = re.compile(r"torch\.ops\.aten\.(\w+)\.\w+", re.ASCII)
_ARITHMETIC = re.compile(
    r"_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pos|abs|lt|le|gt|ge|eq|ne|and_|or_|not_)"
    r"|math\.(trunc|floor|ceil)|torch\.(sym_(int|float|max|min|not|ite)|_check)"
)
_REFUSED = re.compile(r"from_file|save|warn|set_|set_data|record_stream|resize\w*|.*storage\w*")
_OF_TORCH = frozenset({
    "__and__", "__or__", "__xor__",
    "_adaptive_avg_pool2d", "_assert_async", "_assert_scalar", "_assert_tensor_metadata",
    "_convolution", "_log_softmax", "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training", "_scaled_dot_product_flash_attention_for_cpu",
    "_softmax", "_to_copy", "_unsafe_view", "_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa",
    "_upsample_nearest_exact2d",
})  # fmt: skip
"""Operators that are torch's own matter, and harmless."""


def vet(path: Path) -> io.BytesIO:
    """An archive with the graph and the numbers of `path`, and nothing that could be executed.

    Raises:
        UsageError: this torch writes other archives.
        ModelFileError: it is truncated, no archive of torch.export's, or holds what no network of
            zoo needs.
        DiskError: it can't be read.
    """
    try:
        from torch.export.pt2_archive import PT2ArchiveWriter
    except ImportError as error:
        raise UsageError(".pt2 files need torch 2.9 or newer.") from error
    made = io.BytesIO()
    with (
        disk_errors("read", path),
        damage_of_archives(path),
        zipfile.ZipFile(path) as archive,
        PT2ArchiveWriter(made) as written,
    ):
        members = _members(path, archive)
        written.write_bytes(_GRAPH, _graph(path, _read(path, archive, members, _GRAPH)))
        written.write_bytes(_SAMPLE_INPUTS, b"")
        for folder, index in _TENSORS:
            config = json.loads(_read(path, archive, members, index))
            names = _tensors(path, config)
            written.write_bytes(index, json.dumps(config).encode())
            for name in names:
                content = _read(path, archive, members, folder + name)
                written.write_bytes(folder + name, content)
    made.seek(0)
    return made


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Its members by their place below the one folder."""
    found: dict[str, zipfile.ZipInfo] = {}
    entries = archive.infolist()
    if len(entries) > _MAX_MEMBERS:
        raise _refusal(path, f"it has {len(entries):,} members")
    for entry in entries:
        place = entry.filename.partition("/")[2]
        if place in found:
            raise _refusal(path, f"it has {place} twice")
        found[place] = entry
    return found


def _read(
    path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str
) -> bytes:
    if name not in members:
        raise _refusal(path, f"it lacks {name}")
    entry = members[name]
    if entry.compress_type != zipfile.ZIP_STORED:  # so that it can't unpack to more than the file
        raise _refusal(path, f"its member {name} is compressed")
    if name.endswith(".json") and entry.file_size > _MAX_GRAPH_BYTES:
        raise _refusal(path, f"its member {name} is too large")
    return archive.read(entry)


def _tensors(path: Path, config: dict[str, Any]) -> list[str]:
    """The members that hold the numbers of the tensors of an index, none of them a pickle."""
    _check_words(path, config, "")
    names = []
    for tensor, payload in config["config"].items():
        if payload["use_pickle"] is not False:
            raise _refusal(path, f"its tensor {tensor} is a pickle, which could run code")
        if not _NUMBERED.fullmatch(payload["path_name"]):
            raise _refusal(path, f"its tensor {tensor} lies in {payload['path_name']!r}")
        names.append(payload["path_name"])
    return list(dict.fromkeys(names))


def _graph(path: Path, content: bytes) -> bytes:
    """The graph with its texts left out and every other word checked."""
    program = _without_texts(json.loads(content))
    program["guards_code"] = []
    program["torch_version"] = ""
    module = program["graph_module"]
    module["module_call_graph"] = module["module_call_graph"][:1]  # of the network itself
    for call in module["module_call_graph"]:
        for side in ("in_spec", "out_spec"):
            call["signature"][side] = _tree(path, call["signature"][side])
    _check_words(path, program, "")
    return json.dumps(program).encode()


def _without_texts(value: Any) -> Any:
    """JSON without what people may read in it, such as where the code stood."""
    if isinstance(value, dict):
        return {
            key: ({} if key in ("metadata", "treespec_namedtuple_fields") else _without_texts(item))
            for key, item in value.items()
            if key not in ("guards_code", "torch_version")
        }
    return [_without_texts(item) for item in value] if isinstance(value, list) else value


def _tree(path: Path, text: str) -> str:
    """The specification of inputs or outputs: tuples, lists, dicts and leaves, by version 1."""
    version, tree = json.loads(text)
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        plain = one["type"] in (None, "builtins.tuple", "builtins.list", "builtins.dict")
        if not plain or one["context"] not in (None, "null", "[]"):
            raise _refusal(path, f"its inputs or outputs are a {one['type']}")
        waiting += one["children_spec"]
    return json.dumps([int(version), tree])


def _check_target(path: Path, target: str) -> None:
    """Refuses a node that calls anything but an operator on numbers."""
    if _ARITHMETIC.fullmatch(target):
        return
    operator = _OPERATOR.fullmatch(target)
    if operator is None or _REFUSED.fullmatch(operator[1]):
        raise _refusal(path, f"it calls {target}, which no network of zoo needs")
    if operator[1].startswith("_") and operator[1] not in _OF_TORCH:
        raise _refusal(path, f"it calls {target}, which no network of zoo needs")


def _check_words(path: Path, value: Any, key: str) -> None:
    """Refuses a text that torch could take for more than a name or an expression of sizes.

    A text that an operator is given (`as_string`) is never more than that.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            _check_word(path, name, _DOTTED)
            _check_words(path, item, name)
    elif isinstance(value, list):
        for item in value:
            _check_words(path, item, key)
    elif key == "target":
        _check_target(path, str(value))  # also in graphs inside of graphs
    elif isinstance(value, str) and key not in ("in_spec", "out_spec", "as_string"):
        _check_word(path, value, _EXPRESSION if key == "expr_str" else _DOTTED)


def _check_word(path: Path, word: str, kind: re.Pattern[str]) -> None:
    if not kind.fullmatch(word):
        raise _refusal(path, f"{word[:80]!r} is no name or expression of torch.export's")


def _refusal(path: Path, problem: str) -> ModelFileError:
    return ModelFileError(f"{path} is refused: {problem}.")
