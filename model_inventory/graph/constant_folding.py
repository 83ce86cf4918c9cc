"""Constant folding: replaces nodes that depend only on constants by their values.

Bundles keep the original graph, because folded values differ in the last bit between processors,
and the hash of a bundle must not.
"""

import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import (
    in_forward_order,
    node_name,
    output_index,
    subgraph,
)

# Operations with another result each time, or none.
_NEVER = {"Placeholder", "PlaceholderWithDefault", "NoOp", "Const"}
_RANDOM = ("Random", "Multinomial", "TruncatedNormal", "StatelessRandom")
# Elements. Larger values, such as filled tensors, are better computed again.
_LARGEST = 1 << 24


def fold_constants(graph: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """Return an equal graph in which nodes that depend only on constants are constants."""
    folded = _constant_nodes(graph)
    read = {
        node_name(reference): reference.removeprefix("^")
        for node in graph.node
        if node.name not in folded
        for reference in node.input
        if node_name(reference) in folded
    }
    if not read:
        return graph
    options = tf.compat.v1.ConfigProto()
    # To optimise the graph takes longer than the one run, which computes the same.
    options.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default(), tf.compat.v1.Session(config=options) as session:
        tf.graph_util.import_graph_def(subgraph(graph, list(read)), name="")
        values = session.run({name: session.graph.get_tensor_by_name(f"{name}:0") for name in read})
    small = {name: value for name, value in values.items() if value.size <= _LARGEST}
    result = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    result.node.extend(
        _constant(node, small[node.name]) if node.name in small else node for node in graph.node
    )
    return subgraph(
        result, [node.name for node in graph.node if node.name not in folded and node.op != "Const"]
    )


def _constant_nodes(graph: tf.compat.v1.GraphDef) -> set[str]:
    """Return the nodes with one output that depend only on constants, without the constants."""
    decided: set[str] = set()
    folded: set[str] = set()
    for node in in_forward_order(graph):
        if node.op == "Const":
            decided.add(node.name)
        elif node.op in _NEVER or any(word in node.op for word in _RANDOM) or not node.input:
            continue
        elif all(node_name(reference) in decided for reference in node.input):
            decided.add(node.name)
            folded.add(node.name)
    several = {
        node_name(reference)
        for node in graph.node
        for reference in node.input
        if output_index(reference) > 0
    }
    return folded - several


def _constant(node: tf.compat.v1.NodeDef, value: object) -> tf.compat.v1.NodeDef:
    proto = tf.make_tensor_proto(value)
    constant = tf.compat.v1.NodeDef(name=node.name, op="Const")
    constant.attr["dtype"].type = proto.dtype
    constant.attr["value"].tensor.CopyFrom(proto)
    return constant
