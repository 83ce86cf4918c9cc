"""Lets gradient through shut ReLUs in the first steps, so that a channel that starts at zero can wake up.

After lucid's misc/redirected_relu_grad.py: only where the true gradient is zero for a whole batch element, and never in
the direction that would shut the unit further. The overrides live in a copy of the graph that only the first steps run;
attribution never sees it.
"""

import tensorflow as tf

_OVERRIDES = {"Relu": "DiamondCutterRedirectedRelu", "Relu6": "DiamondCutterRedirectedRelu6"}


def with_redirected_relus(graph: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """Return a copy of the graph whose ReLU and ReLU6 have the redirected gradient."""
    redirected = tf.compat.v1.GraphDef()
    redirected.CopyFrom(graph)
    for node in redirected.node:
        if node.op in _OVERRIDES:
            node.attr["_gradient_op_type"].s = _OVERRIDES[node.op].encode()
    return redirected


@tf.RegisterGradient(_OVERRIDES["Relu"])
def _redirected_relu(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    x = op.inputs[0]
    zero = tf.zeros_like(upstream)
    # The loss is minimised: a positive gradient pushes the input down.
    pushed_lower = (x < 0.0) & (upstream > 0.0)
    return _where_nothing_passes(tf.where(x > 0.0, upstream, zero), tf.where(pushed_lower, zero, upstream))


@tf.RegisterGradient(_OVERRIDES["Relu6"])
def _redirected_relu6(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    x = op.inputs[0]
    zero = tf.zeros_like(upstream)
    pushed_out = ((x < 0.0) & (upstream > 0.0)) | ((x > 6.0) & (upstream < 0.0))
    true = tf.where((x > 0.0) & (x < 6.0), upstream, zero)
    return _where_nothing_passes(true, tf.where(pushed_out, zero, upstream))


def _where_nothing_passes(true: tf.Tensor, redirected: tf.Tensor) -> tf.Tensor:
    """Take the redirected gradient for the batch elements whose true gradient is zero everywhere."""
    passes = tf.reduce_any(tf.not_equal(true, 0.0), axis=list(range(1, true.shape.rank)), keepdims=True)
    return tf.where(passes, true, redirected)
