"""Signed attribution of each image's score to the activations of some layers, all layers in one
pass.

Gradient times activation is that of "The Building Blocks of Interpretability" (Olah et al. 2018):
linear in the activations. Integrated gradients (Sundararajan et al. 2017) go the straight way from
the layer's silence to its activations, so that they add up to what the score gains on the way.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from diamond_cutter.model_inventory.graph.cutting import Tail
from diamond_cutter.tasks.attribution.network import Network
from diamond_cutter.tasks.attribution.score import Chosen, choose, score_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec


class LayerAttribution(NamedTuple):
    """What a batch does at a layer.

    channels: the attribution of each channel, the sum over positions, float32 `[batch, channel]`.
    positions: that of each position, the sum over channels, float32 `[batch, row * column]`.
    highest: each channel's highest activation, float32 `[batch, channel]`.
    where: its position, int32 `[batch, channel]`.
    """

    channels: tf.Tensor
    positions: tf.Tensor
    highest: tf.Tensor
    where: tf.Tensor


class BatchAttribution(NamedTuple):
    """What is explained of a batch, and by what.

    logits: float32 `[batch, class]`.
    probabilities: of these, float32 `[batch, class]`.
    chosen: the classes that are explained, int32 `[batch]` each.
    layers: by layer.
    """

    logits: tf.Tensor
    probabilities: tf.Tensor
    chosen: Chosen
    layers: list[LayerAttribution]


Attribute = Callable[[tf.Tensor], BatchAttribution]


def attribution_function(network: Network, spec: AttributionSpec) -> Attribute:
    """Return a compiled function from images, float32 `[batch, height, width, channel]` in [0, 1],
    to their attributions.
    """

    @tf.function(
        input_signature=[tf.TensorSpec([None, *network.card.image.shape])], autograph=False
    )
    def attribute(images: tf.Tensor) -> BatchAttribution:
        forward = Forward(network, images)
        chosen = choose(forward.logits, spec.positive, spec.negative)
        gradients = gradients_inside(forward, chosen, spec)
        found = map(_summed_up, forward.activations, gradients)
        return BatchAttribution(
            forward.logits, network.probabilities(forward.logits), chosen, list(found)
        )

    return attribute


class Forward:
    """A batch's way through a network, in the graph being traced.

    images: `[batch, height, width, channel]` in [0, 1].
    logits: `[batch, class]`.
    activations: by layer, `[batch, row, column, channel]`, or `[batch, channel]` of a vector.
    tails: what is behind each layer, and around: what it needs beside the layer's activations.
    """

    def __init__(self, network: Network, images: tf.Tensor) -> None:
        self.network, self.images = network, images
        self.tails = [network.tail(layer) for layer in network.layers]
        names = sorted({tensor for tail in self.tails for tensor in tail.around})
        count = len(network.tensors)
        found = network.run(images, [*network.tensors, *names, network.logits])
        self.activations, self.logits = found[:count], found[-1]
        around = dict(zip(names, found[count:-1], strict=True))
        self.around = [[around[tensor] for tensor in tail.around] for tail in self.tails]


def gradients_inside(forward: Forward, chosen: Chosen, spec: AttributionSpec) -> list[tf.Tensor]:
    """Add to the graph being traced what each layer's activations are multiplied with to be
    attributions, shaped as they are.
    """
    if spec.method == "gradient":
        score = tf.reduce_sum(score_of(forward.logits, chosen))
        return tf.gradients(score, forward.activations, unconnected_gradients="zero")
    ways = zip(forward.tails, forward.activations, forward.around, strict=True)
    return [_mean_gradient(tail, layer, around, chosen, spec.steps) for tail, layer, around in ways]


def _mean_gradient(
    tail: Tail, layer: tf.Tensor, around: list[tf.Tensor], chosen: Chosen, steps: int
) -> tf.Tensor:
    """Return the mean gradient at the middles of `steps` equal parts of the way, which is exact in
    the second order.
    """

    def add(step: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        on_the_way = layer * ((tf.cast(step, tf.float32) + 0.5) / steps)
        (logits,) = tail.run(on_the_way, around)
        (gradient,) = tf.gradients(
            tf.reduce_sum(score_of(logits, chosen)), [on_the_way], unconnected_gradients="zero"
        )
        return step + 1, total + gradient

    _, total = tf.while_loop(
        lambda step, total: step < steps, add, [0, tf.zeros_like(layer)], maximum_iterations=steps
    )
    return total / steps


def _summed_up(layer: tf.Tensor, gradient: tf.Tensor) -> LayerAttribution:
    layer, attributed = by_position(layer), by_position(layer * gradient)
    return LayerAttribution(
        channels=tf.reduce_sum(attributed, axis=1),
        positions=tf.reduce_sum(attributed, axis=2),
        highest=tf.reduce_max(layer, axis=1),
        where=tf.argmax(layer, axis=1, output_type=tf.int32),
    )


def by_position(values: tf.Tensor) -> tf.Tensor:
    """Return a layer's values as `[batch, position, channel]`, positions row by row; a vector has
    one.
    """
    sides = values.shape.as_list()[1:-1]
    positions = 1 if not sides else -1 if None in sides else sides[0] * sides[1]
    return tf.reshape(values, [-1, positions, values.shape[-1]])
