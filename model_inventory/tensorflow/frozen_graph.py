"""Reads a frozen graph, a `.pb` file of TensorFlow 1, and extracts the path from image to output.

Parts for training or debugging are dropped: control inputs, devices, checks, savers, summaries. All
other nodes keep their names.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from diamond_cutter.model_inventory.errors import BadModel, first_few
from diamond_cutter.model_inventory.graph.graph_def import (
    attribute,
    in_forward_order,
    make_identity,
    node_name,
    subgraph,
)
from diamond_cutter.model_inventory.graph.operation_sets import (
    BIASES,
    PRINTING_CHECKS,
    PROBABILITIES,
    SAME_VALUES,
)
from diamond_cutter.model_inventory.heads import ACTIVATION_NAMES, Output
from diamond_cutter.model_inventory.tensorflow.graph_checks import (
    refuse_broken,
    refuse_circles,
    refuse_what_does_not_run,
)
from diamond_cutter.model_inventory.tensorflow.graph_file import read_graph_file

# Numeric ends of a graph that are not outputs.
_NO_OUTPUT = {"Switch", "TopK", "TopKV2"}


def read_frozen_graph(path: Path, *, input_name: str | None = None) -> tf.compat.v1.GraphDef:
    """Read a frozen GraphDef: constants, operations and one placeholder.

    Args:
        path: the file.
        input_name: the node that becomes the placeholder for images; found if omitted.

    Raises:
        BadModel: the file is not such a graph; the text says what it is instead.
    """
    graph = read_graph_file(path)
    refuse_broken(graph, path)
    _clean(graph)
    refuse_circles(graph, path)
    image = input_name or _find_image(graph, path)
    _put_placeholder(graph, image, path)
    ends = _ends(graph, image)
    if not ends:
        raise BadModel(
            f"{path} computes nothing from {image!r} alone{_also_needed(graph)}. Freeze it with "
            "constants for all other inputs."
        )
    needed = subgraph(graph, [image, *ends])
    refuse_what_does_not_run(needed, path)
    return needed


def image_input(graph: tf.compat.v1.GraphDef) -> str:
    """Return the tensor of the images, in a graph from `read_frozen_graph`."""
    return next(f"{node.name}:0" for node in graph.node if node.op == "Placeholder")


def output_tensor(graph: tf.compat.v1.GraphDef) -> str:
    """Return the output of a graph from `read_frozen_graph`: its last classifier, or last end."""
    return f"{_ranked_ends(graph)[0]}:0"


def outputs(graph: tf.compat.v1.GraphDef) -> tuple[Output, ...]:
    """Return the outputs of a graph from `read_frozen_graph`, that of `output_tensor` first."""
    nodes = {node.name: node for node in graph.node}
    ends = _ranked_ends(graph)
    return tuple(
        Output(
            name=name,
            shape=shape,
            activation=ACTIVATION_NAMES.get(_maker(nodes, name).op, "none"),
        )
        for name, shape in zip(ends, _shapes(graph, ends), strict=True)
    )


def _shapes(graph: tf.compat.v1.GraphDef, names: list[str]) -> list[tuple[int | None, ...]]:
    """Return the shapes of nodes for one image; empty if unknown, or not needed for a choice."""
    if len(names) == 1:
        return [()]
    with tf.Graph().as_default():
        try:
            tensors = tf.graph_util.import_graph_def(
                graph, return_elements=[f"{name}:0" for name in names], name=""
            )
        except ValueError:  # the bundle's own checks say why
            return [() for _ in names]
    return [tuple(each.shape.as_list()[1:]) if each.shape.rank else () for each in tensors]


def _ranked_ends(graph: tf.compat.v1.GraphDef) -> list[str]:
    """Return the ends of a graph: probabilities first, then scores, and deeper ends first."""
    nodes = {node.name: node for node in graph.node}
    depths: dict[str, int] = {}
    for node in in_forward_order(graph):
        depths[node.name] = 1 + max(
            (depths[node_name(reference)] for reference in node.input), default=0
        )
    ends = _ends(graph, node_name(image_input(graph)))
    return sorted(
        ends, key=lambda name: (_classifies(nodes, name), depths[name], name), reverse=True
    )


def _classifies(nodes: Mapping[str, tf.compat.v1.NodeDef], name: str) -> int:
    """Return 2 for an end with probabilities, 1 for one with scores, and 0 for others."""
    op = _maker(nodes, name).op
    return 2 if op in PROBABILITIES else int(op in BIASES | {"MatMul"})


def _maker(nodes: Mapping[str, tf.compat.v1.NodeDef], name: str) -> tf.compat.v1.NodeDef:
    """Return the node that makes the values of a node, behind those that only move them."""
    node = nodes[name]
    while node.op in SAME_VALUES:
        node = nodes[node_name(node.input[0])]
    return node


def _clean(graph: tf.compat.v1.GraphDef) -> None:
    """Drop control inputs, devices and colocation, and replace checks by identities."""
    for node in graph.node:
        node.device = ""
        node.input[:] = [reference for reference in node.input if not reference.startswith("^")]
        for private in [name for name in node.attr if name.startswith("_")]:
            del node.attr[private]
        if node.op in PRINTING_CHECKS and node.input:
            make_identity(node, attribute(node, "T").type)
        elif node.op == "Concat":
            # The axis is the first input of the early Concat, and the last of ConcatV2.
            axis, *values = node.input
            node.op, node.input[:] = "ConcatV2", [*values, axis]
            node.attr["Tidx"].type = tf.int32.as_datatype_enum


def _find_image(graph: tf.compat.v1.GraphDef, path: Path) -> str:
    used = {node_name(reference) for node in graph.node for reference in node.input}
    holders = [node for node in graph.node if node.op in ("Placeholder", "PlaceholderWithDefault")]
    images = [node for node in holders if _can_be_image(node) and node.name in used]
    certain = [node for node in images if len(attribute(node, "shape").shape.dim) == 4]
    # A placeholder with a default is optional.
    asking = [node for node in certain or images if node.op == "Placeholder"]
    candidates = asking or certain or images
    if len(candidates) == 1:
        return str(candidates[0].name)
    if candidates:
        raise BadModel(
            f"{path} has several inputs for images: expected one, found {_in_words(candidates)}. "
            "Give a graph with one."
        )
    raise BadModel(
        f"{path} has no placeholder for images: expected float32 [batch, height, width, channels], "
        f"found {_in_words(holders) or 'none'}. Give a graph that has one."
    )


def _can_be_image(node: tf.compat.v1.NodeDef) -> bool:
    shape = attribute(node, "shape").shape
    # In old graphs a shape without dimensions is unknown.
    return (len(shape.dim) in (0, 4) or shape.unknown_rank) and attribute(
        node, "dtype"
    ).type == tf.float32.as_datatype_enum


def _in_words(holders: Collection[tf.compat.v1.NodeDef]) -> str:
    return first_few(
        [f"{node.name} ({tf.as_dtype(attribute(node, 'dtype').type).name})" for node in holders]
    )


def _also_needed(graph: tf.compat.v1.GraphDef) -> str:
    others = [node for node in graph.node if node.op == "Placeholder"]
    return f": expected one input, found {_in_words(others)}" if len(others) > 1 else ""


def _put_placeholder(graph: tf.compat.v1.GraphDef, image: str, path: Path) -> None:
    """Turn the node of the image into a placeholder, and replace others by their defaults."""
    if image not in {node.name for node in graph.node}:
        raise BadModel(
            f"{path} has no node {image!r} for images. Give the graph of the named model."
        )
    for node in graph.node:
        if node.name == image:
            known = [
                dim.size if dim.size > 0 else None for dim in attribute(node, "shape").shape.dim
            ]
            sides = known[1:] if len(known) == 4 else [None] * 3
            node.op = "Placeholder"
            del node.input[:]
            node.attr.clear()
            node.attr["dtype"].type = tf.float32.as_datatype_enum
            node.attr["shape"].shape.CopyFrom(tf.TensorShape([None, *sides]).as_proto())
        elif node.op == "PlaceholderWithDefault":
            make_identity(node, attribute(node, "dtype").type)


def _ends(graph: tf.compat.v1.GraphDef, image: str) -> list[str]:
    """Return the last nodes that depend on the image and on no other placeholder."""
    ordered = in_forward_order(graph)
    of_image, of_others = (
        {image},
        {node.name for node in graph.node if node.op == "Placeholder"} - {image},
    )
    for node in ordered:
        sources = {node_name(reference) for reference in node.input}
        for depending in (of_image, of_others):
            if sources & depending:
                depending.add(node.name)
    used: set[str] = set()
    ends: list[str] = []
    for node in reversed(ordered):
        if node.name in of_image - of_others - {image} and (
            node.name in used or not _is_no_output(node)
        ):
            if node.name not in used:
                ends.append(node.name)
            used.update(node_name(reference) for reference in node.input)
    return ends[::-1]


def _is_no_output(node: tf.compat.v1.NodeDef) -> bool:
    """Tell whether an end is not an output but a check, a summary, a boolean or a count."""
    operation = op_def_registry.get(node.op)
    if operation is None:
        return False
    types: list[int] = []
    for output in operation.output_arg:
        types += (
            [output.type or attribute(node, output.type_attr).type]
            if not output.type_list_attr
            else []
        )
        types += attribute(node, output.type_list_attr).list.type
    return node.op in _NO_OUTPUT or not any(
        dtype == 0 or tf.as_dtype(dtype).is_floating for dtype in types
    )
