"""Builds the graph of an ONNX file from TensorFlow's operations, with the channels last.

The graph is built twice: for images of the file's own size, where every shape is known, and for
images of any size, with the shapes of the first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.card import NamedLayer
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.model_inventory.graph.plain_graph import plain_graph, with_constants
from diamond_cutter.model_inventory.heads import Choose, Output
from diamond_cutter.model_inventory.onnx.axes import AXES
from diamond_cutter.model_inventory.onnx.convolutions import CONVOLUTIONS
from diamond_cutter.model_inventory.onnx.elementwise import ELEMENTWISE
from diamond_cutter.model_inventory.onnx.layer_names import named_layers, node_names
from diamond_cutter.model_inventory.onnx.nodes import Operator, Step, Weights, legal_name
from diamond_cutter.model_inventory.onnx.outputs import named_outputs
from diamond_cutter.model_inventory.onnx.pooling import POOLING
from diamond_cutter.model_inventory.onnx.products import PRODUCTS_AND_NORMS
from diamond_cutter.model_inventory.onnx.reading import (
    OnnxGraph,
    constant_of,
    is_known_domain,
    read_onnx_file,
)
from diamond_cutter.model_inventory.onnx.values import Value, channels_last, constant

if TYPE_CHECKING:
    from onnx import NodeProto

_OPERATORS: Mapping[str, Operator] = {
    **AXES,
    **CONVOLUTIONS,
    **ELEMENTWISE,
    **POOLING,
    **PRODUCTS_AND_NORMS,
}
# Operators that take all numbers of an image as one axis.
_OF_FLAT = frozenset({"Gather", "Identity", "Reshape", "Shape"})
_UNKNOWN_SIDE_PX = 224
# Numbers that are computed from shapes are few. Weights are left to the graph, because a result
# may differ in the last bit between processors, and the hash of a bundle must not.
_FEW = 16
_REMEDY = "Export it without that part, or only up to the layer before it."


@dataclass(frozen=True)
class OnnxModel:
    """An ONNX file as a frozen graph.

    Attributes:
        graph: constants and one placeholder, with nothing folded.
        input_tensor: the placeholder, float32 `[batch, height, width, channel]`.
        output_tensor: the chosen output.
        layers: in forward order.
        image_shape: height, width and channels; a side is None if it is arbitrary.
        files: those beside the model that hold weights.
        outputs: all outputs.
        output: the chosen one.
    """

    graph: tf.compat.v1.GraphDef
    input_tensor: str
    output_tensor: str
    layers: tuple[NamedLayer, ...]
    image_shape: tuple[int | None, int | None, int]
    files: tuple[Path, ...]
    outputs: tuple[Output, ...]
    output: Output


def read_onnx_model(path: Path, choose: Choose, side_px: int | None = None) -> OnnxModel:
    """Return the model in an ONNX file.

    Args:
        path: of the file.
        choose: chooses one of the outputs.
        side_px: side of the training images, if the file takes images of any size.

    Raises:
        BadModel: the file is damaged or not safe, has an operator that is not known, or does not
            take one image.
    """
    source = read_onnx_file(path)
    try:
        built = _built(path, source, side_px)
        model = built.model(choose)
        _refuse_mixed_images(model, built.own)
        return model
    except BadModel as error:
        if str(error).startswith(str(path)):
            raise
        raise BadModel(f"{path} cannot be imported: {error}. {_REMEDY}") from error


def _built(path: Path, source: OnnxGraph, side_px: int | None) -> "_Conversion":
    image = source.image
    own = (image.height or side_px or _UNKNOWN_SIDE_PX, image.width or side_px or _UNKNOWN_SIDE_PX)
    fixed = _Conversion(path, source, own, {})
    fixed.convert((image.batch or 1, *own))
    for sides in ((None, None, None), (None, *own)):
        free = _Conversion(path, source, own, fixed.shapes)
        try:
            free.convert(sides)
            return free
        except BadModel:
            continue
    raise BadModel("it takes only batches of one size")


def _refuse_mixed_images(model: OnnxModel, own: tuple[int, int]) -> None:
    """Compare the output for two images with that for one.

    A file that was exported for one image can join the axis of the images with others.
    """
    images = np.random.default_rng(0).random((2, *own, model.image_shape[2]), np.float32)
    options = tf.compat.v1.ConfigProto()
    options.graph_options.rewrite_options.disable_meta_optimizer = True  # longer than two runs
    try:
        with tf.Graph().as_default(), tf.compat.v1.Session(config=options) as session:
            batch = tf.compat.v1.placeholder(tf.float32, [None, *images.shape[1:]])
            (output,) = run_inside(model.graph, model.input_tensor, batch, [model.output_tensor])
            both, one = (session.run(output, {batch: part}) for part in (images, images[1:]))
    except (tf.errors.OpError, ValueError) as error:
        raise BadModel(f"it does not run on two images ({first_line(error)})") from error
    if not np.isfinite(one).all():
        return  # weights that are not finite are refused elsewhere
    scale = float(np.abs(one).max(initial=1e-6))
    if both.shape[0] != 2 or not np.allclose(both[1:], one, atol=1e-3 * scale, equal_nan=True):
        raise BadModel("it mixes the images of a batch: expected a dynamic batch size")


class _Conversion:
    """One pass over the nodes of a file."""

    def __init__(
        self,
        path: Path,
        source: OnnxGraph,
        own: tuple[int, int],
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        self._path = path
        self._source = source
        self.own = own
        self._known = shapes
        self._graph = tf.__internal__.FuncGraph("model")
        self._weights = Weights()
        self._values: dict[str, Value] = {}
        self._layers: dict[str, tuple[str, tf.Tensor]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def convert(self, sides: tuple[int | None, int | None, int | None]) -> None:
        """Add all nodes to the graph.

        Args:
            sides: the batch, height and width of the images; None for any.
        """
        source = self._source
        self._values = {name: constant(array) for name, array in source.constants.items()}
        with self._graph.as_default():
            image = tf.compat.v1.placeholder(
                tf.float32, [*sides, source.image.channels], name="input"
            )
            first = source.image.channels_first
            order = channels_last(4) if first else (0, 1, 2, 3)
            self._keep(source.image.name, Value(image, order, 1 if first else 3))
            for node, name in zip(source.nodes, node_names(source.nodes), strict=True):
                self._add(node, name)

    def _add(self, node: "NodeProto", name: str) -> None:
        where = f"in the node {name[:80]} ({node.op_type[:40]})"
        operator = _OPERATORS.get(node.op_type) if is_known_domain(node) else None
        if operator is None:
            domain = f" of {node.domain[:40]}" if not is_known_domain(node) else ""
            raise BadModel(
                f"the operator {node.op_type[:40]}{domain} of the node {name[:80]} is not supported"
            )
        try:
            results = self._results(self._step(node, name), operator)
        except BadModel as error:
            raise BadModel(f"{error}, {where}") from error
        except Exception as error:  # NumPy and TensorFlow raise anything for values that do not fit
            raise BadModel(f"its values do not fit ({first_line(error)}), {where}") from error
        for output, value in zip(node.output, results, strict=False):
            if output:
                self._keep(output, value)
        if not results[0].is_constant and _is_layer(results[0]):
            self._layers.setdefault(results[0].data.name, (name, results[0].data))

    def _step(self, node: "NodeProto", name: str) -> Step:
        missing = [each for each in node.input if each and each not in self._values]
        if missing:
            raise BadModel(f"it reads {missing[0][:80]!r}, which no node before it computes")
        return Step(
            node.op_type,
            name,
            self._source.version,
            {each.name: self._attribute(each) for each in node.attribute},
            [self._values[each] if each else None for each in node.input],
            len(node.output),
            self._weights,
        )

    def _attribute(self, attribute: Any) -> Any:
        from onnx import AttributeProto
        from onnx.helper import get_attribute_value

        if attribute.type == AttributeProto.TENSOR:
            return constant_of(self._path, attribute.t)
        return get_attribute_value(attribute)

    def _results(self, step: Step, operator: Operator) -> list[Value]:
        """Return the outputs of a node. What depends on no image is computed if it is exact."""
        inputs = [value for value in step.inputs if value is not None]
        if step.op not in _OF_FLAT and any(value.flat for value in inputs):
            raise BadModel("it mixes the images of a batch")
        if inputs and all(value.is_constant for value in inputs):
            if all(_is_exact(value.data) for value in inputs) or step.op in AXES:
                with tf.init_scope():
                    return [_as_constant(value) for value in _as_list(operator(step))]
            tensors = [
                replace(value, data=step.tensor(value.data, f"input_{place}"))
                if value is not None and value.is_constant and not _is_exact(value.data)
                else value
                for place, value in enumerate(step.inputs)
            ]
            step = replace(step, inputs=tensors)
        with tf.name_scope(f"{legal_name(step.name)}/"):
            return _as_list(operator(step))

    def _keep(self, name: str, value: Value) -> None:
        shape = self._known.get(name)
        if shape is None:
            sides = value.sides()
            if any(side is None for side in sides):
                raise BadModel(f"the size of {name[:80]!r} depends on more than the image's size")
            shape = tuple(int(side or 0) for side in sides)
        self._values[name] = replace(value, shape=shape)
        self.shapes[name] = shape

    def model(self, choose: Choose) -> OnnxModel:
        """Return the graph with constants for its weights."""
        kinds = {output: node.op_type for node in self._source.nodes for output in node.output}
        with self._graph.as_default():
            outputs = named_outputs(self._source.outputs, self._values, kinds)
            chosen = choose(tuple(outputs))
            output = tf.identity(outputs[chosen].data)
        layers = list(self._layers.values())
        tensors = [output, *(tensor for _name, tensor in layers)]
        arrays = self._weights.arrays
        hollow, kept = plain_graph(
            self._graph, "input", [tensor.name for tensor in tensors], arrays
        )
        graph = with_constants(
            hollow,
            {name: partial(np.ascontiguousarray, array) for name, array in arrays.items()},
        )
        names = dict(zip(kept[1:], (name for name, _tensor in layers), strict=True))
        image = self._source.image
        return OnnxModel(
            graph,
            "input:0",
            kept[0],
            named_layers(graph, kept[0], names, self._kinds()),
            (image.height, image.width, image.channels),
            tuple(self._source.files),
            tuple(outputs),
            chosen,
        )

    def _kinds(self) -> Mapping[str, str]:
        names = node_names(self._source.nodes)
        return {name: node.op_type for node, name in zip(self._source.nodes, names, strict=True)}


def _is_layer(value: Value) -> bool:
    """Tell whether the channels are the last axis in memory, as in all layers."""
    if value.data.dtype != tf.float32:
        return False
    return value.rank == 2 or (
        value.rank == 4 and value.channels is not None and value.order[3] == value.channels
    )


def _is_exact(array: Any) -> bool:
    return isinstance(array, np.ndarray) and (array.dtype.kind != "f" or array.size <= _FEW)


def _as_constant(value: Value) -> Value:
    data = np.asarray(value.data)  # NumPy's scalars are no arrays
    return replace(value, data=data, shape=data.shape)


def _as_list(result: Value | list[Value]) -> list[Value]:
    return result if isinstance(result, list) else [result]
