"""Objectives that a sprite maximises, and penalties that hold it back, one number per picture.

After lucid's `optvis.objectives`. Every objective is a weighted sum of some channels, at one
position, over all of them, or half of each. A channel is one channel of weight 1, its negative one
of weight -1, a direction all channels with the vector as weights, a mix several channels.

Penalties are shares, so that one weight fits every layer: the loop counts them in units of the
sprite's objective.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.tasks.rendering.gradients import with_gradient
from diamond_cutter.tasks.rendering.subjects import Targets

_GRADIENT = "DiamondCutterGather"
# Below this variance a sprite has no detail to speak of.
_LEAST_VARIANCE = 1e-3


class Focus(NamedTuple):
    """The positions of a layer that a batch maximises.

    share: float32 `[]`: 0 is the mean over all positions, 1 is the neuron, 0.5 is half of each.
    at: float32 `[2]`, the neuron's row and column as shares of the layer's sides.
    """

    share: np.float32
    at: npt.NDArray[np.float32]


def target_maps(activations: tf.Tensor, targets: Targets) -> tf.Tensor:
    """Return the weighted sum of each member's channels, float32 `[batch, height, width]`.

    Args:
        activations: `[batch, height, width, channel]`, or `[batch, channel]` of a vector layer,
            which has one position.
        targets: the channels of each member, and their weights.
    """
    if activations.shape.rank == 2:
        activations = activations[:, None, None, :]
    batch, height, width, channels = activations.shape
    flat = tf.reshape(activations, [batch, height * width, channels])
    chosen = tf.cast(_gathered(flat, targets.channels), tf.float32)
    return tf.reshape(
        tf.reduce_sum(chosen * targets.weights[:, None, :], axis=2), [batch, height, width]
    )


# TensorFlow's gradient of a gather scatters into a transposed tensor and transposes it back. At a
# shallow layer that takes a seventh of a step.
@tf.function(autograph=False)
def _gathered(values: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
    """Return each member's own channels, `[batch, position, term]`.

    Args:
        values: `[batch, position, channel]`.
        channels: int32 `[batch, term]`.
    """
    chosen = tf.gather(values, channels, axis=2, batch_dims=1)
    return with_gradient(_GRADIENT, chosen, values, channels)


@tf.RegisterGradient(_GRADIENT)
def _gradient_of_gathered(
    op: tf.Operation, upstream: tf.Tensor, *_unused: tf.Tensor
) -> tuple[None, tf.Tensor, None]:
    _, values, channels = op.inputs
    return None, _put_back(upstream, channels, values.shape[-1]), None


@tf.function(jit_compile=True, autograph=False)
def _put_back(chosen: tf.Tensor, channels: tf.Tensor, count: int) -> tf.Tensor:
    """Return zeros `[batch, position, channel]` with each term added to its channel."""
    here = tf.equal(channels[:, None, :, None], tf.range(count))
    return tf.reduce_sum(tf.where(here, chosen[..., None], tf.zeros([], chosen.dtype)), axis=2)


def objective(maps: tf.Tensor, focus: Focus) -> tf.Tensor:
    """Return the objective of each member at one layer, float32 `[batch]`.

    It is lucid's `channel`, `neuron` or `direction`, or a mix.

    Args:
        maps: of `target_maps`.
        focus: the positions. The centre of an even side is the position behind the middle, as in
            lucid.
    """
    sides = tf.constant([maps.shape[1], maps.shape[2]], tf.float32)
    row, column = tf.unstack(tf.cast(tf.minimum(tf.floor(focus.at * sides), sides - 1.0), tf.int32))
    return (1.0 - focus.share) * tf.reduce_mean(maps, axis=[1, 2]) + focus.share * maps[
        :, row, column
    ]


def total_objective(
    activations: list[tf.Tensor], targets: tuple[Targets, ...], focus: Focus
) -> tf.Tensor:
    """Return the sum of each member's objectives over the layers, float32 `[batch]`."""
    return tf.add_n(
        [
            objective(target_maps(values, wanted), focus)
            for values, wanted in zip(activations, targets, strict=True)
        ]
    )


def likeness(activations: tf.Tensor, variants: int) -> tf.Tensor:
    """Return the mean cosine of each member's Gram matrix with those of its fellow variants.

    After lucid's `objectives.diversity`. Every `variants` members in a row are a group, and groups
    do not depend on each other.

    Args:
        activations: `[batch, height, width, channel]` or `[batch, channel]`.
        variants: members of a group, 2 or more.

    Returns:
        float32 `[batch]` in [-1, 1].
    """
    batch, channels = activations.shape[0], activations.shape[-1]
    flat = tf.reshape(tf.cast(activations, tf.float32), [batch, -1, channels])
    grams = tf.reshape(
        tf.linalg.matmul(flat, flat, transpose_a=True),
        [batch // variants, variants, channels * channels],
    )
    directions = tf.math.l2_normalize(grams, axis=2, epsilon=1e-10)
    cosines = tf.linalg.matmul(directions, directions, transpose_b=True)
    others = tf.reduce_sum(cosines, axis=2) - tf.linalg.diag_part(cosines)
    return tf.reshape(others / (variants - 1), [batch])


def opacity(images: tf.Tensor) -> tf.Tensor:
    """Return the mean of each image's last plane, its opacity, float32 `[batch]` in [0, 1].

    Args:
        images: `[batch, height, width, plane]`.
    """
    return tf.reduce_mean(images[..., -1], axis=[1, 2])


def fine_detail(images: tf.Tensor) -> tf.Tensor:
    """Return the share of each image's variance that a blur over 3 x 3 pixels removes.

    It is 0 for an even image and below 1 for a natural one. Stripes one pixel wide have 16 / 9,
    because the blur inverts them. Stepping against its gradient blurs the image a little, as in
    Nguyen et al. 2015, "Deep neural networks are easily fooled", and lucid's
    `blur_input_each_step`.

    Args:
        images: `[batch, height, width, plane]` with values in [0, 1].

    Returns:
        float32 `[batch]`.
    """
    blurred = tf.stop_gradient(tf.nn.avg_pool2d(images, 3, 1, "SAME"))
    variance = tf.stop_gradient(tf.math.reduce_variance(images, axis=[1, 2, 3]))
    return tf.reduce_mean((images - blurred) ** 2, axis=[1, 2, 3]) / (variance + _LEAST_VARIANCE)
