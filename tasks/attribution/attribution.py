"""Attribute each image's score to the activations of some layers, all layers in one pass.

Gradient times activation follows "The Building Blocks of Interpretability" (Olah et al. 2018); it
is linear in the activations. Integrated gradients (Sundararajan et al. 2017) follow the straight
path from zero activations to the layer's activations. They add up to the score's gain on the path.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.model_inventory.graph.cutting import Tail
from diamond_cutter.tasks.attribution.network import Network
from diamond_cutter.tasks.attribution.score import ChosenClasses, choose_classes, score_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec


class LayerAttribution(NamedTuple):
    """The attribution of a batch at one layer.

    channels: the attribution of each channel, summed over positions, float32 `[batch, channel]`.
    positions: the attribution of each position, summed over channels, float32
        `[batch, row * column]`.
    highest: the highest activation of each channel, float32 `[batch, channel]`.
    where: the position of the highest activation, int32 `[batch, channel]`.
    """

    channels: tf.Tensor
    positions: tf.Tensor
    highest: tf.Tensor
    where: tf.Tensor


class BatchAttribution(NamedTuple):
    """The outputs of a batch, and their attribution.

    logits: shifted so that the highest is the model's decision, float32 `[batch, class]`.
    probabilities: float32 `[batch, class]`.
    chosen: the explained classes, int32 `[batch]` each.
    layers: the attribution by layer.
    """

    logits: tf.Tensor
    probabilities: tf.Tensor
    chosen: ChosenClasses
    layers: list[LayerAttribution]


Attribute = Callable[[tf.Tensor], BatchAttribution]


def attribution_function(network: Network, spec: AttributionSpec) -> Attribute:
    """Return a compiled function that attributes the scores of images.

    The function takes float32 `[batch, height, width, channel]` in [0, 1].
    """

    @tf.function(
        input_signature=[tf.TensorSpec([None, *network.card.image.shape])], autograph=False
    )
    def attribute(images: tf.Tensor) -> BatchAttribution:
        forward = Forward(network, images)
        ranked = network.ranked(forward.logits, spec.threshold)
        chosen = choose_classes(ranked, spec.positive, spec.negative)
        (gradients,) = gradients_inside(forward, [chosen], spec)
        found = map(_layer_attribution, forward.activations, gradients)
        return BatchAttribution(ranked, network.probabilities(forward.logits), chosen, list(found))

    return attribute


class Forward:
    """Holds the tensors of a batch's forward pass, in the graph being traced.

    images: `[batch, height, width, channel]` in [0, 1].
    logits: `[batch, class]`.
    activations: by layer, `[batch, row, column, channel]`, or `[batch, channel]` for a vector.
    tails: by layer, the part of the graph from the layer to the logits.
    around: by layer, the tail's other inputs.
    """

    def __init__(self, network: Network, images: tf.Tensor) -> None:
        self.network, self.images = network, images
        self.tails = [network.tail(layer) for layer in network.layers]
        names = sorted({tensor for tail in self.tails for tensor in tail.around})
        count = len(network.tensors)
        found = network.run(images, [*network.tensors, *names, network.logits])
        self.activations, self.logits = found[:count], found[-1]
        for layer, values in zip(network.layers, self.activations, strict=True):
            _set_sides(values, network.card.layer(layer))
        around = dict(zip(names, found[count:-1], strict=True))
        self.around = [[around[tensor] for tensor in tail.around] for tail in self.tails]


def _set_sides(values: tf.Tensor, layer: LayerCard) -> None:
    """Set the rows and columns of a layer, which TensorFlow does not know behind some resizes."""
    if layer.height is not None:
        values.set_shape([None, layer.height, layer.width, layer.channels])


def gradients_inside(
    forward: Forward, explained: Sequence[ChosenClasses], spec: AttributionSpec
) -> list[list[tf.Tensor]]:
    """Add gradients to the graph being traced; activation times gradient is the attribution.

    Args:
        forward: the forward pass.
        explained: the classes that each explanation explains. More of them share the forward passes
            of integrated gradients.
        spec: the method and the steps.

    Returns:
        For each explanation, one tensor for each layer, shaped like its activations.
    """
    methods = [spec.method_of(layer) for layer in forward.network.layers]
    straight = [
        layer
        for layer, method in zip(forward.activations, methods, strict=True)
        if method == "gradient"
    ]
    found = [iter(_gradients(forward.logits, chosen, straight)) for chosen in explained]
    paths = zip(forward.tails, forward.activations, forward.around, methods, strict=True)
    by_layer = [
        list(map(next, found))
        if method == "gradient"
        else _mean_gradients(tail, layer, around, explained, spec.steps)
        for tail, layer, around, method in paths
    ]
    return [[gradients[place] for gradients in by_layer] for place in range(len(explained))]


def _gradients(
    logits: tf.Tensor, chosen: ChosenClasses, layers: list[tf.Tensor]
) -> list[tf.Tensor]:
    score = tf.reduce_sum(score_of(logits, chosen))
    return list(tf.gradients(score, layers, unconnected_gradients="zero")) if layers else []


def _mean_gradients(
    tail: Tail,
    layer: tf.Tensor,
    around: list[tf.Tensor],
    explained: Sequence[ChosenClasses],
    steps: int,
) -> list[tf.Tensor]:
    """Return mean gradients along the path, by the midpoint rule with `steps` steps."""

    def add(step: tf.Tensor, *totals: tf.Tensor) -> tuple[tf.Tensor, ...]:
        on_path = layer * ((tf.cast(step, tf.float32) + 0.5) / steps)
        (logits,) = tail.run(on_path, around)
        gradients = [_gradients(logits, chosen, [on_path])[0] for chosen in explained]
        return step + 1, *map(tf.add, totals, gradients)

    _, *totals = tf.while_loop(
        lambda step, *_: step < steps,
        add,
        [0, *(tf.zeros_like(layer) for _ in explained)],
        maximum_iterations=steps,
    )
    return [total / steps for total in totals]


def _layer_attribution(layer: tf.Tensor, gradient: tf.Tensor) -> LayerAttribution:
    layer, attributed = by_position(layer), by_position(layer * gradient)
    return LayerAttribution(
        channels=tf.reduce_sum(attributed, axis=1),
        positions=tf.reduce_sum(attributed, axis=2),
        highest=tf.reduce_max(layer, axis=1),
        where=tf.argmax(layer, axis=1, output_type=tf.int32),
    )


def by_position(values: tf.Tensor) -> tf.Tensor:
    """Return values as `[batch, position, channel]`, row by row; a vector has one position.

    Args:
        values: `[batch, row, column, channel]` with known sides, or `[batch, channel]`.
    """
    sides = values.shape.as_list()[1:-1]
    return tf.reshape(values, [-1, math.prod(sides), values.shape[-1]])
