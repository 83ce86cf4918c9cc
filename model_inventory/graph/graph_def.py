"""Operations on frozen GraphDefs: extracting parts, hashing, reading and running them."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.graph.operation_sets import (
    ACTIVATIONS,
    PROBABILITIES,
    SAME_VALUES,
)

# The bytes of a bundle must not depend on the patch level of TensorFlow that froze it.
GRAPH_PRODUCER = 1882


def node_name(reference: str) -> str:
    """Return the node of a reference: `block_3/add` for `block_3/add:0` and `^block_3/add`."""
    return reference.removeprefix("^").partition(":")[0]


def tensor_name(reference: str) -> str:
    """Return the full name of the tensor that a reference names: `bn:0` for `bn`."""
    return f"{node_name(reference)}:{output_index(reference)}"


def output_index(reference: str) -> int:
    """Return the index of the output of a reference: 1 for `bn:1`, 0 for `bn`."""
    return int(reference.partition(":")[2] or 0)


def subgraph(graph: tf.compat.v1.GraphDef, tensors: Iterable[str]) -> tf.compat.v1.GraphDef:
    """Return the nodes that produce the tensors, in the order of the graph."""
    nodes = {node.name: node for node in graph.node}
    wanted: set[str] = set()
    pending = [node_name(tensor) for tensor in tensors]
    while pending:
        name = pending.pop()
        if name not in wanted:
            wanted.add(name)
            pending.extend(node_name(reference) for reference in nodes[name].input)
    cut = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    cut.node.extend(node for node in graph.node if node.name in wanted)
    return cut


def freeze(graph: tf.compat.v1.GraphDef, tensors: Iterable[str]) -> tf.compat.v1.GraphDef:
    """Return the part of a graph that produces the tensors, reproducible to the byte.

    Attributes for one process are dropped, such as the names of gradients in Python.
    """
    frozen = subgraph(graph, tensors)
    for node in frozen.node:
        for name in [name for name in node.attr if name.startswith("_")]:
            del node.attr[name]
    frozen.versions.producer = GRAPH_PRODUCER
    return frozen


def tensor_hashes(graph: tf.compat.v1.GraphDef) -> dict[str, str]:
    """Return, for each node, the sha256 of the sub-graph that produces it, without names.

    The hash covers the operation and attributes of the node and the hashes of its inputs (a Merkle
    tree). So two models with equal first layers have equal hashes for them.
    """
    hashes: dict[str, str] = {}
    for node in in_forward_order(graph):
        parts = hashlib.sha256(node.op.encode())
        for name in sorted(node.attr):
            if not name.startswith("_"):
                parts.update(
                    name.encode() + b"=" + node.attr[name].SerializeToString(deterministic=True)
                )
        for reference in node.input:
            parts.update(f"{hashes[node_name(reference)]}:{output_index(reference)}".encode())
        hashes[node.name] = parts.hexdigest()
    return hashes


def in_forward_order(graph: tf.compat.v1.GraphDef) -> list[tf.compat.v1.NodeDef]:
    """Return the nodes in an order in which each follows its inputs."""
    nodes = {node.name: node for node in graph.node}
    ordered: dict[str, tf.compat.v1.NodeDef] = {}
    for last in graph.node:
        pending = [last.name]
        while pending:
            name = pending[-1]
            missing = [node_name(i) for i in nodes[name].input if node_name(i) not in ordered]
            if missing and name not in ordered:
                pending.extend(missing)
            else:
                ordered.setdefault(name, nodes[name])
                pending.pop()
    return list(ordered.values())


def attribute(node: tf.compat.v1.NodeDef, name: str) -> tf.compat.v1.AttrValue:
    """Return an attribute of a node, or an empty one, which `node.attr[name]` would add."""
    return node.attr[name] if name in node.attr else tf.compat.v1.AttrValue()


def make_identity(node: tf.compat.v1.NodeDef, dtype: int) -> None:
    """Turn a node into an Identity of its first input."""
    node.op, node.input[:] = "Identity", node.input[:1]
    node.attr.clear()
    node.attr["T"].type = dtype


def constant_node(name: str, value: npt.NDArray[Any]) -> tf.compat.v1.NodeDef:
    """Return a Const node."""
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return node


def constant_behind(
    reference: str, nodes: Mapping[str, tf.compat.v1.NodeDef]
) -> tf.compat.v1.NodeDef | None:
    """Return the Const node that a reference leads to through Identity, or None."""
    node = nodes[node_name(reference)]
    while node.op == "Identity":
        node = nodes[node_name(node.input[0])]
    return node if node.op == "Const" else None


def constant_value(node: tf.compat.v1.NodeDef) -> npt.NDArray[Any]:
    """Return the array of a Const node."""
    value: npt.NDArray[Any] = tf.make_ndarray(node.attr["value"].tensor)
    return value


def placeholder_shape(
    graph: tf.compat.v1.GraphDef, tensor: str
) -> tuple[int | None, int | None, int | None]:
    """Return the height, width and channels of a placeholder, None for arbitrary ones."""
    (node,) = (node for node in graph.node if node.name == node_name(tensor))
    sides = [
        dimension.size if dimension.size > 0 else None
        for dimension in attribute(node, "shape").shape.dim
    ]
    height, width, channels = sides[1:] if len(sides) == 4 else (None, None, None)
    return height, width, channels


def nodes_with_bad_numbers(graph: tf.compat.v1.GraphDef) -> list[str]:
    """Return the names of the Const nodes with a NaN or an infinity."""
    constants = [
        node
        for node in graph.node
        if node.op == "Const" and node.attr["dtype"].type in (tf.float32, tf.float64, tf.float16)
    ]
    return [node.name for node in constants if not np.isfinite(constant_value(node)).all()]


def with_gradients(
    graph: tf.compat.v1.GraphDef, gradients: Mapping[str, str]
) -> tf.compat.v1.GraphDef:
    """Return a copy of the graph with other gradients, by registered name, for some operations."""
    copy = tf.compat.v1.GraphDef()
    copy.CopyFrom(graph)
    for node in copy.node:
        if node.op in gradients:
            node.attr["_gradient_op_type"].s = gradients[node.op].encode()
    return copy


def before_activation(graph: tf.compat.v1.GraphDef, tensor: str) -> str:
    """Return the input of the activation function that makes the tensor, or the tensor itself."""
    nodes = {node.name: node for node in graph.node}
    node = nodes[node_name(tensor)]
    if node.op in ACTIVATIONS:
        return tensor_name(node.input[0])
    # Swish, as Keras writes it: x times the sigmoid of x.
    for value, gate in (node.input[:2], node.input[1::-1]) if node.op == "Mul" else ():
        if nodes[node_name(gate)].op == "Sigmoid" and nodes[node_name(gate)].input[0] == value:
            return tensor_name(value)
    return tensor


def activation_behind(graph: tf.compat.v1.GraphDef, tensor: str) -> str | None:
    """Return the activation function or softmax that is applied to a tensor, or None."""
    found = {node_name(tensor)}
    for node in in_forward_order(graph):
        if node.input and node_name(node.input[0]) in found:
            if node.op in ACTIVATIONS | PROBABILITIES:
                return str(node.op)
            if node.op in SAME_VALUES:
                found.add(node.name)
    return None


def run_inside(
    graph: tf.compat.v1.GraphDef,
    input_tensor: str,
    value: tf.Tensor,
    tensors: Collection[str],
    others: Mapping[str, tf.Tensor] | None = None,
) -> list[tf.Tensor]:
    """Add the graph to the graph being traced, with `value` as input; return tensors of it.

    Args:
        graph: a frozen graph.
        input_tensor: its placeholder.
        value: of the placeholder.
        tensors: which to return.
        others: the values of tensors that the graph reads but does not hold.
    """
    fed = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    # A function with a placeholder that is not fed cannot run.
    fed.node.extend(node for node in graph.node if node.name != node_name(input_tensor))
    return tf.graph_util.import_graph_def(
        fed,
        input_map={input_tensor: value, **(others or {})},
        return_elements=list(tensors),
        name="model",
    )
