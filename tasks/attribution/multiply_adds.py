"""Count the multiply-adds of the part of a network behind each layer."""

import math

import tensorflow as tf

from diamond_cutter.tasks.attribution.attribution import Forward
from diamond_cutter.tasks.attribution.network import Network


def tail_multiply_adds(network: Network) -> list[float]:
    """Return the multiply-adds of one image from each layer to the logits.

    Only convolutions and products of matrices count, which take nearly all the time. Operations
    whose shape depends on the image count as 0.
    """
    with tf.Graph().as_default() as graph:
        forward = Forward(network, tf.zeros([1, *network.card.image.shape]))
        found = []
        for tail, layer, around in zip(
            forward.tails, forward.activations, forward.around, strict=True
        ):
            before = len(graph.get_operations())
            tail.run(layer, around)
            found.append(float(sum(map(_multiply_adds, graph.get_operations()[before:]))))
    return found


def _multiply_adds(operation: tf.Operation) -> int:
    if operation.type not in _READ_BY_ONE_VALUE:
        return 0
    values, weights = operation.outputs[0].shape, operation.inputs[1].shape
    if not (values.is_fully_defined() and weights.is_fully_defined()):
        return 0
    return math.prod(values) * _READ_BY_ONE_VALUE[operation.type](operation, weights.as_list())


def _inner(operation: tf.Operation, weights: list[int]) -> int:
    """Return the length of the rows of a product of matrices."""
    name = "transpose_b" if operation.type == "MatMul" else "adj_y"
    return weights[-1] if operation.get_attr(name) else weights[-2]


# The number of products that are summed up for one value of the output.
_READ_BY_ONE_VALUE = {
    "Conv2D": lambda operation, kernel: math.prod(kernel[:3]),
    "DepthwiseConv2dNative": lambda operation, kernel: math.prod(kernel[:2]),
    "MatMul": _inner,
    "BatchMatMulV2": _inner,
}
