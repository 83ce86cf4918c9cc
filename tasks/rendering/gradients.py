"""Gradients that replace TensorFlow's where its own are slow."""

import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import with_gradients
from diamond_cutter.tasks.rendering.precision import Execution
from diamond_cutter.tasks.rendering.relu_gradients import with_gates

_DEPTHWISE = {"DepthwiseConv2dNative": "DiamondCutterDepthwise"}


def with_gradient(name: str, value: tf.Tensor, *inputs: tf.Tensor) -> tf.Tensor:
    """Return a value with the gradient that `tf.RegisterGradient(name)` has registered.

    Unlike `tf.custom_gradient`, it does not keep what it is traced into, weights and all, until the
    process ends. The registered function is called with an operation, which has the value and then
    the inputs as its inputs, and with the upstream gradient first. It returns None for the value,
    and for each input its gradient or None. Call this in a `tf.function`: a graph of its own, in
    which the gradient has its name even if the caller runs eagerly.
    """
    with tf.compat.v1.get_default_graph().gradient_override_map({"IdentityN": name}):
        return tf.identity_n([value, *inputs])[0]


def faster_gradients(graph: tf.compat.v1.GraphDef, execution: Execution) -> tf.compat.v1.GraphDef:
    """Return a copy of a graph whose gradients are faster in bfloat16 on a processor.

    The values are equal. TensorFlow's own gradients of depthwise convolutions are up to ten times
    slower there than the convolutions themselves, and those of ReLUs twice as slow as in float32.
    """
    if execution.precision == "bfloat16" and not execution.xla:
        return with_gates(with_gradients(graph, _DEPTHWISE))
    return graph


@tf.RegisterGradient(_DEPTHWISE["DepthwiseConv2dNative"])
def _depthwise(op: tf.Operation, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """Convolve the upstream gradient, spread out by the stride, with the reversed kernel.

    That is the same sum as a forward pass.
    """
    x, kernel = op.inputs
    stride, sides = op.get_attr("strides")[1], x.shape[1:3]
    plain = (
        op.get_attr("padding") == b"SAME"
        and set(op.get_attr("dilations")) == {1}
        and kernel.shape[3] == 1
    )
    if not plain or None in sides or op.get_attr("strides")[2] != stride:
        return _own_depthwise(op, upstream), None
    turned = kernel[::-1, ::-1]
    if stride == 1 and kernel.shape[0] % 2 == kernel.shape[1] % 2 == 1:
        return tf.nn.depthwise_conv2d(upstream, turned, [1, 1, 1, 1], "SAME"), None
    padded = _spread_out(upstream, stride, tuple(x.shape[1:3]), tuple(kernel.shape[:2]))
    return tf.nn.depthwise_conv2d(padded, turned, [1, 1, 1, 1], "VALID"), None


def _own_depthwise(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """Return TensorFlow's own gradient."""
    x, kernel = op.inputs
    return tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
        input_sizes=tf.shape(x),
        filter=kernel,
        out_backprop=upstream,
        strides=op.get_attr("strides"),
        padding=op.get_attr("padding").decode(),
        explicit_paddings=op.get_attr("explicit_paddings"),
        dilations=op.get_attr("dilations"),
    )


def _padding(side: int, kernel: int, stride: int) -> int:
    """Return how much SAME padding goes before an axis."""
    return max((-(-side // stride) - 1) * stride + kernel - side, 0) // 2


# Compiled, so that the wide array is written once.
@tf.function(jit_compile=True, autograph=False)
def _spread_out(
    values: tf.Tensor, stride: int, sides: tuple[int, int], kernel: tuple[int, int]
) -> tf.Tensor:
    """Put `stride - 1` zeros between neighbours, and enough around them for the kernel.

    Args:
        values: `[batch, height, width, channel]`.
        stride: of the convolution.
        sides: height and width of the result of a VALID convolution with the kernel.
        kernel: its height and width.
    """
    _, height, width, channels = values.shape
    zeros = stride - 1
    wide = tf.pad(
        values[:, :, None, :, None, :], [[0, 0], [0, 0], [0, zeros], [0, 0], [0, zeros], [0, 0]]
    )
    spread = tf.reshape(wide, [-1, height * stride, width * stride, channels])[
        :, : (height - 1) * stride + 1, : (width - 1) * stride + 1
    ]
    around = []
    for side, taps, length in zip(sides, kernel, spread.shape[1:3], strict=True):
        first = taps - 1 - _padding(side, taps, stride)
        around.append([first, side + taps - 1 - length - first])
    return tf.pad(spread, [[0, 0], *around, [0, 0]])
