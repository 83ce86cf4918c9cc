"""What a sprite maximises, one number for each member of the batch. After lucid's `optvis.objectives`."""

import tensorflow as tf


def channel_objective(activations: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
    """Return the mean activation of each batch element's own channel (lucid's `objectives.channel`).

    Args:
        activations: float32 `[batch, height, width, channel]`, or `[batch, channel]` of a vector layer.
        channels: int32 `[batch]`.

    Returns:
        float32 `[batch]`.
    """
    return tf.reduce_mean(channel_maps(activations, channels), axis=1)


def channel_maps(activations: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
    """Return each batch element's own channel at every position, float32 `[batch, positions]`."""
    flat = tf.reshape(activations, [tf.shape(activations)[0], -1, activations.shape[-1]])
    return tf.gather(flat, channels, axis=2, batch_dims=1)
