"""Lets the gradient through ReLUs in part by how often their channel is open, instead of by whether
each one is at this moment.

Which ReLUs are open changes with every transform, so the gradient of one view is mostly noise: at a
class logit of EfficientNet-Lite0 its cosine with the mean over many views is 0.35 early on, 0.29
later. A gate that is shut here and open elsewhere in the map would be open under another shift. So
a share of each gate is replaced by the mean of its channel's gates over the picture, which raises
the cosines to 0.43 and 0.34, and the sprite needs about half as many steps. It is a direction to
climb in only: what a sprite achieves, and what attribution tells, comes from the network as it is.
Figures: docs/performance.md.

The gates live in a copy of the graph that only the optimisation runs.
"""

import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import with_gradients

_OVERRIDES = {"Relu": "DiamondCutterSmoothRelu", "Relu6": "DiamondCutterSmoothRelu6"}
_SHARE = "_diamond_cutter_gate_smoothing"
# How many rows and columns of a map the mean is taken of; of all of a large one it would take
# longer than the gradient itself.
_ROWS = 8


def with_smooth_gates(graph: tf.compat.v1.GraphDef, share: float) -> tf.compat.v1.GraphDef:
    """Return a copy of the graph whose ReLU and ReLU6 have the smoothed gradient.

    Args:
        graph: whose activations are `[batch, height, width, channel]`; others' gates stay as they
            are.
        share: of each gate that its channel's mean takes, 0 to 1; with 0 the graph itself is
            returned.
    """
    if not share:
        return graph
    smooth = with_gradients(graph, _OVERRIDES)
    for node in smooth.node:
        if node.op in _OVERRIDES:
            node.attr[_SHARE].f = share
    return smooth


@tf.RegisterGradient(_OVERRIDES["Relu"])
def _relu(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    return _smooth(op.outputs[0], upstream, op.get_attr(_SHARE), highest=float("inf"))


@tf.RegisterGradient(_OVERRIDES["Relu6"])
def _relu6(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    return _smooth(op.outputs[0], upstream, op.get_attr(_SHARE), highest=6.0)


# Compiled even where the rest is not: fused, it takes little longer than a ReLU's own gradient.
@tf.function(jit_compile=True, autograph=False)
def _smooth(values: tf.Tensor, upstream: tf.Tensor, share: float, highest: float) -> tf.Tensor:
    """Return the upstream gradient times the smoothed gates of a ReLU with these outputs."""

    def gates(of: tf.Tensor) -> tf.Tensor:
        return (of > 0) & (of < highest)

    if values.shape.rank != 4 or None in values.shape[1:3]:
        return tf.where(gates(values), upstream, tf.zeros_like(upstream))
    rows, columns = (-(-side // _ROWS) for side in values.shape[1:3])
    some = tf.cast(gates(values[:, ::rows, ::columns]), tf.float32)
    passed = tf.cast(share * tf.reduce_mean(some, axis=[1, 2], keepdims=True), upstream.dtype)
    return tf.where(gates(values), upstream * (1 - share + passed), upstream * passed)
