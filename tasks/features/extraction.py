"""Compute the features of images at several layers of a model in one forward pass."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, layer_graph, to_model_input
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.tasks.features.spec import Pooling
from diamond_cutter.tasks.photos.reading import Pixels

BATCH = 32

# From pixels, uint8 or float32 `[batch, height, width, channel]`, to features by layer.
Features = Callable[[tf.Tensor], list[tf.Tensor]]


def feature_function(bundle: Bundle, layers: Sequence[str], pooling: Pooling) -> Features:
    """Return a function from images to their features at each of the layers.

    The function takes values from 0 to 255, uint8 or float32 `[batch, height, width, channel]`, so
    that pixels travel to a device in a quarter of the bytes. It returns float32 `[batch, feature]`
    for each layer.

    Raises:
        UnknownLayer: a layer does not exist; the text suggests similar names.
    """
    card, (graph, tensors) = bundle.card, layer_graph(bundle, layers)

    def features(images: tf.Tensor) -> list[tf.Tensor]:
        scaled = tf.cast(images, tf.float32) / 255.0
        found = run_inside(graph, card.input_tensor, to_model_input(scaled, card), tensors)
        return [pool(activations, pooling) for activations in found]

    return tf.function(features, autograph=False, reduce_retracing=True)


def features_of(
    function: Features, pixels: Pixels, on_progress: Callable[[int], None]
) -> list[npt.NDArray[np.float32]]:
    """Return the features of images by layer, computed in batches.

    The last batch is padded to the size of the others: a new size would be traced again, and could
    change the last bit of the results.

    Args:
        function: from `feature_function`.
        pixels: uint8 or float32 `[image, height, width, channel]` in [0, 255].
        on_progress: receives the number of images of each batch.

    Returns:
        By layer, float32 `[image, feature]`.
    """
    parts: list[list[npt.NDArray[np.float32]]] = []
    for first in range(0, len(pixels), BATCH):
        part = pixels[first : first + BATCH]
        padded = np.zeros((BATCH, *pixels.shape[1:]), pixels.dtype)
        padded[: len(part)] = part
        parts.append([found.numpy()[: len(part)] for found in function(tf.constant(padded))])
        on_progress(len(part))
    return [np.concatenate(layer) for layer in zip(*parts, strict=True)]


def pool(activations: tf.Tensor, pooling: Pooling) -> tf.Tensor:
    """Return the features of images at a layer.

    A vector layer has one position, so its maximum is its value and its deviation is 0.

    Args:
        activations: float32 `[batch, height, width, channel]`, or `[batch, channel]`.
        pooling: the average over the positions; with `average+deviation` or `average+max`, the
            standard deviation or the maximum of each channel follows.

    Returns:
        float32 `[batch, channel]`, or `[batch, 2 * channel]`.
    """
    if activations.shape.rank == 2:
        activations = activations[:, tf.newaxis, tf.newaxis, :]
    average = tf.reduce_mean(activations, axis=(1, 2))
    if pooling == "average":
        return average
    if pooling == "average+max":
        return tf.concat([average, tf.reduce_max(activations, axis=(1, 2))], axis=1)
    return tf.concat([average, tf.math.reduce_std(activations, axis=(1, 2))], axis=1)
