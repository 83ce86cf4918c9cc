"""Gradients of ReLU and ReLU6 that the optimisation climbs instead of TensorFlow's.

They live in copies of a layer's graph. Scores and attribution use the network's own gradients.

Smoothed gates: the gates that are open change with every transform, so the gradient of one view is
mostly noise. At a class logit of EfficientNet-Lite0 its cosine with the mean over many views is
0.35 early on and 0.29 later. A gate that is shut here and open elsewhere in the map would be open
under another shift. So a share of each gate is replaced by the mean of its channel's gates over the
picture. The cosines rise to 0.43 and 0.34, and a sprite needs about half as many steps. Figures:
docs/performance.md.

Redirected ReLUs: in the first steps gradient passes shut ReLUs, so that a channel that starts at
zero can wake up. As in lucid's misc/redirected_relu_grad.py, only where the true gradient is zero
for a whole batch element, and never in the direction that would shut the unit further.
"""

import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import with_gradients

_GATED = {"Relu": "DiamondCutterGatedRelu", "Relu6": "DiamondCutterGatedRelu6"}
_REDIRECTED = {"Relu": "DiamondCutterRedirectedRelu", "Relu6": "DiamondCutterRedirectedRelu6"}
_SHARE = "_diamond_cutter_gate_smoothing"
# The mean is taken over at most this many rows and columns. Over all of a large map it would take
# longer than the gradient itself.
_ROWS = 8


def with_smooth_gates(graph: tf.compat.v1.GraphDef, share: float) -> tf.compat.v1.GraphDef:
    """Return a copy of the graph with smoothed gates in the gradients of ReLU and ReLU6.

    Args:
        graph: gates are smoothed where activations are `[batch, height, width, channel]`.
        share: of each gate that its channel's mean takes, 0 to 1. With 0 the graph is returned.
    """
    return with_gates(graph, share) if share else graph


def with_gates(graph: tf.compat.v1.GraphDef, share: float = 0.0) -> tf.compat.v1.GraphDef:
    """Return a copy of the graph whose ReLU and ReLU6 have the gradient of this module.

    With a share of 0 its values are TensorFlow's. In bfloat16 on a processor it is twice as fast.
    """
    gated = with_gradients(graph, _GATED)
    for node in gated.node:
        if node.op in _GATED:
            node.attr[_SHARE].f = share
    return gated


def with_redirected_relus(graph: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """Return a copy of the graph whose ReLU and ReLU6 have the redirected gradient."""
    return with_gradients(graph, _REDIRECTED)


@tf.RegisterGradient(_GATED["Relu"])
def _relu(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    return _through_gates(op.outputs[0], upstream, op.get_attr(_SHARE), None)


@tf.RegisterGradient(_GATED["Relu6"])
def _relu6(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    return _through_gates(op.outputs[0], upstream, op.get_attr(_SHARE), 6.0)


# Compiled even where the loop is not. Fused, it takes little longer than a ReLU's own gradient, and
# TensorFlow's kernels convert each bfloat16 twice.
@tf.function(jit_compile=True, autograph=False)
def _through_gates(
    values: tf.Tensor, upstream: tf.Tensor, share: float, highest: float | None
) -> tf.Tensor:
    """Return the upstream gradient times the gates of a ReLU.

    Args:
        values: outputs of the ReLU.
        upstream: gradient at the outputs.
        share: of each gate that the mean takes.
        highest: the value at which gates shut again, if any.
    """

    def gates(of: tf.Tensor) -> tf.Tensor:
        return of > 0 if highest is None else (of > 0) & (of < highest)

    if not share or values.shape.rank != 4 or None in values.shape[1:3]:
        return tf.where(gates(values), upstream, tf.zeros_like(upstream))
    rows, columns = (-(-side // _ROWS) for side in values.shape[1:3])
    some = tf.cast(gates(values[:, ::rows, ::columns]), tf.float32)
    passed = tf.cast(share * tf.reduce_mean(some, axis=[1, 2], keepdims=True), upstream.dtype)
    return tf.where(gates(values), upstream * (1 - share + passed), upstream * passed)


@tf.RegisterGradient(_REDIRECTED["Relu"])
def _redirected_relu(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    x = op.inputs[0]
    # The loss is minimised: a positive gradient pushes the input down.
    return _where_nothing_passes(
        tf.raw_ops.ReluGrad(gradients=upstream, features=op.outputs[0]),
        upstream,
        (x < 0.0) & (upstream > 0.0),
    )


@tf.RegisterGradient(_REDIRECTED["Relu6"])
def _redirected_relu6(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    x = op.inputs[0]
    return _where_nothing_passes(
        tf.raw_ops.Relu6Grad(gradients=upstream, features=op.outputs[0]),
        upstream,
        ((x < 0.0) & (upstream > 0.0)) | ((x > 6.0) & (upstream < 0.0)),
    )


def _where_nothing_passes(true: tf.Tensor, upstream: tf.Tensor, pushed_out: tf.Tensor) -> tf.Tensor:
    """Let the upstream gradient into batch elements whose true gradient is zero everywhere.

    It is dropped where it pushes a unit further out. It is computed for all elements: a condition
    for each ReLU would save little in few steps, and take a seventh of the time of tracing.
    """
    axes = list(range(1, true.shape.rank))
    passes = tf.reduce_max(tf.abs(true), axis=axes, keepdims=True) > 0.0
    return tf.where(passes, true, tf.where(pushed_out, tf.zeros_like(upstream), upstream))
