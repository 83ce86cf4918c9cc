"""Converts the nodes of an ONNX file, one by one, to operations of TensorFlow."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.onnx.axes import AXES
from diamond_cutter.model_inventory.onnx.constants import array_of
from diamond_cutter.model_inventory.onnx.convolutions import CONVOLUTIONS
from diamond_cutter.model_inventory.onnx.elementwise import ELEMENTWISE
from diamond_cutter.model_inventory.onnx.layer_names import node_names
from diamond_cutter.model_inventory.onnx.nodes import Operator, Step, Weights, legal_name
from diamond_cutter.model_inventory.onnx.pooling import POOLING
from diamond_cutter.model_inventory.onnx.products import PRODUCTS_AND_NORMS
from diamond_cutter.model_inventory.onnx.reading import OnnxGraph, is_known_domain
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
# Numbers that are computed from shapes are few. Weights are left to the graph, because a result
# may differ in the last bit between processors, and the hash of a bundle must not.
_FEW = 16


class Conversion:
    """One pass over the nodes of a file.

    Attributes:
        own: height and width of the images that give values their shapes.
        graph: what was built so far.
        weights: the constants of its placeholders.
        values: that were computed, by the name in the file.
        layers: tensors that may be layers, with the name of their node; by name of the tensor.
        shapes: of all values at the model's own size.
    """

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
        self.graph = tf.__internal__.FuncGraph("model")
        self.weights = Weights()
        self.values: dict[str, Value] = {}
        self.layers: dict[str, tuple[str, tf.Tensor]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def convert(self, sides: tuple[int | None, int | None, int | None]) -> None:
        """Add all nodes to the graph.

        Args:
            sides: the batch, height and width of the images; None for any.
        """
        source = self._source
        self.values = {name: constant(array) for name, array in source.constants.items()}
        with self.graph.as_default():
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
            self.layers.setdefault(results[0].data.name, (name, results[0].data))

    def _step(self, node: "NodeProto", name: str) -> Step:
        missing = [each for each in node.input if each and each not in self.values]
        if missing:
            raise BadModel(f"it reads {missing[0][:80]!r}, which no node before it computes")
        return Step(
            node.op_type,
            name,
            self._source.version,
            {each.name: self._attribute(each) for each in node.attribute},
            [self.values[each] if each else None for each in node.input],
            len(node.output),
            self.weights,
        )

    def _attribute(self, attribute: Any) -> Any:
        from onnx import AttributeProto
        from onnx.helper import get_attribute_value

        if attribute.type == AttributeProto.TENSOR:
            return array_of(self._path, attribute.t)
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
        self.values[name] = replace(value, shape=shape)
        self.shapes[name] = shape


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
    # Axes of one in front are left out where broadcasting adds them again.
    data = data.reshape([1] * (value.rank - data.ndim) + list(data.shape))
    return replace(value, data=data, shape=data.shape)


def _as_list(result: Value | list[Value]) -> list[Value]:
    return result if isinstance(result, list) else [result]
