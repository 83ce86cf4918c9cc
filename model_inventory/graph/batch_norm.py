"""Folds BatchNorm, and any other per-channel scale and offset, into the convolution before it.

At inference BatchNorm is y = scale * x + offset for each channel: one FusedBatchNorm node in graphs
of Keras or slim, a Mul and an Add in simplified graphs. A convolution and a chain of such nodes
equal one convolution with scaled weights and one BiasAdd, which saves a third to a half of a step.
"""

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import (
    attribute,
    constant_behind,
    constant_node,
    constant_value,
    node_name,
    output_index,
)
from diamond_cutter.model_inventory.graph.operation_sets import BATCH_NORMS, BIASES, PRODUCTS

_AFFINE = BIASES | {"Sub", "Mul", "RealDiv"}

_Vector = npt.NDArray[np.float64] | np.float64


@dataclass(frozen=True)
class _Affine:
    """y = scale * x + offset; both float64 of shape [channel] or []."""

    scale: _Vector
    offset: _Vector

    def then(self, later: "_Affine") -> "_Affine":
        return _Affine(later.scale * self.scale, later.scale * self.offset + later.offset)


_IDENTITY = _Affine(np.float64(1.0), np.float64(0.0))


def fold_batch_norms(graph: tf.compat.v1.GraphDef, keep: Collection[str]) -> tf.compat.v1.GraphDef:
    """Return an equal graph in which scales and offsets are folded into convolutions.

    Args:
        graph: a frozen graph in NHWC layout.
        keep: tensors that must keep their name and value, such as `block_3/add:0`.
    """
    nodes = {node.name: node for node in graph.node}
    uses = Counter(node_name(reference) for node in graph.node for reference in node.input)
    follower = {node_name(reference): node.name for node in graph.node for reference in node.input}
    kept = {node_name(tensor) for tensor in keep}
    # A node whose second output is read (the statistics of a BatchNorm) must stay. One more use of
    # its input keeps it out of chains.
    read = [*keep, *(reference for node in graph.node for reference in node.input)]
    uses.update(
        node_name(first)
        for reference in read
        if output_index(reference) > 0
        for first in nodes[node_name(reference)].input[:1]
    )

    removed: set[str] = set()
    added: dict[str, list[tf.compat.v1.NodeDef]] = {}
    for convolution in graph.node:
        if not _can_take_a_scale(convolution, nodes):
            continue
        chain, total = _affine_chain(convolution.name, nodes, uses, follower, kept)
        if not chain or (np.all(total.scale == 1) and len(chain) == 1):
            continue
        removed.update([convolution.name, *chain])
        added[chain[-1]] = _folded_convolution(convolution, chain[-1], total, nodes)
    return _rewritten(graph, removed, added)


def _can_take_a_scale(node: tf.compat.v1.NodeDef, nodes: dict[str, tf.compat.v1.NodeDef]) -> bool:
    if node.op not in PRODUCTS or not _is_nhwc(node) or attribute(node, "transpose_b").b:
        return False
    return _constant(node.input[1], nodes) is not None


def _is_nhwc(node: tf.compat.v1.NodeDef) -> bool:
    return attribute(node, "data_format").s in (b"", b"NHWC")


def _constant(reference: str, nodes: dict[str, tf.compat.v1.NodeDef]) -> npt.NDArray[Any] | None:
    """Return the constant behind a reference, or None if it is computed."""
    node = constant_behind(reference, nodes)
    return None if node is None else constant_value(node)


def _affine_chain(
    start: str,
    nodes: dict[str, tf.compat.v1.NodeDef],
    uses: Counter[str],
    follower: dict[str, str],
    kept: set[str],
) -> tuple[list[str], _Affine]:
    """Follow the only consumer of each node while it is affine per channel."""
    chain: list[str] = []
    total, name = _IDENTITY, start
    rank, channels = (
        2 if nodes[start].op == "MatMul" else 4,
        math.prod(_channel_shape(nodes[start], nodes)),
    )
    while uses[name] == 1 and name not in kept:
        node = nodes[follower[name]]
        affine = _as_affine(node, name, nodes, rank, channels)
        if affine is None:
            break
        total, name = total.then(affine), node.name
        chain.append(name)
    while chain and nodes[chain[-1]].op == "Identity" and len(chain) > 1:
        # Folding a trailing Identity saves nothing, and its name may be read.
        chain.pop()
    return chain, total


