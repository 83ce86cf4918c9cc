"""Pool the activations of a layer: one vector for each image, whatever the layer's size."""

import tensorflow as tf

from diamond_cutter.tasks.features.spec import Pooling


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
