"""Plain operations on frozen GraphDefs: cut them, hash what produces a tensor, read and run
them.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.graph.operation_sets import (
    ACTIVATIONS,
    PROBABILITIES,
    SAME_VALUES,
)

# A bundle's bytes must not depend on the patch level of TensorFlow that froze it, so the graph
# names a fixed producer.
GRAPH_PRODUCER = 1882


def node_name(reference: str) -> str:
    """Return the node that an input or tensor reference names: `block_3/add:0` and `^block_3/add`
    are of `block_3/add`.
    """
    return reference.removeprefix("^").partition(":")[0]


def tensor_name(reference: str) -> str:
    """Return the full name of the tensor that a reference names: `bn:0` for `bn`."""
    return f"{node_name(reference)}:{output_index(reference)}"


def output_index(reference: str) -> int:
    """Return which output of its node a reference names: 1 for `bn:1`, 0 for `bn`."""
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
    """Return the part of a graph without variables that produces the tensors, the same bytes each
    time.

    What only this process knows goes, such as the name of a gradient that is a Python function.
    """
    frozen = subgraph(graph, tensors)
    for node in frozen.node:
        for name in [name for name in node.attr if name.startswith("_")]:
            del node.attr[name]
    frozen.versions.producer = GRAPH_PRODUCER
    return frozen


def tensor_hashes(graph: tf.compat.v1.GraphDef) -> dict[str, str]:
    """Return, for each node, the sha256 of the sub-graph that produces it: operations, attributes
    and weights, but no names.

    A hash is made of the node's operation and attributes and of its inputs' hashes (a Merkle tree),
    so that two models that share their first layers share those layers' hashes.
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
    """Return the nodes so that each stands behind its inputs."""
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
    """Return a node's attribute, empty if it has none; `node.attr[name]` would put an empty one
    into the node.
    """
    return node.attr[name] if name in node.attr else tf.compat.v1.AttrValue()


def make_identity(node: tf.compat.v1.NodeDef, dtype: int) -> None:
    """Let a node pass its first input on, whatever it did before."""
    node.op, node.input[:] = "Identity", node.input[:1]
    node.attr.clear()
    node.attr["T"].type = dtype


def constant_node(name: str, value: np.ndarray) -> tf.compat.v1.NodeDef:
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


def constant_value(node: tf.compat.v1.NodeDef) -> np.ndarray:
    """Return the array that a Const node holds."""
    value: np.ndarray = tf.make_ndarray(node.attr["value"].tensor)
    return value


def placeholder_shape(
    graph: tf.compat.v1.GraphDef, tensor: str
) -> tuple[int | None, int | None, int | None]:
    """Return the height, width and channels that a placeholder `[batch, height, width, channel]`
    takes, None where it takes any.
    """
    (node,) = (node for node in graph.node if node.name == node_name(tensor))
    sides = [
        dimension.size if dimension.size > 0 else None
        for dimension in attribute(node, "shape").shape.dim
    ]
    height, width, channels = sides[1:] if len(sides) == 4 else (None, None, None)
    return height, width, channels


def nodes_with_bad_numbers(graph: tf.compat.v1.GraphDef) -> list[str]:
    """Return the names of the Const nodes that hold a NaN or an infinity."""
    constants = [
        node
        for node in graph.node
        if node.op == "Const" and node.attr["dtype"].type in (tf.float32, tf.float64, tf.float16)
    ]
    return [node.name for node in constants if not np.isfinite(constant_value(node)).all()]


def with_gradients(
    graph: tf.compat.v1.GraphDef, gradients: Mapping[str, str]
) -> tf.compat.v1.GraphDef:
    """Return a copy of the graph in which some kinds of operations have other gradients, by the
    names these are registered under.
    """
    copy = tf.compat.v1.GraphDef()
    copy.CopyFrom(graph)
    for node in copy.node:
        if node.op in gradients:
            node.attr["_gradient_op_type"].s = gradients[node.op].encode()
    return copy


def before_activation(graph: tf.compat.v1.GraphDef, tensor: str) -> str:
    """Return the tensor that an activation function made another of, or that other itself where
    none did.
    """
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
    """Return the kind of operation that makes activations or probabilities of a tensor, as it is or
    in another shape; None if none does.
    """
    found = {node_name(tensor)}
    for node in in_forward_order(graph):
        if node.input and node_name(node.input[0]) in found:
            if node.op in ACTIVATIONS | PROBABILITIES:
                return str(node.op)
            if node.op in SAME_VALUES:
                found.add(node.name)
    return None


def run_inside(
    graph: tf.compat.v1.GraphDef, input_tensor: str, value: tf.Tensor, tensors: Collection[str]
) -> list[tf.Tensor]:
    """Add the graph's operations to the graph being traced, fed with `value`, and return the
    tensors' values.
    """
    fed = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    # The placeholder stays behind: a function that holds one that nothing feeds cannot run.
    fed.node.extend(node for node in graph.node if node.name != node_name(input_tensor))
    return tf.graph_util.import_graph_def(
        fed, input_map={input_tensor: value}, return_elements=list(tensors), name="model"
    )
