"""Reads an ONNX file as data: its nodes, its constants, its image and its outputs.

Only the description of the protocol buffer comes from the package `onnx`. Its loader would follow
the paths of external data wherever they lead.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diamond_cutter.model_inventory.errors import BadModel, Quantised, first_few, shape_in_words
from diamond_cutter.model_inventory.graph.precision import quantised
from diamond_cutter.model_inventory.onnx.class_names import class_names
from diamond_cutter.model_inventory.onnx.constants import MAX_BYTES, array_of, file_of
from diamond_cutter.model_inventory.onnx.outputs import float_kinds, float_outputs, nodes_before
from diamond_cutter.model_inventory.onnx.values import Array
from diamond_cutter.regular_files import open_regular

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

_OLDEST_OPERATORS = 7
_OWN_DOMAINS = ("", "ai.onnx")
# QuantizeLinear, DequantizeLinear, ConvInteger, QLinearConv, QGemm, MatMulNBits and others.
_QUANTISED = re.compile(r".*([Qq]uantize|Integer).*|Q[A-Z].*|MatMul(NBits|Bnb4|FpQ4)")


@dataclass(frozen=True)
class ImageInput:
    """The input of the graph: sides are None if arbitrary.

    Attributes:
        name: in the graph.
        batch, height, width, channels: its sides.
        channels_first: the order of its axes.
        whole: whether its values are whole numbers from 0 to 255.
    """

    name: str
    batch: int | None
    height: int | None
    width: int | None
    channels: int
    channels_first: bool
    whole: bool = False


@dataclass(frozen=True)
class OnnxGraph:
    """The content of an ONNX file.

    Attributes:
        version: of the operator set.
        nodes: those that lead to the outputs, in forward order.
        constants: those that the nodes read, by name; floats are float32.
        image: the only input.
        outputs: the names of its outputs of floats.
        files: those beside the model that hold weights.
        class_names: of the classes, in order; none if the file has none.
    """

    version: int
    nodes: Sequence["NodeProto"]
    constants: Mapping[str, Array]
    image: ImageInput
    outputs: Sequence[str]
    files: Sequence[Path] = ()
    class_names: tuple[str, ...] = ()


def read_onnx_file(path: Path) -> OnnxGraph:
    """Return the content of an ONNX file, with the constants that lie in files beside it.

    Raises:
        BadModel: the package `onnx` is not installed, the file is damaged or quantised, takes
            anything but one image, returns no floats, or names data outside its folder.
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
    outputs = float_outputs(path, graph)
    nodes = nodes_before(graph.node, outputs)
    read = {*outputs, *(name for node in nodes for name in node.input)}
    constants = [tensor for tensor in graph.initializer if tensor.name in read]
    inside = [attribute.t for node in nodes for attribute in node.attribute]
    _refuse_quantised(path, nodes, constants)
    return OnnxGraph(
        versions[0],
        nodes,
        {tensor.name: array_of(path, tensor) for tensor in constants},
        _image(path, graph),
        outputs,
        sorted({file for each in (*constants, *inside) if (file := file_of(path, each))}),
        class_names(model),
    )


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
            if size > MAX_BYTES:
                raise BadModel(
                    f"{path} is too large: expected at most {MAX_BYTES} bytes, found {size}. "
                    "Export it with external data."
                )
            data = file.read(MAX_BYTES)
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


def _refuse_quantised(
    path: Path, nodes: Sequence["NodeProto"], constants: Sequence["TensorProto"]
) -> None:
    """Refuse a file with operators of whole numbers, and name the type of the largest weights."""
    whole = {each.name: each for each in constants if each.data_type not in float_kinds()}
    operators = [node for node in nodes if _QUANTISED.fullmatch(node.op_type)]
    if not operators:
        return
    weights = [(whole[name], node) for node in operators for name in node.input if name in whole]
    kind, node = "whole numbers", operators[0]
    if weights:
        tensor, node = max(weights, key=lambda each: math.prod(each[0].dims))
        kind = _kind_name(tensor.data_type)
    name = node.name or node.output[0]
    raise Quantised(f"{path} {quantised(kind, node.op_type[:40], name[:80])}")


def _image(path: Path, graph: "GraphProto") -> ImageInput:
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in constants]
    remedy = "Export it with one input for images, [batch, channels, height, width]."
    if len(inputs) != 1:
        names = first_few([each.name for each in inputs]) or "none"
        raise BadModel(f"{path} has {len(inputs)} inputs: expected 1, found {names}. {remedy}")
    found = _sides(inputs[0])
    kind = inputs[0].type.tensor_type.elem_type
    whole = _kind_name(kind) == "uint8"
    if len(found) != 4 or not (whole or kind in float_kinds()):
        raise BadModel(
            f"{path} does not take images: expected floats or uint8 [batch, channels, height, "
            f"width], found {_kind_name(kind)} {shape_in_words(found)}. {remedy}"
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
    return ImageInput(inputs[0].name, batch, height, width, channels, first, whole)


def _sides(value: "ValueInfoProto") -> list[int | None]:
    return [
        side.dim_value if side.dim_value > 0 else None for side in value.type.tensor_type.shape.dim
    ]


def _could_be_channels(side: int | None) -> bool:
    return side is not None and side <= 4


def _kind_name(kind: int) -> str:
    from onnx import TensorProto

    names = {value: name for name, value in TensorProto.DataType.items()}
    return names.get(kind, "unknown").lower()
