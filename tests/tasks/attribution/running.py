"""Runs a network, or what is behind one of its layers, outside of what attribution makes of it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.graph.cutting import Tail
from diamond_cutter.tasks.attribution.attribution import attribution_function
from diamond_cutter.tasks.attribution.checks import LayerChecks, check_function
from diamond_cutter.tasks.attribution.network import Network, network_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec


def every_layer(bundle: Bundle) -> list[str]:
    return [layer.name for layer in bundle.card.layers]


def whole(bundle: Bundle) -> Network:
    return network_of(bundle, every_layer(bundle))


def values_of(network: Network, images: np.ndarray, tensors: Sequence[str]) -> list[np.ndarray]:
    """Return what tensors are for some images."""
    return [
        value.numpy()
        for value in tf.function(lambda x: network.run(x, tensors), autograph=False)(
            tf.constant(images)
        )
    ]


def run_tail(tail: Tail, activations: np.ndarray, around: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the outputs behind a layer."""
    function = tf.function(lambda layer, others: tail.run(layer, others), autograph=False)
    return [
        value.numpy()
        for value in function(tf.constant(activations), [tf.constant(value) for value in around])
    ]


class Cut(NamedTuple):
    """Some images at a layer: its activations, what goes around it, the logits, and what is behind
    it.
    """

    tail: Tail
    activations: np.ndarray
    around: list[np.ndarray]
    logits: np.ndarray

    def logits_of(self, activations: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
        """Return the logits that other activations give; `places` says of which image each is, if
        they are not as many.
        """
        places = np.arange(len(activations)) if places is None else places
        return run_tail(self.tail, activations, [value[places] for value in self.around])[0]


def cut_at(network: Network, layer: str, images: np.ndarray) -> Cut:
    tail = network.tail(layer)
    activations, *around, logits = values_of(
        network, images, [tail.layer, *tail.around, network.logits]
    )
    return Cut(tail, activations, around, logits)


def checking(
    network: Network, spec: AttributionSpec
) -> Callable[[np.ndarray, Sequence[int]], list[LayerChecks]]:
    """Return a function that checks the attributions of images, given their seeds."""
    attribute, check = attribution_function(network, spec), check_function(network, spec)
    return lambda images, seeds: check(
        images,
        tf.constant(seeds, tf.int32),
        [layer.channels for layer in attribute(images).layers],
    )
