"""Reads the weights of a PyTorch checkpoint without PyTorch and without running its code.

A checkpoint in the format before PyTorch 1.6 is five pickles (magic number, protocol version,
system facts, the state dict, the storages' keys) followed by the storages themselves: a
little-endian int64 count of elements, then the elements. A pickle can call any function; this
unpickler allows only the names in `_KNOWN_NAMES`, which are defined here.
"""

import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from diamond_cutter.model_inventory.errors import BadModel

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}


class _StorageType(NamedTuple):
    name: str


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype[Any]
    elements: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def _tensor(
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    stride: tuple[int, ...],
    *_ignored: object,
) -> _Tensor:
    return _Tensor(storage, offset, shape, stride)


_KNOWN_NAMES: dict[tuple[str, str], Callable[..., object] | _StorageType] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): _StorageType("FloatStorage"),
    ("torch", "LongStorage"): _StorageType("LongStorage"),
}


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN_NAMES:
            raise pickle.UnpicklingError(
                f"expected a table of tensors, found the name {module}.{name}"
            )
        return _KNOWN_NAMES[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _location, elements = pid[:5]
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise pickle.UnpicklingError("expected a storage, found another reference")
        return _Storage(str(key), _DTYPES[storage_type.name], int(elements))


def read_state_dict(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of a checkpoint by name, each with its stored shape and dtype.

    Raises:
        BadModel: the file is not such a checkpoint, is truncated, or names other objects.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:
        raise BadModel(
            f"{path.name} is not a safe PyTorch checkpoint: {error}. Reinstall its package."
        ) from error


def _read(file: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    if _next_pickle(file) != _MAGIC:
        raise ValueError("expected PyTorch's magic number at its start")
    _protocol, _system = _next_pickle(file), _next_pickle(file)
    state, keys = _next_pickle(file), _next_pickle(file)
    if not isinstance(state, dict) or not all(
        isinstance(value, _Tensor) for value in state.values()
    ):
        raise ValueError("expected a table of tensors")
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in state.values()}
    storages = {key: _read_storage(file, dtypes[key]) for key in keys}
    return {name: _as_array(tensor, storages[tensor.storage.key]) for name, tensor in state.items()}


def _next_pickle(file: BinaryIO) -> Any:
    return _RestrictedUnpickler(file).load()


def _read_storage(file: BinaryIO, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    count = int.from_bytes(file.read(8), "little", signed=True)
    if count < 0 or count * dtype.itemsize > _bytes_left(file):
        raise ValueError("it is truncated")
    return np.frombuffer(file.read(count * dtype.itemsize), dtype)


def _bytes_left(file: BinaryIO) -> int:
    here = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(here)
    return end - here


def _as_array(tensor: _Tensor, storage: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # Python's integers do not overflow. An overflow would let a tensor read any memory.
    last = tensor.offset + sum(
        (side - 1) * step for side, step in zip(tensor.shape, tensor.stride, strict=True)
    )
    sides_fit = min(tensor.shape, default=1) >= 1 and math.prod(tensor.shape) <= storage.size
    if (
        not sides_fit
        or min(tensor.stride, default=0) < 0
        or not 0 <= tensor.offset <= last < storage.size
    ):
        raise ValueError("a tensor lies outside its storage")
    strides = tuple(step * storage.itemsize for step in tensor.stride)
    return np.lib.stride_tricks.as_strided(
        storage[tensor.offset :], tensor.shape, strides, writeable=False
    )
