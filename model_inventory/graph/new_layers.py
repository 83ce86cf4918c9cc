"""New layers on a cut network: 3 x 3 convolutions, pooling and a linear head.

The same code runs while the layers are trained and when it is written down as nodes of a graph.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.attached import BATCH_NORM, EPSILON, Attached
from diamond_cutter.model_inventory.graph.graph_def import constant_node, node_name, subgraph

_SIDE = 3  # of a convolution's kernel

Weights = Mapping[str, tf.Tensor]
Arrays = dict[str, npt.NDArray[np.float32]]
_Vector = npt.NDArray[np.float64]


class NewOutput(NamedTuple):
    """What new layers compute.

    pooled: the features that the head reads, float32 `[batch, feature]`.
    logits: float32 `[batch, class]`.
    statistics: means and variances of the batch by name; empty outside of training.
    """

    pooled: tf.Tensor
    logits: tf.Tensor
    statistics: dict[str, tf.Tensor]


def initial_weights(attached: Attached, channels: Sequence[int], classes: int, seed: int) -> Arrays:
    """Return the weights of new layers before training, by name.

    Convolutions are drawn as by He et al., "Delving deep into rectifiers", 2015; the head is 0.

    Args:
        attached: the new layers.
        channels: of each layer of the cut.
        classes: number of classes.
        seed: of the random numbers.
    """
    random = np.random.default_rng(seed)
    weights: Arrays = {}
    width = sum(channels)
    for number, wanted in enumerate(attached.convolutions, start=1):
        shape, name = (_SIDE, _SIDE, width, wanted), attached.convolution(number)
        deviation = np.sqrt(2 / (_SIDE * _SIDE * width))
        weights[f"{name}/kernel"] = random.normal(0, deviation, shape).astype(np.float32)
        for part in BATCH_NORM:
            ones = part in ("gamma", "variance")
            weights[f"{name}/{part}"] = np.full(wanted, 1.0 if ones else 0.0, np.float32)
        width = wanted
    weights[f"{attached.head}/kernel"] = np.zeros((width, classes), np.float32)
    weights[f"{attached.head}/bias"] = np.zeros(classes, np.float32)
    return weights


def is_learned(name: str) -> bool:
    """Tell whether a gradient changes a weight of new layers."""
    return name.rpartition("/")[2] in ("kernel", "bias", "gamma", "beta")


def standardising(attached: Attached, mean: _Vector, deviation: _Vector) -> Arrays:
    """Return weights that standardise the pooled features before the head, while it is trained.

    Args:
        attached: the new layers.
        mean: of each feature.
        deviation: of each feature; infinity for features that do not vary.
    """
    scale = 1 / deviation
    return {
        f"{attached.head}/centre": mean.astype(np.float32),
        f"{attached.head}/scale": scale.astype(np.float32),
    }


def folded(attached: Attached, weights: Mapping[str, npt.NDArray[np.float32]]) -> Arrays:
    """Return weights in which standardised features are folded into the head."""
    head = attached.head
    found = {name: np.asarray(value) for name, value in weights.items()}
    centre, scale = found.pop(f"{head}/centre", None), found.pop(f"{head}/scale", None)
    if centre is not None and scale is not None:
        kernel = found[f"{head}/kernel"].astype(np.float64) * scale[:, None]
        bias = found[f"{head}/bias"] - centre.astype(np.float64) @ kernel
        found |= {
            f"{head}/kernel": kernel.astype(np.float32),
            f"{head}/bias": bias.astype(np.float32),
        }
    return found


def new_logits(
    attached: Attached, layers: Sequence[tf.Tensor], weights: Weights, *, training: bool
) -> NewOutput:
    """Return the logits of new layers.

    Args:
        attached: the new layers.
        layers: activations at the layers of the cut, float32 `[batch, height, width, channel]`.
        weights: by name, as from `initial_weights`.
        training: normalise by the batch, and return its statistics.
    """
    statistics: dict[str, tf.Tensor] = {}
    if not attached.convolutions:
        pooled = tf.concat([tf.reduce_mean(layer, (1, 2)) for layer in layers], 1)
        return NewOutput(pooled, _head(attached, pooled, weights), statistics)
    x = layers[0] if len(layers) == 1 else tf.concat(layers, 3)
    for number in range(1, len(attached.convolutions) + 1):
        name = attached.convolution(number)
        x = tf.nn.conv2d(x, weights[f"{name}/kernel"], 1, "SAME", name=f"{name}/conv")
        gamma, beta, mean, variance = (weights[f"{name}/{part}"] for part in BATCH_NORM)
        normed = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=gamma,
            offset=beta,
            mean=tf.zeros([0]) if training else mean,
            variance=tf.zeros([0]) if training else variance,
            epsilon=EPSILON,
            is_training=training,
            name=f"{name}/norm",
        )
        if training:
            statistics |= {
                f"{name}/mean": normed.batch_mean,
                f"{name}/variance": normed.batch_variance,
            }
        x = tf.nn.relu(normed.y, name=f"{name}/relu")
    pooled = tf.reduce_mean(x, (1, 2))
    return NewOutput(pooled, _head(attached, pooled, weights), statistics)


def _head(attached: Attached, pooled: tf.Tensor, weights: Weights) -> tf.Tensor:
    if f"{attached.head}/centre" in weights:
        centred = pooled - weights[f"{attached.head}/centre"]
        pooled = centred * weights[f"{attached.head}/scale"]
    product = tf.matmul(pooled, weights[f"{attached.head}/kernel"], name=f"{attached.head}/product")
    name = node_name(attached.logits_tensor)
    return tf.nn.bias_add(product, weights[f"{attached.head}/bias"], name=name)


def attach_layers(
    graph: tf.compat.v1.GraphDef,
    tensors: Sequence[str],
    attached: Attached,
    channels: Sequence[int],
    weights: Mapping[str, npt.NDArray[np.float32]],
) -> tf.compat.v1.GraphDef:
    """Return the graph up to some layers, followed by new layers.

    The nodes of the graph stay as they are, byte for byte, so that layers keep their hashes.

    Args:
        graph: a frozen graph.
        tensors: of the layers of the cut.
        attached: the new layers.
        channels: of each layer of the cut.
        weights: of the new layers, by name, as from `folded`.
    """
    with tf.Graph().as_default() as made:
        held = [
            tf.compat.v1.placeholder(tf.float32, [None, None, None, width], f"{attached.scope}/at")
            for width in channels
        ]
        constants = {
            name: tf.compat.v1.placeholder(tf.float32, value.shape, name)
            for name, value in weights.items()
        }
        new_logits(attached, held, constants, training=False)
    names = {
        each.op.name: tensor.removesuffix(":0") for each, tensor in zip(held, tensors, strict=True)
    }
    joined = subgraph(graph, tensors)
    for node in made.as_graph_def(add_shapes=False).node:
        if node.name in weights:
            node = constant_node(node.name, np.asarray(weights[node.name], np.float32))
        if node.name not in names:
            node.input[:] = [names.get(node_name(each), each) for each in node.input]
            joined.node.append(node)
    return joined
