"""Calls Keras models and observes each layer, at any depth, with the path of outer layers.

All calls of layers and of operations between them pass through one method: `__call__` of
`keras.Operation`, or of `tf_keras.layers.Layer` in models of Keras 2.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.keras.libraries import called_class, library_of
from diamond_cutter.model_inventory.keras.signature import input_shapes

# The observer and the eager mode of functions are global to the process.
_ONE_AT_A_TIME = threading.RLock()
# Tensors inside of these have four axes, too, but no rows and columns.
_CLOSED = re.compile(
    r"(MultiHeadAttention|Grouped?QueryAttention|Attention|AdditiveAttention|RNN|LSTM|GRU|Bidirectional)$"
)
_FLOATS = (tf.float32, tf.float16, tf.bfloat16)

Hear = Callable[[str, keras.Operation, tf.Tensor], None]


@contextmanager
def listening(hear: Hear, library: ModuleType) -> Iterator[None]:
    """Call `hear` with path, operation and value for each layer of a library called here.

    Calls in other threads are not reported.
    """
    with _ONE_AT_A_TIME, _functions_as_python(), _hearing(hear, called_class(library)):
        yield


def layer_activations(
    model: keras.Model,
    images: npt.NDArray[np.float32],
    measure: Callable[[tf.Tensor], Any] = np.asarray,
) -> dict[str, Any]:
    """Run a model in Keras and return the values of its layers, by the names of `tracing.trace`.

    Args:
        model: with any nesting.
        images: float32 `[batch, height, width, channel]` in the format of the model.
        measure: applied to the values of each layer at once, so that they are not kept.
    """
    heard: dict[str, Any] = {}
    names = LayerNames()

    def hear(path: str, _operation: keras.Operation, value: tf.Tensor) -> None:
        heard[names.next(path)] = measure(value)

    with listening(hear, library_of(model)):
        call_model(model, tf.constant(images))
    return heard


def call_model(model: keras.Model, image: tf.Tensor) -> Any:
    """Call a model for inference on images `[batch, height, width, channel]`."""
    shape = input_shapes(model)[0]
    return model(tf.squeeze(image, -1) if len(shape) == 3 else image, training=False)


@contextmanager
def in_float32(model: keras.Model) -> Iterator[None]:
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
            _set_policy(layer, "float32")
        yield
    finally:
        for layer, policy in zip(mixed, policies, strict=True):
            _set_policy(layer, policy)


def _set_policy(layer: keras.Layer, policy: Any) -> None:
    if isinstance(layer, keras.Layer):
        layer.dtype_policy = policy
    else:
        layer._set_dtype_policy(policy)  # Keras 2 has no public way


@contextmanager
def dense_as_convolution(library: ModuleType) -> Iterator[None]:
    """Compute Dense layers on images as convolutions, not as a dozen operations on their shape."""
    dense = library.layers.Dense
    original = dense.call

    def call(layer: keras.layers.Dense, inputs: tf.Tensor, **options: Any) -> tf.Tensor:
        if inputs.shape.rank != 4:
            return original(layer, inputs, **options)
        x = tf.nn.conv2d(inputs, tf.reshape(layer.kernel, [1, 1, *layer.kernel.shape]), 1, "VALID")
        x = x if layer.bias is None else tf.nn.bias_add(x, layer.bias)
        return x if layer.activation is None else layer.activation(x)

    dense.call = call
    try:
        yield
    finally:
        dense.call = original


class LayerNames:
    """Unique names for paths: the second call of `conv` is `conv.2`."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()

    def next(self, path: str) -> str:
        """Return the name of the next call of a path."""
        self._times[path] += 1
        return path if self._times[path] == 1 else self.next(f"{path}.{self._times[path]}")


@contextmanager
def _hearing(hear: Hear, called: Any) -> Iterator[None]:
    original, listener = called.__call__, threading.get_ident()
    stack: list[keras.Operation] = []

    def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != listener:
            return original(operation, *args, **kwargs)
        stack.append(operation)
        try:
            value = original(operation, *args, **kwargs)
            within = [outer.name for outer in stack[1:]]
            closed = any(_CLOSED.match(type(outer).__name__) for outer in stack[:-1])
            if within and not closed and tf.is_tensor(value) and _is_of_a_layer(value):
                hear("/".join(within), operation, value)
            return value
        finally:
            stack.pop()

    called.__call__ = call
    try:
        yield
    finally:
        called.__call__ = original


def _is_of_a_layer(value: tf.Tensor) -> bool:
    return value.dtype in _FLOATS and value.shape.rank in (2, 4) and value.shape[-1] is not None


@contextmanager
def _functions_as_python() -> Iterator[None]:
    """Inline functions decorated with tf.function into the graph that is being traced."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
