"""Reads a frozen graph, a `.pb` file of TensorFlow 1, and extracts the path from image to output.

Parts for training or debugging are dropped: control inputs, devices, checks, savers, summaries. All
other nodes keep their names.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from diamond_cutter.model_inventory.errors import BadModel, first_few
from diamond_cutter.model_inventory.graph.allowed_operations import refuse_graph
from diamond_cutter.model_inventory.graph.graph_def import (
    attribute,
    in_forward_order,
    make_identity,
    node_name,
    subgraph,
)
from diamond_cutter.model_inventory.graph.operation_sets import (
    BIASES,
    CALLS,
    CONTROL_FLOW,
    PRINTING_CHECKS,
    PROBABILITIES,
    SAME_VALUES,
    VARIABLES,
)
from diamond_cutter.regular_files import open_regular

_MAX_BYTES = 2**31 - 1
_VARIABLES = VARIABLES | {"ReadVariableOp", "AutoReloadVariable", "TemporaryVariable"}
_CALLS = CALLS | {"SymbolicGradient", "RemoteCall"}
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
    graph = _parse(path)
    _refuse_broken(graph, path)
    _clean(graph)
    _refuse_circles(graph, path)
    image = input_name or _find_image(graph, path)
    _put_placeholder(graph, image, path)
    ends = _ends(graph, image)
    if not ends:
        raise BadModel(
            f"{path} computes nothing from {image!r} alone{_also_needed(graph)}. Freeze it with "
            "constants for all other inputs."
        )
    needed = subgraph(graph, [image, *ends])
    _refuse_what_does_not_run(needed, path)
    return needed


def image_input(graph: tf.compat.v1.GraphDef) -> str:
    """Return the tensor of the images, in a graph from `read_frozen_graph`."""
    return next(f"{node.name}:0" for node in graph.node if node.op == "Placeholder")


def output_tensor(graph: tf.compat.v1.GraphDef) -> str:
    """Return the output of a graph from `read_frozen_graph`: its last classifier, or last end."""
    nodes = {node.name: node for node in graph.node}
    depths: dict[str, int] = {}
    for node in in_forward_order(graph):
        depths[node.name] = 1 + max(
            (depths[node_name(reference)] for reference in node.input), default=0
        )
    ends = _ends(graph, node_name(image_input(graph)))
    return f"{max(ends, key=lambda name: (_classifies(nodes, name), depths[name], name))}:0"


def _classifies(nodes: Mapping[str, tf.compat.v1.NodeDef], name: str) -> int:
    """Return 2 for an end with probabilities, 1 for one with scores, and 0 for others."""
    node = nodes[name]
    while node.op in SAME_VALUES:
        node = nodes[node_name(node.input[0])]
    return 2 if node.op in PROBABILITIES else int(node.op in BIASES | {"MatMul"})


def _parse(path: Path) -> tf.compat.v1.GraphDef:
    if path.is_dir():
        raise BadModel(
            f"{path} is a folder: expected the .pb file of a frozen graph. Give that file."
        )
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MAX_BYTES:
                raise BadModel(
                    f"{path} is too large: expected at most {_MAX_BYTES} bytes, found {size}. "
                    "Give a smaller graph."
                )
            data = file.read()
    except FileNotFoundError as error:
        raise BadModel(
            f"file {path} does not exist. Give the .pb file of a frozen graph."
        ) from error
    except OSError as error:
        raise BadModel(
            f"{path} cannot be read ({error.strerror or error}). Give a readable regular file."
        ) from error
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(data)
    except Exception as error:  # protobuf's own, whose package is Google's
        raise BadModel(f"{path} {_what_else(data)}") from error
    if not graph.node:
        raise BadModel(f"{path} {_what_else(data)}")
    return graph


def _what_else(data: bytes) -> str:
    """Return the problem and remedy of bytes that are not a graph."""
    if not data:
        return "is empty. Download it again."
    if data[:2] == b"\x1f\x8b":
        return "is packed by gzip. Unpack it first."
    if data.lstrip()[:6] == b"node {":
        return "is a graph as text: expected a binary graph. Give the binary .pb file."
    if data[:100].lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "is a web page: expected a frozen graph. Download the file itself."
    if data.startswith(b"version https://git-lfs"):
        return (
            "is a pointer of Git LFS: expected the file itself. Run `git lfs pull` to download it."
        )
    if _is_saved_model(data):
        return (
            "is a part of a SavedModel: expected a frozen graph. Give the folder of the SavedModel."
        )
    return (
        "is truncated or not a frozen graph: expected a binary GraphDef. Download it again, or "
        "give another .pb file."
    )


def _is_saved_model(data: bytes) -> bool:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(data)
    except Exception:  # whatever else it is
        return False
    return any(part.graph_def.node for part in saved.meta_graphs)


def _refuse_broken(graph: tf.compat.v1.GraphDef, path: Path) -> None:
    """Refuse a graph with duplicate or missing nodes."""
    nodes = {node.name: node for node in graph.node}
    if len(nodes) < len(graph.node):
        raise BadModel(
            f"{path} has two nodes of the same name. Give a graph as TensorFlow writes it."
        )
    for node in graph.node:
        missing = [
            node_name(reference) for reference in node.input if node_name(reference) not in nodes
        ]
        if missing:
            raise BadModel(
                f"{path} is truncated or edited: node {node.name!r} reads the missing node "
                f"{missing[0]!r}. Download it again."
            )


def _refuse_what_does_not_run(graph: tf.compat.v1.GraphDef, path: Path) -> None:
    functions = {function.signature.name for function in graph.library.function}
    for ops, what, remedy in (
        (_VARIABLES, "variables", "Freeze it first"),
        (
            CONTROL_FLOW,
            "branches or loops",
            "Freeze it for inference, with constants for their conditions",
        ),
        (
            _CALLS | functions,
            "calls of functions",
            "Freeze it with convert_variables_to_constants_v2, which inlines them",
        ),
    ):
        found = [f"{node.op} in {node.name[:80]}" for node in graph.node if node.op in ops]
        if found:
            raise BadModel(
                f"{path} has {what}: expected only constants and operations, found "
                f"{first_few(found)}. {remedy}."
            )
    refuse_graph(graph, f"{path}")
    graph.ClearField("library")  # nothing calls its functions


def _refuse_circles(graph: tf.compat.v1.GraphDef, path: Path) -> None:
    waiting = {node.name: {node_name(reference) for reference in node.input} for node in graph.node}
    users: dict[str, list[str]] = {name: [] for name in waiting}
    for name, sources in waiting.items():
        for source in sources:
            users[source].append(name)
    ready = [name for name, sources in waiting.items() if not sources]
    done = 0
    while ready:
        done += 1
        name = ready.pop()
        for user in users[name]:
            waiting[user].discard(name)
            if not waiting[user]:
                ready.append(user)
    if done < len(waiting):
        circle = first_few(sorted(name for name, sources in waiting.items() if sources))
        raise BadModel(f"{path} has loops ({circle}). Give a graph that computes every node once.")


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
