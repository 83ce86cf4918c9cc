"""Reads an ONNX file as data: its nodes, its constants, its image and its outputs.

Only the description of the protocol buffer comes from the package `onnx`. Its loader would follow
the paths of external data wherever they lead.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.errors import BadModel, first_few, shape_in_words
from diamond_cutter.model_inventory.onnx.values import Array
from diamond_cutter.regular_files import open_regular

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

_MAX_BYTES = 2**31 - 1
_OLDEST_OPERATORS = 7
_OWN_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class ImageInput:
    """The input of the graph: sides are None if arbitrary.

    Attributes:
        name: in the graph.
        batch, height, width, channels: its sides.
        channels_first: the order of its axes.
    """

    name: str
    batch: int | None
    height: int | None
    width: int | None
    channels: int
    channels_first: bool


@dataclass(frozen=True)
class OnnxGraph:
    """The content of an ONNX file.

    Attributes:
        version: of the operator set.
        nodes: in forward order.
        constants: by name; floats are float32.
        image: the only input.
        outputs: the names of its outputs.
        files: those beside the model that hold weights.
    """

    version: int
    nodes: Sequence["NodeProto"]
    constants: Mapping[str, Array]
    image: ImageInput
    outputs: Sequence[str]
    files: Sequence[Path] = ()


def read_onnx_file(path: Path) -> OnnxGraph:
    """Return the content of an ONNX file, with the constants that lie in files beside it.

    Raises:
        BadModel: the package `onnx` is not installed, the file is damaged, takes anything but one
            image, or names data outside its folder.
    """
    model = _parse(path)
    graph = model.graph
    versions = [each.version for each in model.opset_import if each.domain in _OWN_DOMAINS]
    if not versions or versions[0] < _OLDEST_OPERATORS:
        raise BadModel(
            f"{path} uses operator set {versions[0] if versions else 'unknown'} of ONNX: expected "
            f"{_OLDEST_OPERATORS} or newer. Export it again with opset_version=17."
        )
    _check_names(path, graph)
    if graph.sparse_initializer:
        raise BadModel(f"{path} has sparse weights: expected dense ones. Export it with those.")
    constants = {tensor.name: _array(path, tensor) for tensor in graph.initializer}
    return OnnxGraph(
        versions[0],
        graph.node,
        constants,
        _image(path, graph, constants),
        [output.name for output in graph.output],
        sorted({_inside(path, place) for place in map(_location, graph.initializer) if place}),
    )


def constant_of(path: Path, tensor: "TensorProto") -> Array:
    """Return the array of a constant in a node of the file."""
    return _array(path, tensor)


def is_known_domain(node: "NodeProto") -> bool:
    """Tell whether a node is of ONNX itself, not of an extension."""
    return node.domain in _OWN_DOMAINS


def _parse(path: Path) -> "ModelProto":
    try:
        import onnx
    except ImportError as error:
        raise BadModel(
            f"{path} is an ONNX file, which needs the package onnx. Run `pip install "
            "'diamond-cutter[onnx]'`."
        ) from error
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MAX_BYTES:
                raise BadModel(
                    f"{path} is too large: expected at most {_MAX_BYTES} bytes, found {size}. "
                    "Export it with external data."
                )
            data = file.read(_MAX_BYTES)
    except OSError as error:
        raise BadModel(
            f"{path} cannot be read ({error.strerror or error}). Give a readable regular file."
        ) from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's own, whose package is Google's
        raise BadModel(
            f"{path} is truncated or not an ONNX file. Export or download it again."
        ) from error
    if not model.graph.node or not model.graph.output:
        raise BadModel(f"{path} has no graph. Export or download it again.")
    return model


def _check_names(path: Path, graph: "GraphProto") -> None:
    """Refuse names that are not text: the package returns bytes for them."""
    names: list[object] = []
    for node in graph.node:
        names += [node.op_type, node.domain, node.name, *node.input, *node.output]
        names += [attribute.name for attribute in node.attribute]
        names += [part for entry in node.metadata_props for part in (entry.key, entry.value)]
    names += [each.name for each in (*graph.initializer, *graph.input, *graph.output)]
    if not all(isinstance(name, str) for name in names):
        raise BadModel(f"{path} has a name that is not text. Export or download it again.")
    for node in graph.node:
        shown = [node.op_type, node.domain, node.name, *node.input, *node.output]
        if not all(name.isprintable() for name in shown):
            raise BadModel(
                f"{path} has a name that cannot be printed. Export or download it again."
            )


def _image(path: Path, graph: "GraphProto", constants: Mapping[str, Array]) -> ImageInput:
    inputs = [each for each in graph.input if each.name not in constants]
    remedy = "Export it with one input for images, [batch, channels, height, width]."
    if len(inputs) != 1:
        names = first_few([each.name for each in inputs]) or "none"
        raise BadModel(f"{path} has {len(inputs)} inputs: expected 1, found {names}. {remedy}")
    found = _sides(inputs[0])
    kind = inputs[0].type.tensor_type.elem_type
    if len(found) != 4 or kind not in _float_kinds():
        raise BadModel(
            f"{path} does not take images: expected floats [batch, channels, height, width], found "
            f"{_kind_name(kind)} {shape_in_words(found)}. {remedy}"
        )
    first = not (_could_be_channels(found[3]) and not _could_be_channels(found[1]))
    batch, channels, height, width = found if first else (found[0], found[3], *found[1:3])
    if channels is None or not 1 <= channels <= 1000:
        raise BadModel(
            f"{path} does not say how many channels its images have: expected 1 to 1000, found "
            f"{'any' if channels is None else channels}. {remedy}"
        )
    if max(height or 1, width or 1, batch or 1) > 4096:
        raise BadModel(
            f"{path} takes images that are too large: expected at most 4096 pixels a side, found "
            f"{shape_in_words(found)}. {remedy}"
        )
    return ImageInput(inputs[0].name, batch, height, width, channels, first)


def _sides(value: "ValueInfoProto") -> list[int | None]:
    return [
        side.dim_value if side.dim_value > 0 else None for side in value.type.tensor_type.shape.dim
    ]


def _could_be_channels(side: int | None) -> bool:
    return side is not None and side <= 4


def _float_kinds() -> set[int]:
    from onnx import TensorProto

    # Whole numbers from 0 to 255 are as well given as floats.
    return {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}


def _kind_name(kind: int) -> str:
    from onnx import TensorProto

    names = {value: name for name, value in TensorProto.DataType.items()}
    return names.get(kind, "unknown").lower()


def _array(path: Path, tensor: "TensorProto") -> Array:
    """Return a constant, in float32 if it has floats."""
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


def _without_location(tensor: "TensorProto") -> "TensorProto":
    from onnx import TensorProto

    return TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)


def _location(tensor: "TensorProto") -> str:
    """Return the path of the file that holds a constant, or nothing if the model holds it."""
    from onnx import TensorProto

    places = [entry.value for entry in tensor.external_data if entry.key == "location"]
    return places[0] if places and tensor.data_location == TensorProto.EXTERNAL else ""


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
    if min(tensor.dims, default=1) < 0 or size > _MAX_BYTES:
        raise ValueError(f"it has {list(tensor.dims)[:8]} numbers")
    return size
