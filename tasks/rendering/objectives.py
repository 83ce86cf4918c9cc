"""What a sprite maximises, one number for each member of the batch. After lucid's
`optvis.objectives`.

Every objective here is a weighted sum of some channels, at one position, over all of them, or half
of each: a channel is one channel of weight 1, its negative one of weight -1, a direction all
channels with the vector as weights, a mix several.
"""

from typing import NamedTuple

import tensorflow as tf

from diamond_cutter.tasks.rendering.named_gradient import with_gradient

_GRADIENT = "DiamondCutterGather"


class Targets(NamedTuple):
    """What the members of a batch look for in one layer.

    channels: int32 `[batch, term]`, which channels.
    weights: float32 `[batch, term]`, how much each counts; 0 for those that fill up.
    """

    channels: tf.Tensor
    weights: tf.Tensor


class Focus(NamedTuple):
    """Where a batch looks.

    share: float32 `[]`, 0 is the mean over all positions, 1 is the neuron, 0.5 is half of each.
    at: float32 `[2]`, the neuron's row and column as shares of the layer's sides.
    """

    share: tf.Tensor
    at: tf.Tensor


def target_maps(activations: tf.Tensor, targets: Targets) -> tf.Tensor:
    """Return each batch element's weighted sum of its own channels at every position, float32
    `[batch, height, width]`.

    Args:
        activations: `[batch, height, width, channel]`, or `[batch, channel]` of a vector layer,
            which has one position.
        targets: what each member looks for.
    """
    if activations.shape.rank == 2:
        activations = activations[:, None, None, :]
    batch, height, width, channels = activations.shape
    flat = tf.reshape(activations, [batch, height * width, channels])
    chosen = tf.cast(_gathered(flat, targets.channels), tf.float32)
    return tf.reshape(
        tf.reduce_sum(chosen * targets.weights[:, None, :], axis=2), [batch, height, width]
    )


# TensorFlow's gradient of a gather scatters into a transposed tensor and turns that round: at a
# shallow layer a seventh of a step.
@tf.function(autograph=False)
def _gathered(values: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
    """Return each batch element's own channels, `[batch, position, term]`, of `[batch, position,
    channel]`.
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
    """Return the objective of each batch element, float32 `[batch]`: lucid's `channel`, `neuron`
    and `direction`, or a mix.

    Args:
        maps: of `target_maps`.
        focus: where to look. The centre of an even side is the position behind the middle, as in
            lucid.
    """
    sides = tf.constant([maps.shape[1], maps.shape[2]], tf.float32)
    row, column = tf.unstack(tf.cast(tf.minimum(tf.floor(focus.at * sides), sides - 1.0), tf.int32))
    return (1.0 - focus.share) * tf.reduce_mean(maps, axis=[1, 2]) + focus.share * maps[
        :, row, column
    ]


def likeness(activations: tf.Tensor, variants: int) -> tf.Tensor:
    """Return how like its fellow variants each batch element is, float32 `[batch]`: mean cosine of
    Gram matrices, in [-1, 1].

    After lucid's `objectives.diversity`. Every `variants` members in a row are a group; groups do
    not know of each other.

    Args:
        activations: `[batch, height, width, channel]` or `[batch, channel]`.
        variants: members of a group, 2 or more.
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
