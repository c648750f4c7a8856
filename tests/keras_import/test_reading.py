"""Files of strangers: nothing is followed, executed or unpacked beyond what a model takes."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from zoo.errors import ModelFileError
from zoo.keras_import import import_keras

KERNEL = "model_weights/dense/sequential/dense/kernel"


@pytest.fixture
def victim(keras_files: Path, tmp_path: Path) -> Path:
    """An .h5 to spoil."""
    path = tmp_path / "victim.h5"
    shutil.copy(keras_files / "binary.h5", path)
    return path


@contextmanager
def spoiled(path: Path) -> Iterator[h5py.File]:
    with h5py.File(path, "r+") as file:
        yield file


def refusal(path: Path) -> str:
    """Why a file is refused."""
    with pytest.raises(ModelFileError) as refused:
        import_keras(path, path.with_suffix(".safetensors"))
    assert not path.with_suffix(".safetensors").exists()
    assert str(path) in refused.value.message
    return refused.value.message


def replaced(path: Path, make: Callable[[h5py.File, np.ndarray[Any, Any]], None]) -> str:
    """The refusal of a file whose kernel was stored in another way."""
    with spoiled(path) as file:
        values = file[KERNEL][()]
        del file[KERNEL]
        make(file, values)
    return refusal(path)


def with_setting(path: Path, kind: str, **settings: Any) -> None:
    """Changes what the file says of a kind of layers."""
    with spoiled(path) as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == kind:
                layer["config"].update(settings)
        file.attrs["model_config"] = json.dumps(config)


def test_the_victim_was_sound(victim: Path) -> None:
    import_keras(victim, victim.with_suffix(".safetensors"))


def test_links_are_not_followed(victim: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.ones((4, 1), "float32")

    def external(file: h5py.File, _: Any) -> None:
        file[KERNEL] = h5py.ExternalLink(tmp_path / "other.h5", "/x")

    def soft(file: h5py.File, values: Any) -> None:
        del file[KERNEL]
        file["elsewhere"] = values
        file[KERNEL] = h5py.SoftLink("/elsewhere")

    assert "no link is followed" in replaced(victim, external)
    with spoiled(victim) as file:
        soft(file, np.ones((4, 1), "float32"))
    assert "no link is followed" in refusal(victim)
    with spoiled(victim) as file:
        file.move("model_weights", "moved")
        file["model_weights"] = h5py.SoftLink("/moved")
    assert "no link is followed" in refusal(victim)


def test_data_elsewhere_are_not_read(victim: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(bytes(16))

    def external(file: h5py.File, _: Any) -> None:
        file.create_dataset(KERNEL, (4, 1), "float32", external=[(str(tmp_path / "raw"), 0, 16)])

    assert "lies in another file" in replaced(victim, external)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.ones((4, 1), "float32")
    layout = h5py.VirtualLayout((4, 1), "float32")
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "x", (4, 1))
    with spoiled(victim) as file:
        del file[KERNEL]
        file.create_virtual_dataset(KERNEL, layout)
    assert "lies in another file" in refusal(victim)


def test_a_shape_that_the_file_does_not_back(victim: Path) -> None:
    def unwritten(file: h5py.File, _: Any) -> None:
        file.create_dataset(KERNEL, (4, 1), "float32")  # HDF5 allocates it with the first write

    assert "declares 16 bytes, which the file does not hold" in replaced(victim, unwritten)


def test_more_parameters_than_bytes(victim: Path) -> None:
    with_setting(victim, "Dense", units=50_000_000)
    assert "have 250,000,112 parameters, more than" in refusal(victim)
    with_setting(victim, "Dense", units=200_000_000)
    assert "more than 500,000,000 values" in refusal(victim)


def test_maps_larger_than_any_memory(victim: Path) -> None:
    with_setting(victim, "Conv2D", filters=65_000)
    with_setting(victim, "InputLayer", batch_shape=[None, 4096, 4096, 1])
    assert "more than 500,000,000 values" in refusal(victim)


def test_compressed_weights(victim: Path) -> None:
    def packed(file: h5py.File, values: Any) -> None:
        file.create_dataset(KERNEL, data=values, compression="gzip")

    assert "compressed pieces" in replaced(victim, packed)


def test_what_is_no_weight(victim: Path) -> None:
    def other(**options: Any) -> Callable[[h5py.File, Any], None]:
        def make(file: h5py.File, _: Any) -> None:
            file.create_dataset(KERNEL, **options)

        return make

    assert "no floating-point numbers but int32" in replaced(
        victim, other(data=np.ones((4, 1), "int32"))
    )
    assert "is 1×4, not 4×1" in replaced(victim, other(data=np.ones((1, 4), "float32")))
    assert "Weights that are not finite: dense.weight" in replaced(
        victim, other(data=np.full((4, 1), np.inf, "float32"))
    )
    with spoiled(victim) as file:
        del file[KERNEL]
    assert "dense lacks its weight kernel" in refusal(victim)


def test_surplus_weights(victim: Path) -> None:
    with spoiled(victim) as file:
        file["model_weights/dense/sequential/dense/lora_kernel_a"] = np.ones(3, "float32")
    assert "dense has weights too many: lora_kernel_a" in refusal(victim)


def test_what_holds_no_model(victim: Path, tmp_path: Path) -> None:
    with spoiled(victim) as file:
        del file.attrs["model_config"]
    assert "no description of a model" in refusal(victim)
    with spoiled(victim) as file:
        file.attrs["model_config"] = [b"a", b"b"]
    assert "model_config is no text" in refusal(victim)
    text = tmp_path / "notes.h5"
    text.write_text("no HDF5 at all")
    assert "is no Keras file, or it is damaged" in refusal(text)
    victim.write_bytes(victim.read_bytes()[:4000])
    assert "is no Keras file, or it is damaged" in refusal(victim)


Members = dict[str, bytes]


@pytest.fixture
def packed(keras_files: Path, tmp_path: Path) -> Callable[..., Path]:
    """Packs a sound .keras again, with other members."""

    def pack(change: Callable[[Members], None], compression: int = zipfile.ZIP_STORED) -> Path:
        with zipfile.ZipFile(keras_files / "binary.keras") as source:
            members = {name: source.read(name) for name in source.namelist()}
        change(members)
        path = tmp_path / "packed.keras"
        with zipfile.ZipFile(path, "w", compression) as target:
            for name, content in members.items():
                target.writestr(name, content)
        return path

    return pack


def test_a_deflated_zip_is_read(packed: Callable[..., Path], tmp_path: Path) -> None:
    import_keras(packed(lambda _: None, zipfile.ZIP_DEFLATED), tmp_path / "out.safetensors")


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a\\..\\b", "C:outside"])
def test_members_that_reach_outside(name: str, packed: Callable[..., Path]) -> None:
    assert "reaches outside" in refusal(packed(lambda members: members.update({name: b""})))


def test_zip_bombs(packed: Callable[..., Path]) -> None:
    many = bytes(24 << 20)
    for name in ("config.json", "metadata.json", "model.weights.h5"):
        path = packed(lambda members, name=name: members.update({name: many}), zipfile.ZIP_DEFLATED)
        assert path.stat().st_size < 1 << 20
        assert f"{name!r} unpacks to too much" in refusal(path)


def test_other_zips(packed: Callable[..., Path]) -> None:
    assert "a zip without config.json" in refusal(
        packed(lambda members: members.pop("config.json"))
    )
    assert "nested too deeply" in refusal(
        packed(lambda members: members.update({"config.json": b"[" * 200_000}))
    )
    assert "packed in an unusual way" in refusal(packed(lambda _: None, zipfile.ZIP_LZMA))


def test_a_repeated_member(packed: Callable[..., Path]) -> None:
    path = packed(lambda _: None)
    with (
        zipfile.ZipFile(path, "a") as target,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        target.writestr("config.json", "{}")
    assert "have the same name" in refusal(path)
