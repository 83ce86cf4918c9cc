"""Converts a Keras model of any nesting to one frozen graph with named layers.

The model is called once in a new graph, with placeholders for its variables. The observed calls
give the layers their Keras paths, such as `backbone/block_3_add`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import keras
import tensorflow as tf

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.card import NamedLayer
from diamond_cutter.model_inventory.errors import BadModel, Quantised
from diamond_cutter.model_inventory.graph.graph_def import in_forward_order, node_name
from diamond_cutter.model_inventory.graph.operation_sets import WEIGHTED
from diamond_cutter.model_inventory.graph.plain_graph import plain_graph, with_constants
from diamond_cutter.model_inventory.heads import Choose, Output, choose_output
from diamond_cutter.model_inventory.keras.calls import (
    LayerNames,
    call_model,
    dense_as_convolution,
    in_float32,
    listening,
)
from diamond_cutter.model_inventory.keras.libraries import library_of
from diamond_cutter.model_inventory.keras.signature import image_shape, named_outputs
from diamond_cutter.model_inventory.keras.trace_check import agrees_with_keras
from diamond_cutter.model_inventory.value_range import guess_value_range

# Layers that only move the values of the layer before.
_MOVES = re.compile(
    r"(Reshape|Flatten|Permute|RepeatVector|ZeroPadding\w*|Cropping\w*|Transpose|GetItem|Squeeze|ExpandDims|Pad|Cast|Split)$",
    re.IGNORECASE,
)
_UNKNOWN_SIDE_PX = 64
_Made = TypeVar("_Made")
_REMEDY = "Save it without that part, or only up to the layer before it."


@dataclass(frozen=True)
class TracedModel:
    """A Keras model as a frozen graph.

    Attributes:
        graph: constants and one placeholder, with nothing folded.
        input_tensor: the placeholder, float32 `[batch, height, width, channel]`.
        output_tensor: the chosen output.
        layers: in forward order.
        image_shape: height, width and channels; a side is None if it is arbitrary.
        value_range: values at the input for 0 and 1 in an image, estimated from the scaling inside
            the model; None if it does not scale.
        outputs: all outputs of floats.
        output: the chosen one.
    """

    graph: tf.compat.v1.GraphDef
    input_tensor: str
    output_tensor: str
    layers: tuple[NamedLayer, ...]
    image_shape: tuple[int | None, int | None, int]
    value_range: tuple[float, float] | None
    outputs: tuple[Output, ...]
    output: Output


def trace(model: keras.Model, choose: Choose = choose_output) -> TracedModel:
    """Return a model as a frozen graph, for images of any size if possible.

    The graph ends at one of the outputs, the one that `choose` returns.

    A trace for any size is verified: the statistics of its layers are compared with the model's.

    Raises:
        BadModel: the model has several inputs, takes no images, has no layer with rows and columns,
            keeps channels first, does not compute in float32, or cannot be traced.
    """
    height, width, channels = image_shape(model)
    with in_float32(model):
        try:
            traced = _Trace(model, (None, None, channels), choose)
            sound = height is None or width is None or traced.agrees((height, width, channels))
        except Exception:  # layers raise anything for an unknown size
            sound = False
        if not sound:
            traced = _with_reason(model, lambda: _Trace(model, (height, width, channels), choose))
        sides = (height or _UNKNOWN_SIDE_PX, width or _UNKNOWN_SIDE_PX)
        graph = traced.frozen()
        value_range = _with_reason(
            model, lambda: guess_value_range(graph, "input:0", (*sides, channels))
        )
    return TracedModel(
        graph,
        "input:0",
        traced.output_tensor,
        traced.layers,
        (height, width, channels),
        value_range,
        traced.outputs,
        traced.output,
    )


class _GraphOfAnyNames(tf.__internal__.FuncGraph):  # type: ignore[misc]
    """A graph in which layers may have names that TensorFlow forbids, such as `conv (3x3)`.

    Keras allows them, and other libraries than TensorFlow compute such models.
    """

    def name_scope(self, name: str | None) -> AbstractContextManager[str]:
        """Return a scope for a name with only legal letters."""
        if name:
            name = _legal(name)
            name = name if self.get_name_scope() or name[0].isalnum() else f"x{name}"
        return super().name_scope(name)


class _Trace:
    """One call of a model in a new graph."""

    def __init__(
        self, model: keras.Model, shape: tuple[int | None, int | None, int], choose: Choose
    ) -> None:
        self._model = model
        self._choose = choose
        self._library = library_of(model)
        self._graph = _GraphOfAnyNames("model")
        self._weights: dict[str, Any] = {}
        output, heard = self._called(shape)
        self._weights |= self._captured()
        tensors = [output, *(value for _name, value in heard)]
        try:
            self._hollow, kept = plain_graph(
                self._graph, "input", [tensor.name for tensor in tensors], self._weights
            )
        except Quantised as error:
            raise BadModel(f"{model.name} {error}") from error
        except BadModel as error:
            raise BadModel(f"{model.name} cannot be rendered: {error}. {_REMEDY}") from error
        self.output_tensor = kept[0]
        self.layers = self._layers([name for name, _value in heard], kept[1:])
        if not any(value.shape.rank == 4 for _name, value in heard) or not self.layers:
            raise BadModel(
                f"{model.name} has no layer with rows and columns: expected float32 [batch, "
                "height, width, channels]. Give a convolutional network."
            )

    def _called(
        self, shape: tuple[int | None, int | None, int]
    ) -> tuple[tf.Tensor, list[tuple[str, tf.Tensor]]]:
        """Call the model on a placeholder; return its output, and the layers' names and values."""
        heard: list[tuple[str, tf.Tensor]] = []
        names = LayerNames()
        channels_first: list[str] = []

        def hear(path: str, operation: keras.Operation, value: tf.Tensor) -> None:
            # An error that is raised here would come out as one of Keras.
            if getattr(operation, "data_format", None) == "channels_first":
                channels_first.append(operation.name)
            name = names.next(path)
            if value.graph is self._graph and not _MOVES.match(_kind(operation)):
                heard.append((name, value))

        with self._graph.as_default():
            image = tf.compat.v1.placeholder(tf.float32, [None, *shape], name="input")
            with (
                self._weights_as_placeholders(),
                listening(hear, self._library),
                dense_as_convolution(self._library),
            ):
                found = named_outputs(self._model, call_model(self._model, image))
            self.outputs = tuple(each for each, _tensor in found)
            self.output = self._choose(self.outputs)
            output = tf.identity(found[self.outputs.index(self.output)][1])
        if channels_first:
            raise BadModel(
                f"{self._model.name} has the wrong data format: expected channels_last, found "
                f"channels_first in layer {channels_first[0]}. Build it with "
                "data_format='channels_last'."
            )
        return output, heard

    @contextmanager
    def _weights_as_placeholders(self) -> Iterator[None]:
        """Let the model read placeholders in place of its variables."""
        if self._library is keras:
            standing_for = weight_placeholders(self._model)
            self._weights |= {placeholder.op.name: each for each, placeholder in standing_for}
            with keras.StatelessScope(state_mapping=standing_for):
                yield
        else:
            # The graph captures variables of TensorFlow by itself, but under other names.
            for variable in self._model.variables:
                name = _constant_name(variable.name.partition(":")[0])
                self._graph.capture(variable.handle, name=name)
            yield

    def frozen(self) -> tf.compat.v1.GraphDef:
        """Return the graph with constants for its weights."""
        return with_constants(
            self._hollow, {name: weight.numpy for name, weight in self._weights.items()}
        )

    def agrees(self, shape: tuple[int, int, int]) -> bool:
        """Tell whether the layers compute the same as in Keras, for a noise image of a shape."""
        return agrees_with_keras(self._model, self._hollow, self._weights, self.layers, shape)

    def _captured(self) -> dict[str, tf.Tensor]:
        """Return the values of captured tensors, and of captured variables unknown to Keras."""
        values = {}
        for outside, inside in self._graph.captures:
            reads = [
                operation for operation in inside.consumers() if operation.type == "ReadVariableOp"
            ]
            if outside.dtype != tf.resource:
                values[inside.op.name] = outside
            elif reads:
                values[inside.op.name] = tf.raw_ops.ReadVariableOp(
                    resource=outside, dtype=reads[0].get_attr("dtype")
                )
        return values

    def _layers(self, names: Sequence[str], tensors: Sequence[str]) -> tuple[NamedLayer, ...]:
        """Return a layer for each tensor that depends on weights, named by the innermost layer."""
        weighted: set[str] = set()
        for node in in_forward_order(self._hollow):
            if node.op in WEIGHTED or any(
                node_name(reference) in weighted for reference in node.input
            ):
                weighted.add(node.name)
        first = {
            tensor: name for name, tensor in zip(reversed(names), reversed(tensors), strict=True)
        }
        order = {node.name: place for place, node in enumerate(in_forward_order(self._hollow))}
        ordered = sorted(first.items(), key=lambda item: order[node_name(item[0])])
        return tuple(
            NamedLayer(name, tensor) for tensor, name in ordered if node_name(tensor) in weighted
        )


