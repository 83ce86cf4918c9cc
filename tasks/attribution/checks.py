"""Whether attributions can be believed: do they add up, and does the score fall with the channels
that they name?
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from diamond_cutter.model_inventory.graph.cutting import Tail
from diamond_cutter.tasks.attribution.attribution import Forward, by_position, gradients_inside
from diamond_cutter.tasks.attribution.network import Network
from diamond_cutter.tasks.attribution.score import Chosen, choose, score_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec, ablated_channels

RANDOM_DRAWS = 8


class LayerChecks(NamedTuple):
    """What was measured of each image of a batch at a layer, float32 `[batch]`.

    completeness_error: |sum of the attributions - gain| over |gain|; the gain is what the score
    gains from the silent layer on. drop_of_top: what the score loses when the channels of the
    highest attribution are silenced. drop_of_random: what it loses in the mean when as many at
    random are.
    """

    completeness_error: tf.Tensor
    drop_of_top: tf.Tensor
    drop_of_random: tf.Tensor


def check_function(
    network: Network, spec: AttributionSpec
) -> Callable[[tf.Tensor, tf.Tensor], list[LayerChecks]]:
    """Return a compiled function that checks attributions by layer.

    The function takes images, float32 `[batch, height, width, channel]` in [0, 1], and seeds, int32
    `[batch]`, which decide what is silenced at random.
    """

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *network.card.image.shape]),
            tf.TensorSpec([None], tf.int32),
        ],
        autograph=False,
    )
    def check(images: tf.Tensor, seeds: tf.Tensor) -> list[LayerChecks]:
        forward = Forward(network, images)
        chosen = choose(forward.logits, spec.positive, spec.negative)
        score, gradients = score_of(forward.logits, chosen), gradients_inside(forward, chosen, spec)
        return [
            _check(tail, layer, around, gradient, chosen, score, seeds)
            for tail, layer, around, gradient in zip(
                forward.tails, forward.activations, forward.around, gradients, strict=True
            )
        ]

    return check


def _check(
    tail: Tail,
    layer: tf.Tensor,
    around: list[tf.Tensor],
    gradient: tf.Tensor,
    chosen: Chosen,
    score: tf.Tensor,
    seeds: tf.Tensor,
) -> LayerChecks:
    channels = layer.shape[-1]
    attributed = tf.reduce_sum(by_position(layer * gradient), axis=1)
    count = ablated_channels(channels)
    # What is silenced: all; the channels of the highest attribution; as many at random, several
    # times. `[variant, batch, channel]`
    ranks = tf.concat([attributed[None], _drawn(seeds, channels)], axis=0)
    silenced = tf.reduce_sum(tf.one_hot(tf.math.top_k(ranks, count).indices, channels), axis=2)
    kept = tf.concat([tf.zeros_like(attributed)[None], 1 - silenced], axis=0)

    def loss(kept: tf.Tensor) -> tf.Tensor:
        """Return what the score loses without the channels that are not kept, 0 or 1 in `[batch,
        channel]`; float32 `[batch]`.
        """
        factors = tf.reshape(kept, [-1, *(1 for _ in layer.shape[1:-1]), channels])
        return score - score_of(tail.run(layer * factors, around)[0], chosen)

    # One after the other: what is behind the layer stands once in the graph, and its activations
    # once in memory.
    losses = tf.map_fn(
        loss, kept, fn_output_signature=tf.TensorSpec([None], tf.float32), parallel_iterations=1
    )
    gain = losses[0]
    return LayerChecks(
        completeness_error=tf.abs(tf.reduce_sum(attributed, axis=1) - gain)
        / tf.maximum(tf.abs(gain), 1e-6),
        drop_of_top=losses[1],
        drop_of_random=tf.reduce_mean(losses[2:], axis=0),
    )


def _drawn(seeds: tf.Tensor, channels: int) -> tf.Tensor:
    """Return random numbers that an image's seed and the draw decide, whatever its batch,
    `[RANDOM_DRAWS, batch, channel]`.
    """
    count = tf.shape(seeds)[0]
    pairs = tf.stack(
        [tf.tile(seeds, [RANDOM_DRAWS]), tf.repeat(tf.range(RANDOM_DRAWS), count)], axis=1
    )
    drawn = tf.map_fn(
        lambda pair: tf.random.stateless_uniform([channels], pair),
        pairs,
        fn_output_signature=tf.TensorSpec([channels], tf.float32),
    )
    return tf.reshape(drawn, [RANDOM_DRAWS, count, channels])
