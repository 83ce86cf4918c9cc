"""Reads the constants of an ONNX file, also those in files beside it."""

import math
import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.onnx.values import Array
from diamond_cutter.regular_files import open_regular

if TYPE_CHECKING:
    from onnx import TensorProto

MAX_BYTES = 2**31 - 1


def array_of(path: Path, tensor: "TensorProto") -> Array:
    """Return a constant of a file, in float32 if it has floats.

    Raises:
        BadModel: it is damaged, is not made of numbers, or lies outside the folder of the file.
    """
    from onnx import TensorProto, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL:
        raw = _external(path, tensor)
        tensor = _without_location(tensor)
        tensor.raw_data = raw
    try:
        array: Array = numpy_helper.to_array(tensor)
    except Exception as error:  # the package raises anything for contradictory tensors
        raise BadModel(
            f"{path} has a damaged constant ({tensor.name[:80]}: {first_line(error)}). Export or "
            "download it again."
        ) from error
    if array.dtype.kind == "f" or array.dtype.name == "bfloat16":
        return np.asarray(array, np.float32)
    if array.dtype.kind not in "iub":
        raise BadModel(
            f"{path} has a constant that is not made of numbers ({tensor.name[:80]}: "
            f"{array.dtype}). Export it without that part."
        )
    return array


def file_of(path: Path, tensor: "TensorProto") -> Path | None:
    """Return the file that holds a constant, or None if the model itself does.

    Raises:
        BadModel: the file lies outside the folder of the model.
    """
    from onnx import TensorProto

    if tensor.data_location != TensorProto.EXTERNAL:
        return None
    places = [entry.value for entry in tensor.external_data if entry.key == "location"]
    return _inside(path, places[0] if places else "")


def _without_location(tensor: "TensorProto") -> "TensorProto":
    from onnx import TensorProto

    return TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)


def _external(path: Path, tensor: "TensorProto") -> bytes:
    """Return the bytes of a constant in another file, which must lie in the folder of the model."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    file = _inside(path, entries.get("location", ""))
    try:
        offset = int(entries.get("offset", 0))
        size = _bytes_of(tensor)
        if int(entries.get("length", size)) != size or offset < 0:
            raise ValueError(f"expected {size} bytes, found {entries.get('length')}")
        with open_regular(file) as opened:
            if os.fstat(opened.fileno()).st_size < offset + size:
                raise ValueError("the file is too short")
            opened.seek(offset)
            return opened.read(size)
    except (OSError, ValueError) as error:
        raise BadModel(
            f"the weights of {path.name} in {file} cannot be read ({tensor.name[:80]}: "
            f"{first_line(error)}). Put the file that was exported with the model beside it."
        ) from error


def _inside(path: Path, location: str) -> Path:
    parts = PurePosixPath(location).parts
    safe = (
        location
        and ".." not in parts
        and not PurePosixPath(location).is_absolute()
        and not PureWindowsPath(location).anchor
        and "\\" not in location
        and "\0" not in location
    )
    file = path.parent / location
    if not safe or not file.resolve().is_relative_to(path.parent.resolve()):
        raise BadModel(
            f"{path} names weights outside its folder ({location[:80]!r}): expected a file beside "
            "it. Do not use it."
        )
    return file


def _bytes_of(tensor: "TensorProto") -> int:
    from onnx.helper import tensor_dtype_to_np_dtype

    count = math.prod(tensor.dims)
    itemsize: Any = tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    size = count * int(itemsize)
    if min(tensor.dims, default=1) < 0 or size > MAX_BYTES:
        raise ValueError(f"it has {list(tensor.dims)[:8]} numbers")
    return size
