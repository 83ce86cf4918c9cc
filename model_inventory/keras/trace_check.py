"""Compares a trace with its Keras model, layer by layer, on a noise image."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.card import NamedLayer
from diamond_cutter.model_inventory.keras.calls import layer_activations

_COMPARED_LAYERS = 40
# Relative to the size of a layer's values. Keras computes in float16 or bfloat16 if the model does.
_ROUNDING, _ROUNDING_IN_HALF = 1e-3, 3e-2


def agrees_with_keras(
    model: keras.Model,
    graph: tf.compat.v1.GraphDef,
    weights: Mapping[str, Any],
    layers: Sequence[NamedLayer],
    shape: tuple[int, int, int],
) -> bool:
    """Tell whether the shapes and statistics of layers equal the model's, for a noise image.

    An error in one layer also changes later layers, so a sample of them is compared.

    Args:
        model: in Keras.
        graph: its trace, with placeholders for the image (`input`) and the weights.
        weights: tensors or variables by the names of their placeholders.
        layers: of the trace, in forward order.
        shape: height, width and channels of the image.
    """
    noise = np.random.default_rng(0).random((1, *shape), np.float32)
    expected = layer_activations(model, noise, _statistics)
    compared = layers[:: -math.ceil(len(layers) / _COMPARED_LAYERS)]
    for layer, (found_shape, found) in zip(
        compared, _statistics_of(graph, weights, compared, noise), strict=True
    ):
        wanted_shape, wanted, rounding = expected[layer.name]
        close = np.allclose(
            found, wanted, rtol=0, atol=rounding * float(wanted[1]) + 1e-6, equal_nan=True
        )
        if tuple(found_shape) != wanted_shape or not close:
            return False
    return True


def _statistics_of(
    graph: tf.compat.v1.GraphDef,
    weights: Mapping[str, Any],
    layers: Sequence[NamedLayer],
    image: npt.NDArray[np.float32],
) -> list[tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]]:
    """Return the shapes and statistics of layers.

    The graph runs without optimisation, with the same kernels as in Keras. Other rounding grows in
    deep untrained networks until the statistics differ. Weights are fed, because TensorFlow copies
    those in a graph several times.
    """
    options = tf.compat.v1.ConfigProto()
    options.graph_options.rewrite_options.disable_meta_optimizer = True
    fed = {
        f"{node.name}:0": weights[node.name].numpy() for node in graph.node if node.name in weights
    }
    with tf.Graph().as_default(), tf.compat.v1.Session(config=options) as session:
        values = tf.graph_util.import_graph_def(
            graph, return_elements=[layer.tensor for layer in layers], name=""
        )
        statistics: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]] = session.run(
            [(tf.shape(value), _mean_and_size(value)) for value in values],
            {"input:0": image, **fed},
        )
    return statistics


def _statistics(value: tf.Tensor) -> tuple[tuple[int, ...], npt.NDArray[np.float32], float]:
    """Return the shape and statistics of a layer in Keras, and how much its type may round them."""
    rounding = _ROUNDING if value.dtype == tf.float32 else _ROUNDING_IN_HALF
    return tuple(value.shape), np.asarray(_mean_and_size(value)), rounding


def _mean_and_size(value: tf.Tensor) -> tf.Tensor:
    value = tf.cast(value, tf.float32)
    return tf.stack([tf.reduce_mean(value), tf.sqrt(tf.reduce_mean(value**2))])