def _as_affine(
    node: tf.compat.v1.NodeDef,
    source: str,
    nodes: dict[str, tf.compat.v1.NodeDef],
    rank: int,
    channels: int,
) -> _Affine | None:
    if node.op == "Identity":
        return _IDENTITY
    if node.op in BATCH_NORMS:
        return _fused_batch_norm(node, source, nodes)
    if node.op not in _AFFINE or not _is_nhwc(node):
        return None
    first = node_name(node.input[0]) == source
    other = _constant(node.input[1 if first else 0], nodes)
    if other is None or not _is_per_channel(other, rank, channels):
        return None
    vector = other.astype(np.float64).reshape(-1) if other.size > 1 else np.float64(other.item())
    return _binary_affine(node.op, first, vector)


def _binary_affine(op: str, source_is_first: bool, other: _Vector) -> _Affine | None:
    if op == "Mul":
        return _Affine(other, np.float64(0.0))
    if op == "RealDiv":
        return (
            _Affine(1.0 / other, np.float64(0.0))
            if source_is_first and np.all(other != 0)
            else None
        )
    if op == "Sub":
        return (
            _Affine(np.float64(1.0), -other)
            if source_is_first
            else _Affine(np.float64(-1.0), other)
        )
    return _Affine(np.float64(1.0), other)


def _is_per_channel(value: npt.NDArray[Any], rank: int, channels: int) -> bool:
    # A constant of more axes or more channels would change the shape of the result.
    return value.ndim <= rank and (value.size == 1 or value.size == value.shape[-1] == channels)


def _fused_batch_norm(
    node: tf.compat.v1.NodeDef, source: str, nodes: dict[str, tf.compat.v1.NodeDef]
) -> _Affine | None:
    if attribute(node, "is_training").b or not _is_nhwc(node) or node_name(node.input[0]) != source:
        return None
    parameters = [_constant(reference, nodes) for reference in node.input[1:5]]
    if any(parameter is None for parameter in parameters):
        return None
    gamma, beta, mean, variance = (np.asarray(parameter, np.float64) for parameter in parameters)
    scale = gamma / np.sqrt(variance + attribute(node, "epsilon").f)
    return _Affine(scale, beta - mean * scale)


def _channel_shape(
    convolution: tf.compat.v1.NodeDef, nodes: dict[str, tf.compat.v1.NodeDef]
) -> tuple[int, ...]:
    """Return the axes of the weights for channels: two of depthwise weights, else the last."""
    shape = np.asarray(_constant(convolution.input[1], nodes)).shape
    return shape[-2:] if convolution.op == "DepthwiseConv2dNative" else shape[-1:]


def _folded_convolution(
    convolution: tf.compat.v1.NodeDef,
    name: str,
    total: _Affine,
    nodes: dict[str, tf.compat.v1.NodeDef],
) -> list[tf.compat.v1.NodeDef]:
    """Return the nodes in place of a convolution and its chain; the last keeps the last name."""
    weights = np.asarray(_constant(convolution.input[1], nodes))
    out_shape = _channel_shape(convolution, nodes)
    channels = math.prod(out_shape)
    scaled = weights * np.broadcast_to(total.scale, [channels]).reshape(out_shape)
    offset = np.broadcast_to(total.offset, [channels])

    taken = tf.compat.v1.NodeDef()
    taken.CopyFrom(convolution)
    taken.input[1] = f"{convolution.name}/folded_weights"
    bias = tf.compat.v1.NodeDef(
        name=name, op="BiasAdd", input=[convolution.name, f"{convolution.name}/folded_offset"]
    )
    bias.attr["T"].CopyFrom(convolution.attr["T"])
    return [
        constant_node(taken.input[1], scaled.astype(weights.dtype)),
        taken,
        constant_node(bias.input[1], offset.astype(weights.dtype)),
        bias,
    ]


def _rewritten(
    graph: tf.compat.v1.GraphDef,
    removed: set[str],
    added: dict[str, list[tf.compat.v1.NodeDef]],
) -> tf.compat.v1.GraphDef:
    """Replace each chain at the place of its last node, and drop unused constants."""
    result = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    for node in graph.node:
        result.node.extend(added.get(node.name, [] if node.name in removed else [node]))
    read = {node_name(reference) for node in result.node for reference in node.input}
    live = [node for node in result.node if node.op != "Const" or node.name in read]
    del result.node[:]
    result.node.extend(live)
    return result
