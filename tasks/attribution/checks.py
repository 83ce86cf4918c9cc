"""Check attributions: do they add up, and does the score fall without the top channels?"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from diamond_cutter.model_inventory.graph.cutting import Tail
from diamond_cutter.tasks.attribution.attribution import Forward, by_position, gradients_inside
from diamond_cutter.tasks.attribution.network import Network
from diamond_cutter.tasks.attribution.score import ChosenClasses, choose_classes, score_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec, ablated_channels

RANDOM_DRAWS = 8


class LayerChecks(NamedTuple):
    """The checks of each image of a batch at one layer, float32 `[batch]` each.

    completeness_error: |sum of the attributions - gain| / |gain|. The gain is the score minus the
        score with the whole layer at 0.
    drop_of_top: the loss of score with the channels of the highest attribution at 0.
    drop_of_random: the mean loss of score with as many random channels at 0.
    """

    completeness_error: tf.Tensor
    drop_of_top: tf.Tensor
    drop_of_random: tf.Tensor


def check_function(
    network: Network, spec: AttributionSpec
) -> Callable[[tf.Tensor, tf.Tensor, list[tf.Tensor]], list[LayerChecks]]:
    """Return a compiled function that checks attributions, layer by layer.

    The function takes images, float32 `[batch, height, width, channel]` in [0, 1]; seeds of the
    random channels, int32 `[batch]`; and for each layer the attribution of each channel, summed
    over all positions, float32 `[batch, channel]`.
    """
    layers = [network.card.layer(name) for name in network.layers]

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *network.card.image.shape]),
            tf.TensorSpec([None], tf.int32),
            [tf.TensorSpec([None, layer.channels]) for layer in layers],
        ],
        autograph=False,
    )
    def check(
        images: tf.Tensor, seeds: tf.Tensor, attributed: list[tf.Tensor]
    ) -> list[LayerChecks]:
        forward = Forward(network, images)
        ranked = network.ranked(forward.logits, spec.threshold)
        chosen = choose_classes(ranked, spec.positive, spec.negative)
        score = score_of(forward.logits, chosen)
        return [
            _check_layer(*parts, chosen, score, seeds)
            for parts in zip(
                forward.tails, forward.activations, forward.around, attributed, strict=True
            )
        ]

    return check


def completeness_function(
    network: Network, spec: AttributionSpec
) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """Return a compiled function that measures completeness errors alone, layer by layer.

    The function takes images, float32 `[batch, height, width, channel]` in [0, 1], and returns
    float32 `[batch]` for each layer.
    """

    @tf.function(
        input_signature=[tf.TensorSpec([None, *network.card.image.shape])], autograph=False
    )
    def errors(images: tf.Tensor) -> list[tf.Tensor]:
        forward = Forward(network, images)
        ranked = network.ranked(forward.logits, spec.threshold)
        chosen = choose_classes(ranked, spec.positive, spec.negative)
        score = score_of(forward.logits, chosen)
        (gradients,) = gradients_inside(forward, [chosen], spec)
        found = []
        for tail, layer, around, gradient in zip(
            forward.tails, forward.activations, forward.around, gradients, strict=True
        ):
            silent = score_of(tail.run(tf.zeros_like(layer), around)[0], chosen)
            attributed = tf.reduce_sum(by_position(layer * gradient), axis=[1, 2])
            found.append(_completeness_error(attributed, score - silent))
        return found

    return errors


def _completeness_error(attributed: tf.Tensor, gain: tf.Tensor) -> tf.Tensor:
    return tf.abs(attributed - gain) / tf.maximum(tf.abs(gain), 1e-6)


def _check_layer(
    tail: Tail,
    layer: tf.Tensor,
    around: list[tf.Tensor],
    attributed: tf.Tensor,
    chosen: ChosenClasses,
    score: tf.Tensor,
    seeds: tf.Tensor,
) -> LayerChecks:
    channels = layer.shape[-1]

    def loss(kept: tf.Tensor) -> tf.Tensor:
        """Return the loss of score, float32 `[batch]`; `kept` is 0 or 1, `[batch, channel]`."""
        factors = tf.reshape(kept, [-1, *(1 for _ in layer.shape[1:-1]), channels])
        return score - score_of(tail.run(layer * factors, around)[0], chosen)

    # One variant at a time, so that the graph holds the tail once, and memory its activations once.
    losses = tf.map_fn(
        loss,
        _kept_channels(attributed, seeds),
        fn_output_signature=tf.TensorSpec([None], tf.float32),
        parallel_iterations=1,
    )
    return LayerChecks(
        completeness_error=_completeness_error(tf.reduce_sum(attributed, axis=1), losses[0]),
        drop_of_top=losses[1],
        drop_of_random=tf.reduce_mean(losses[2:], axis=0),
    )


def _kept_channels(attributed: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
    """Return 1 for each channel that a variant keeps, 0 otherwise, `[variant, batch, channel]`.

    The first variant keeps no channel. The second drops the channels of the highest attribution,
    and the others drop as many random channels.
    """
    channels = attributed.shape[-1]
    ranks = tf.concat([attributed[None], _random_ranks(seeds, channels)], axis=0)
    top = tf.math.top_k(ranks, ablated_channels(channels)).indices
    dropped = tf.reduce_sum(tf.one_hot(top, channels), axis=2)
    return tf.concat([tf.zeros_like(attributed)[None], 1 - dropped], axis=0)


def _random_ranks(seeds: tf.Tensor, channels: int) -> tf.Tensor:
    """Return random numbers, `[RANDOM_DRAWS, batch, channel]`.

    They depend on the image's seed and on the draw, but not on the other images of the batch.
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
