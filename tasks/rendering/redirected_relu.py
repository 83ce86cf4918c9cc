"""Lets gradient through shut ReLUs in the first steps, so that a channel that starts at zero can
wake up.

After lucid's misc/redirected_relu_grad.py: only where the true gradient is zero for a whole batch
element, and never in the direction that would shut the unit further. The overrides live in a copy
of the graph that only the first steps run; attribution never sees it.
"""

from collections.abc import Callable

import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import with_gradients

_OVERRIDES = {"Relu": "DiamondCutterRedirectedRelu", "Relu6": "DiamondCutterRedirectedRelu6"}


def with_redirected_relus(graph: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """Return a copy of the graph whose ReLU and ReLU6 have the redirected gradient."""
    return with_gradients(graph, _OVERRIDES)


@tf.RegisterGradient(_OVERRIDES["Relu"])
def _redirected_relu(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    x = op.inputs[0]
    # The loss is minimised: a positive gradient pushes the input down.
    return _where_nothing_passes(
        tf.raw_ops.ReluGrad(gradients=upstream, features=op.outputs[0]),
        upstream,
        lambda: (x < 0.0) & (upstream > 0.0),
    )


@tf.RegisterGradient(_OVERRIDES["Relu6"])
def _redirected_relu6(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    x = op.inputs[0]
    return _where_nothing_passes(
        tf.raw_ops.Relu6Grad(gradients=upstream, features=op.outputs[0]),
        upstream,
        lambda: ((x < 0.0) & (upstream > 0.0)) | ((x > 6.0) & (upstream < 0.0)),
    )


def _where_nothing_passes(
    true: tf.Tensor, upstream: tf.Tensor, pushed_out: Callable[[], tf.Tensor]
) -> tf.Tensor:
    """Let the upstream gradient through, but where it pushes further out, for batch elements whose
    true gradient is zero everywhere.

    That is so in few ReLUs and few steps, so the redirected gradient is only computed if some
    element needs it.
    """
    axes = list(range(1, true.shape.rank))
    passes = tf.reduce_max(tf.abs(true), axis=axes, keepdims=True) > 0.0
    return tf.cond(
        tf.reduce_all(passes),
        lambda: true,
        lambda: tf.where(passes, true, tf.where(pushed_out(), tf.zeros_like(upstream), upstream)),
    )
