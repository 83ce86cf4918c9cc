"""Converts a Keras model of any nesting to one frozen graph with named layers.

The model is called once in a new graph, with placeholders for its variables. The observed calls
give the layers their Keras paths, such as `backbone/block_3_add`.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.card import NamedLayer
from diamond_cutter.model_inventory.errors import BadModel, shape_in_words
from diamond_cutter.model_inventory.graph.graph_def import in_forward_order, node_name
from diamond_cutter.model_inventory.graph.operation_sets import WEIGHTED
from diamond_cutter.model_inventory.graph.plain_graph import plain_graph, with_constants
from diamond_cutter.model_inventory.keras.calls import (
    LayerNames,
    call_model,
    input_shapes,
    layer_activations,
    listening,
)
from diamond_cutter.model_inventory.value_range import guess_value_range

# Layers that only move the values of the layer before.
_MOVES = re.compile(
    r"(Reshape|Flatten|Permute|RepeatVector|ZeroPadding\w*|Cropping\w*|Transpose|GetItem|Squeeze|ExpandDims|Pad|Cast|Split)$"
)
_UNKNOWN_SIDE_PX = 64
_Made = TypeVar("_Made")
_COMPARED_LAYERS = 40
_REMEDY = "Save it without that part, or only up to the layer before it."


@dataclass(frozen=True)
class TracedModel:
    """A Keras model as a frozen graph.

    Attributes:
        graph: constants and one placeholder, with nothing folded.
        input_tensor: the placeholder, float32 `[batch, height, width, channel]`.
        output_tensor: the output; of several the first vector, or else the first.
        layers: in forward order.
        image_shape: height, width and channels; a side is None if it is arbitrary.
        value_range: values at the input for 0 and 1 in an image, estimated from the scaling inside
            the model; None if it does not scale.
    """

    graph: tf.compat.v1.GraphDef
    input_tensor: str
    output_tensor: str
    layers: tuple[NamedLayer, ...]
    image_shape: tuple[int | None, int | None, int]
    value_range: tuple[float, float] | None


def trace(model: keras.Model) -> TracedModel:
    """Return a model as a frozen graph, for images of any size if possible.

    A trace for any size is verified: the statistics of its layers are compared with the model's.

    Raises:
        BadModel: the model has several inputs, takes no images, has no layer with rows and columns,
            keeps channels first, does not compute in float32, or cannot be traced.
    """
    height, width, channels = image_shape(model)
    with _in_float32(model):
        try:
            traced = _Trace(model, (None, None, channels))
            sound = height is None or width is None or traced.agrees((height, width, channels))
        except Exception:  # layers raise anything for an unknown size
            sound = False
        if not sound:
            traced = _with_reason(model, lambda: _Trace(model, (height, width, channels)))
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
    )


def image_shape(model: keras.Model) -> tuple[int | None, int | None, int]:
    """Return the height, width and channels of the images of a model; arbitrary sides are None.

    Raises:
        BadModel: the model has several inputs, or takes no images.
    """
    shapes = input_shapes(model)
    if len(shapes) > 1:
        raise BadModel(
            f"{model.name} takes several inputs: expected one image, found {len(shapes)} inputs. "
            "Give a model that takes only the image."
        )
    if not shapes:
        raise BadModel(
            f"{model.name} has no input shape. Call it on an image, or give its first layer an "
            "input shape. Then save it again."
        )
    shape = shapes[0][1:]
    if len(shape) == 2 and None not in shape:
        shape = (*shape, 1)  # grey images without an axis for their one channel
    if len(shape) != 3 or shape[2] is None:
        raise BadModel(
            f"{model.name} does not take images: expected [batch, height, width, channels], found "
            f"{shape_in_words(shapes[0])}. Give a network for images."
        )
    return shape[0], shape[1], int(shape[2])


class _Trace:
    """One call of a model in a new graph."""

    def __init__(self, model: keras.Model, shape: tuple[int | None, int | None, int]) -> None:
        self._model = model
        self._graph = tf.__internal__.FuncGraph("model")
        self._weights: dict[str, Any] = {}
        output, heard = self._called(shape)
        self._weights |= self._captured()
        tensors = [output, *(value for _name, value in heard)]
        try:
            self._hollow, kept = plain_graph(
                self._graph, "input", [tensor.name for tensor in tensors], self._weights
            )
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
            if value.graph is self._graph and not _MOVES.match(type(operation).__name__):
                heard.append((name, value))

        with self._graph.as_default():
            image = tf.compat.v1.placeholder(tf.float32, [None, *shape], name="input")
            standing_for = [(each, _placeholder(each)) for each in self._model.variables]
            with (
                keras.StatelessScope(state_mapping=standing_for),
                listening(hear),
                _dense_as_convolution(),
            ):
                output = _main_output(self._model, call_model(self._model, image))
            output = tf.identity(output)
        if channels_first:
            raise BadModel(
                f"{self._model.name} has the wrong data format: expected channels_last, found "
                f"channels_first in layer {channels_first[0]}. Build it with "
                "data_format='channels_last'."
            )
        self._weights |= {placeholder.op.name: each for each, placeholder in standing_for}
        return output, heard

    def frozen(self) -> tf.compat.v1.GraphDef:
        """Return the graph with constants for its weights."""
        return with_constants(
            self._hollow, {name: weight.numpy for name, weight in self._weights.items()}
        )

    def agrees(self, shape: tuple[int, int, int]) -> bool:
        """Tell whether the shapes and statistics of layers equal the model's, for a noise image.

        An error in one layer also changes later layers, so a sample of them is compared.
        """
        noise = np.random.default_rng(0).random((1, *shape), np.float32)
        expected = layer_activations(self._model, noise, _statistics)
        compared = self.layers[:: -math.ceil(len(self.layers) / _COMPARED_LAYERS)]
        for layer, (found_shape, found) in zip(
            compared, self._statistics_of(compared, noise), strict=True
        ):
            wanted_shape, wanted = expected[layer.name]
            close = np.allclose(
                found, wanted, rtol=0, atol=1e-3 * float(wanted[1]) + 1e-6, equal_nan=True
            )
            if tuple(found_shape) != wanted_shape or not close:
                return False
        return True

    def _statistics_of(
        self, layers: Sequence[NamedLayer], image: npt.NDArray[np.float32]
    ) -> list[tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]]:
        """Return the shapes and statistics of layers.

        The graph runs without optimisation, with the same kernels as in Keras. Other rounding grows
        in deep untrained networks until the statistics differ. Weights are fed, because TensorFlow
        copies those in a graph several times.
        """
        options = tf.compat.v1.ConfigProto()
        options.graph_options.rewrite_options.disable_meta_optimizer = True
        fed = {
            f"{node.name}:0": self._weights[node.name].numpy()
            for node in self._hollow.node
            if node.name in self._weights
        }
        with tf.Graph().as_default(), tf.compat.v1.Session(config=options) as session:
            values = tf.graph_util.import_graph_def(
                self._hollow, return_elements=[layer.tensor for layer in layers], name=""
            )
            statistics: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]] = session.run(
                [(tf.shape(value), _mean_and_size(value)) for value in values],
                {"input:0": image, **fed},
            )
        return statistics

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


@contextmanager
def _in_float32(model: keras.Model) -> Iterator[None]:
    """Let layers with mixed precision compute in float32."""
    # Keras has no public access to nested layers.
    mixed = [
        layer
        for layer in model._flatten_layers()
        if layer.compute_dtype != "float32" and layer.variable_dtype == "float32"
    ]
    policies = [layer.dtype_policy for layer in mixed]
    try:
        for layer in mixed:
            layer.dtype_policy = "float32"
        yield
    finally:
        for layer, policy in zip(mixed, policies, strict=True):
            layer.dtype_policy = policy


@contextmanager
def _dense_as_convolution() -> Iterator[None]:
    """Compute Dense layers on images as convolutions, not as a dozen operations on their shape."""
    original = keras.layers.Dense.call

    def call(
        layer: keras.layers.Dense, inputs: tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        if inputs.shape.rank != 4:
            return original(layer, inputs, training=training)
        x = tf.nn.conv2d(inputs, tf.reshape(layer.kernel, [1, 1, *layer.kernel.shape]), 1, "VALID")
        x = x if layer.bias is None else tf.nn.bias_add(x, layer.bias)
        return x if layer.activation is None else layer.activation(x)

    keras.layers.Dense.call = call
    try:
        yield
    finally:
        keras.layers.Dense.call = original


def _main_output(model: keras.Model, outputs: Any) -> tf.Tensor:
    """Return the main output: of several the first vector, or else the first tensor."""
    tensors = [
        value
        for value in tf.nest.flatten(outputs)
        if tf.is_tensor(value) and value.dtype.is_floating
    ]
    if not tensors:
        raise BadModel(
            f"{model.name} returns no numbers: expected a tensor of floats. Give a model that "
            "returns one."
        )
    return next((tensor for tensor in tensors if tensor.shape.rank == 2), tensors[0])


def _placeholder(variable: keras.Variable) -> tf.Tensor:
    legal = re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", variable.path)
    return tf.compat.v1.placeholder(variable.dtype, variable.shape, name=f"weights/{legal}")


def _statistics(value: tf.Tensor) -> tuple[tuple[int, ...], npt.NDArray[np.float32]]:
    return tuple(value.shape), np.asarray(_mean_and_size(value))


def _mean_and_size(value: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.reduce_mean(value), tf.sqrt(tf.reduce_mean(value**2))])


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