def weight_placeholders(model: keras.Model) -> list[tuple[keras.Variable, tf.Tensor]]:
    """Add a placeholder for each variable of a model to the current graph.

    The frozen graph has a constant of the same name for each of them that it needs.
    """
    return [(each, _placeholder(each)) for each in model.variables]


def _placeholder(variable: keras.Variable) -> tf.Tensor:
    return tf.compat.v1.placeholder(
        variable.dtype, variable.shape, name=_constant_name(variable.path)
    )


def _constant_name(path: str) -> str:
    return f"weights/{_legal(path)}"


def _legal(name: str) -> str:
    """Return a name of an operation for TensorFlow, with `_` for letters that are not legal."""
    return re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)


def _kind(operation: keras.Operation) -> str:
    """Return the name of a class, or of the function that a layer of Keras 2 stands for."""
    function = str(getattr(operation, "symbol", "")).rpartition(".")[2]
    return function.replace("_", "") or type(operation).__name__


def _with_reason(model: keras.Model, work: Callable[[], _Made]) -> _Made:
    """Return the result of work on a model, and convert errors of its code to BadModel."""
    try:
        return work()
    except BadModel:
        raise
    except Exception as error:  # the code of a model can raise anything
        raise BadModel(
            f"{model.name} cannot be traced ({type(error).__name__}: {first_line(error)}). Check "
            "that it runs on one image in Keras."
        ) from error
