"""Measure what it costs to compute a network up to each of its layers."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, parse_graph
from diamond_cutter.model_inventory.graph.graph_def import subgraph
from diamond_cutter.tasks.features.extraction import feature_function

_BATCH = 8
_RUNS = 3


def parameters(bundle: Bundle, layers: Sequence[str]) -> dict[str, int]:
    """Return the number of weights that each layer depends on, with those of BatchNorm.

    A weight is a number in a constant of floating-point numbers that is not a single number.
    """
    graph = parse_graph(bundle)
    sizes = {node.name: _weights(node) for node in graph.node if node.op == "Const"}
    return {
        layer: sum(
            sizes.get(node.name, 0)
            for node in subgraph(graph, [bundle.card.layer(layer).tensor]).node
        )
        for layer in layers
    }


def _weights(node: tf.compat.v1.NodeDef) -> int:
    if not tf.as_dtype(node.attr["dtype"].type).is_floating:
        return 0
    size = int(np.prod([dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]))
    return size if size > 1 else 0


def milliseconds(bundle: Bundle, layers: Sequence[str]) -> Mapping[str, float]:
    """Return the time that each layer takes for one image, in batches, on this device.

    The fastest of three runs counts, because other processes can only make a run slower.
    """
    images = tf.zeros((_BATCH, *bundle.card.image.shape), tf.uint8)
    return {layer: _fastest(bundle, layer, images) for layer in layers}


def _fastest(bundle: Bundle, layer: str, images: tf.Tensor) -> float:
    function = feature_function(bundle, [layer], "average")
    function(images)
    seconds = []
    for _ in range(_RUNS):
        clock = time.perf_counter()
        function(images)[0].numpy()
        seconds.append(time.perf_counter() - clock)
    return round(1000 * min(seconds) / _BATCH, 3)
