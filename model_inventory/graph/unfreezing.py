"""Gives constants of a frozen graph back as weights that can be trained, and writes them back.

The graph is used as it was frozen: BatchNorm is not folded and keeps its statistics. So each weight
keeps its name, and layers without a trained weight keep their hashes.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import (
    constant_node,
    constant_value,
    in_forward_order,
    node_name,
    run_inside,
    subgraph,
)
from diamond_cutter.model_inventory.graph.operation_sets import BATCH_NORMS, WEIGHTED

# The inputs of a BatchNorm that hold its statistics: mean and variance.
_STATISTICS = slice(3, 5)
_ROOTS = frozenset({"Rsqrt", "Sqrt"})

Weights = dict[str, npt.NDArray[np.float32]]


def trainable_weights(
    graph: tf.compat.v1.GraphDef, input_tensor: str, frozen: Sequence[str], outputs: Sequence[str]
) -> Weights:
    """Return the weights between some layers and the outputs, by the name of their node.

    A weight is a float32 constant of more than one number, at or behind the first convolution or
    matrix product. The statistics of BatchNorm are not weights.

    Args:
        graph: constants and a placeholder for images.
        input_tensor: the placeholder.
        frozen: tensors of the layers before which nothing is trained.
        outputs: the tensors of the last trained layers.
    """
    fixed = {node.name for node in subgraph(graph, frozen).node} if frozen else set()
    part = subgraph(graph, outputs)
    fixed |= _statistics(part) | _before_first_product(part, input_tensor)
    return {
        node.name: constant_value(node)
        for node in part.node
        if node.name not in fixed and _is_weight(node)
    }


def run_with_weights(
    graph: tf.compat.v1.GraphDef,
    input_tensor: str,
    images: tf.Tensor,
    weights: Mapping[str, tf.Tensor],
    tensors: Sequence[str],
) -> list[tf.Tensor]:
    """Add a graph to the graph being traced, with other weights; return tensors of it.

    Args:
        graph: constants and a placeholder for images.
        input_tensor: the placeholder.
        images: its value.
        weights: values that replace constants, by the name of their node.
        tensors: which to return.
    """
    hollow = tf.compat.v1.GraphDef(versions=graph.versions)
    hollow.node.extend(node for node in graph.node if node.name not in weights)
    values = {f"{name}:0": value for name, value in weights.items()}
    return run_inside(hollow, input_tensor, images, tensors, values)


def with_weights(
    graph: tf.compat.v1.GraphDef, weights: Mapping[str, npt.NDArray[Any]]
) -> tf.compat.v1.GraphDef:
    """Return a copy of a graph in which constants have other values, given by node name."""
    copy = tf.compat.v1.GraphDef()
    copy.CopyFrom(graph)
    for node in copy.node:
        if node.name in weights:
            node.CopyFrom(constant_node(node.name, weights[node.name]))
    return copy


def _is_weight(node: tf.compat.v1.NodeDef) -> bool:
    if node.op != "Const" or node.attr["dtype"].type != tf.float32.as_datatype_enum:
        return False
    return int(np.prod([dim.size for dim in node.attr["value"].tensor.tensor_shape.dim])) > 1


def _statistics(graph: tf.compat.v1.GraphDef) -> set[str]:
    """Return the nodes that only statistics of BatchNorm are computed from.

    They are inputs of a BatchNorm, or variances of which a root is taken.
    """
    found: list[str] = []
    of_image = _behind(graph, [node.name for node in graph.node if node.op == "Placeholder"])
    for node in graph.node:
        if node.op in BATCH_NORMS:
            found += node.input[_STATISTICS]
        elif node.op in _ROOTS and node.name not in of_image:
            found += node.input
    return {node.name for node in subgraph(graph, found).node} if found else set()


def _before_first_product(graph: tf.compat.v1.GraphDef, input_tensor: str) -> set[str]:
    """Return the nodes that prepare images: no convolution or matrix product has come yet."""
    products = [node.name for node in graph.node if node.op in WEIGHTED]
    of_image, late = _behind(graph, [node_name(input_tensor)]), _behind(graph, products)
    early = of_image - late
    return {node.name for node in subgraph(graph, early).node}


def _behind(graph: tf.compat.v1.GraphDef, names: Iterable[str]) -> set[str]:
    """Return the names of some nodes and of those that depend on them."""
    found = set(names)
    for node in in_forward_order(graph):
        if any(node_name(reference) in found for reference in node.input):
            found.add(node.name)
    return found
