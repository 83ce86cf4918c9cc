"""A checkpoint is read as PyTorch would; what is no checkpoint, or would run something, is refused
in a sentence.
"""

import os
import pickle
import random
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.torch_checkpoint import read_state_dict
from diamond_cutter.model_inventory.weights import weights_file

MAGIC = 0x1950A86A20F9469CFC6C
Shape = tuple[int, ...]


class Storage(NamedTuple):
    key: str
    values: np.ndarray


class Tensor:
    """What the writer writes as PyTorch writes a tensor: a view into a storage."""

    def __init__(self, storage: Storage, offset: int, shape: Shape, stride: Shape) -> None:
        self.view = (storage, offset, shape, stride)

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2  # type: ignore[attr-defined]
        return rebuild, (*self.view, False, OrderedDict())


class Executes:
    """What would run a command if it were unpickled by anything else."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.trace}",)


class CheckpointPickler(pickle.Pickler):
    def persistent_id(self, value: object) -> object:
        if not isinstance(value, Storage):
            return None
        kind = getattr(
            sys.modules["torch"],
            "LongStorage" if value.values.dtype == np.int64 else "FloatStorage",
        )
        return ("storage", kind, value.key, "cpu", value.values.size, None)


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes checkpoints as PyTorch 1.5 does, without PyTorch."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for module, name in (
        (torch, "FloatStorage"),
        (torch, "LongStorage"),
        (utils, "_rebuild_tensor_v2"),
    ):
        setattr(module, name, type(name, (), {"__module__": module.__name__}))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    def write(
        state: object,
        storages: list[Storage],
        *,
        magic: object = MAGIC,
        counts: Mapping[str, int] | None = None,
    ) -> Path:
        path = tmp_path / "weights.pth"
        with path.open("wb") as file:
            for part in (
                magic,
                1001,
                {"little_endian": True},
                state,
                [storage.key for storage in storages],
            ):
                CheckpointPickler(file, protocol=2).dump(part)
            for storage in storages:
                count = (counts or {}).get(storage.key, storage.values.size)
                file.write(count.to_bytes(8, "little", signed=True) + storage.values.tobytes())
        return path

    return write


def floats(count: int, key: str = "7") -> Storage:
    return Storage(key, np.arange(count, dtype=np.float32))


def assert_refused(path: Path, why: str = "") -> None:
    with pytest.raises(BadModel, match=why or None) as caught:
        read_state_dict(path)
    text = str(caught.value)
    assert text.startswith(f"{path.name} is not a safe PyTorch checkpoint: ")
    assert text.endswith(". Reinstall its package.") and "\n" not in text and len(text) < 400


def test_tensors_are_read_with_their_values(write: Callable[..., Path]) -> None:
    table, steps = floats(24), Storage("8", np.array([2**40], np.int64))
    state = OrderedDict(
        whole=Tensor(table, 0, (2, 3, 4), (12, 4, 1)),
        part=Tensor(table, 20, (4,), (1,)),
        turned=Tensor(table, 0, (4, 2), (1, 4)),
        steps=Tensor(steps, 0, (), ()),
    )
    found = read_state_dict(write(state, [steps, table]))
    assert list(found) == ["whole", "part", "turned", "steps"]
    np.testing.assert_array_equal(found["whole"], np.arange(24).reshape(2, 3, 4))
    assert found["part"].tolist() == [20, 21, 22, 23]
    assert found["turned"].tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert found["steps"].shape == () and found["steps"] == 2**40
    assert {name: value.dtype for name, value in found.items()} == dict.fromkeys(
        ["whole", "part", "turned"], np.float32
    ) | {"steps": np.int64}


def test_the_packaged_weights_are_read_whole() -> None:
    state = read_state_dict(weights_file("efficientnet-lite0"))
    assert len(state) == 296
    assert {value.dtype for value in state.values()} == {np.dtype(np.float32), np.dtype(np.int64)}
    assert state["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert state["_blocks.10._depthwise_conv.weight"].shape == (672, 1, 5, 5)
    assert state["_fc.weight"].shape == (1000, 1280)
    assert state["_bn0.num_batches_tracked"].shape == ()
    assert all(np.isfinite(value).all() for value in state.values())
    assert all((value >= 0).all() for name, value in state.items() if name.endswith("running_var"))


@pytest.mark.parametrize("place", ["magic", "state", "within"])
def test_nothing_that_a_checkpoint_names_is_run(
    write: Callable[..., Path], tmp_path: Path, place: str
) -> None:
    trace = tmp_path / "trace"
    evil = Executes(trace)
    path = write(
        {"magic": {}, "state": evil, "within": OrderedDict(a=evil)}[place],
        [],
        magic=evil if place == "magic" else MAGIC,
    )
    assert_refused(path, r"expected a table of tensors, found the name (posix|nt)\.system")
    assert not trace.exists()


@pytest.mark.parametrize("named", [eval, getattr, np.ndarray, Path], ids=repr)
def test_names_of_anything_else_are_refused(write: Callable[..., Path], named: object) -> None:
    assert_refused(
        write(OrderedDict(a=named), []), r"expected a table of tensors, found the name \S+"
    )


def test_a_file_cut_short_anywhere_is_refused(write: Callable[..., Path]) -> None:
    table = floats(6)
    path = write(OrderedDict(a=Tensor(table, 0, (6,), (1,))), [table])
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        assert_refused(path)
    path.write_bytes(data)
    assert read_state_dict(path)["a"].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 0.999999])
def test_packaged_weights_cut_short_are_refused(tmp_path: Path, share: float) -> None:
    data = weights_file("efficientnet-lite0").read_bytes()
    path = tmp_path / "weights.pth"
    path.write_bytes(data[: int(len(data) * share)])
    assert_refused(path)


@pytest.mark.parametrize("count", [7, 2**40, 2**62, -1], ids=str)
def test_a_storage_larger_than_its_file_is_refused(write: Callable[..., Path], count: int) -> None:
    table = floats(6)
    assert_refused(
        write(OrderedDict(a=Tensor(table, 0, (6,), (1,))), [table], counts={"7": count}),
        "it is truncated",
    )


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [
        (0, (7,), (1,)),
        (1, (6,), (1,)),
        (0, (2, 3), (4, 1)),
        (-1, (2,), (1,)),
        (5, (2,), (-1,)),
        (6, (1,), (1,)),
        (0, (-1,), (1,)),
        (0, (2**32 + 1,), (2**32,)),  # (2**32) ** 2 is 0 in 64 bits
        (0, (2**62,), (4,)),
        (0, (2**50,), (0,)),
        (0, (2, 3), (1,)),
    ],
    ids=str,
)
def test_a_tensor_outside_its_storage_is_refused(
    write: Callable[..., Path], offset: int, shape: Shape, stride: Shape
) -> None:
    table = floats(6)
    assert_refused(write(OrderedDict(a=Tensor(table, offset, shape, stride)), [table]))


def test_something_other_than_tensors_is_refused(write: Callable[..., Path]) -> None:
    for state in ([1, 2], OrderedDict(a=1), "weights", None):
        assert_refused(write(state, []), "expected a table of tensors")


def test_a_tensor_without_its_storage_is_refused(write: Callable[..., Path]) -> None:
    assert_refused(write(OrderedDict(a=Tensor(floats(6), 0, (6,), (1,))), []))


def test_rubbish_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    stream = random.Random(0)
    for data in (
        b"",
        b"PK\x03\x04",
        b"<html>",
        pickle.dumps(5),
        *(stream.randbytes(300) for _ in range(50)),
    ):
        path.write_bytes(data)
        assert_refused(path)
