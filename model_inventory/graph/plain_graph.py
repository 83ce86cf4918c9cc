"""Simplifies traced graphs: no identities, no attributes of this process, constants for weights."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.allowed_operations import refuse_graph
from diamond_cutter.model_inventory.graph.graph_def import (
    GRAPH_PRODUCER,
    attribute,
    constant_node,
    constant_value,
    node_name,
    output_index,
    subgraph,
)
from diamond_cutter.model_inventory.graph.operation_sets import CALLS, CHECKS, CONTROL_FLOW
from diamond_cutter.model_inventory.graph.precision import in_float32, refuse_quantised, widened

_PASS_ON = CHECKS | {"Identity", "IdentityN", "ReadVariableOp", "Snapshot"}


def plain_graph(
    traced: tf.Graph, image: str, tensors: Sequence[str], weights: Collection[str] = ()
) -> tuple[tf.compat.v1.GraphDef, list[str]]:
    """Return the part of a traced graph that produces some tensors, and their names in it.

    Nodes that return their input (Identity, a product with one), control inputs and attributes for
    one process are dropped. Grouped convolutions, which have no gradient on processors, become one
    convolution for each group.

    Args:
        traced: the graph of TensorFlow.
        image: the node of the placeholder for images.
        tensors: to be kept.
        weights: the placeholders for weights, which `with_constants` replaces later.

    Raises:
        BadModel: a node is not allowed in a graph of constants and operations.
        Quantised: the graph computes with whole numbers of 8 bits.
    """
    groups = _groups(traced)
    graph = traced.as_graph_def()
    in_float32(graph)
    passes_on = _Passes({node.name: node for node in graph.node}, image)
    kept = [passes_on.source(tensor) for tensor in tensors]
    _stand_for_values(graph, weights)
    for node in graph.node:
        _clean(node, passes_on)
    plain = subgraph(graph, [image, *kept])
    refuse_what_is_not_plain(plain, {image, *weights})
    refuse_graph(plain, "it")
    if groups:
        plain = _without_groups(plain, groups)
    _refuse_rounding(plain, image)
    plain.ClearField("library")
    plain.versions.producer = GRAPH_PRODUCER
    return plain, kept


def with_constants(
    graph: tf.compat.v1.GraphDef, weights: Mapping[str, Callable[[], npt.NDArray[Any]]]
) -> tf.compat.v1.GraphDef:
    """Return a graph with constants in place of placeholders, each array made when needed.

    Weights in float16 become float32.
    """
    filled = tf.compat.v1.GraphDef(versions=graph.versions)
    for node in graph.node:
        filled.node.append(
            constant_node(node.name, widened(weights[node.name]()))
            if node.name in weights
            else node
        )
    return filled


def _stand_for_values(graph: tf.compat.v1.GraphDef, weights: Collection[str]) -> None:
    """Let placeholders for variables have the values that are read, because reads are dropped."""
    variables = {node.name: node for node in graph.node if node.name in weights}
    for read in graph.node:
        variable = variables.get(node_name(read.input[0])) if read.op == "ReadVariableOp" else None
        if variable:
            variable.attr["dtype"].CopyFrom(read.attr["dtype"])
            variable.attr["shape"].shape.unknown_rank = True


class _Passes:
    """The values behind references once nodes that change nothing are dropped."""

    def __init__(self, nodes: Mapping[str, tf.compat.v1.NodeDef], image: str) -> None:
        self._nodes = nodes
        self._image = image

    def source(self, reference: str) -> str:
        """Return the tensor, as `name:0`, behind a reference."""
        while True:
            node = self._nodes[node_name(reference)]
            behind = self._behind(node, output_index(reference))
            if behind is None:
                return f"{node.name}:{output_index(reference)}"
            reference = behind

    def _behind(self, node: tf.compat.v1.NodeDef, output: int) -> str | None:
        inputs = [reference for reference in node.input if not reference.startswith("^")]
        if node.op in _PASS_ON:
            return inputs[output]
        if node.op == "Mul":  # Keras writes swish with a factor, which is one
            return next((inputs[1 - i] for i in (0, 1) if self._is_one(inputs[i])), None)
        if node.op == "Cast":
            return (
                inputs[0]
                if attribute(node, "SrcT").type == attribute(node, "DstT").type
                else self._image_behind(node)
            )
        return None

    def _is_one(self, reference: str) -> bool:
        node = self._nodes[node_name(self.source(reference))]
        if node.op != "Const":
            return False
        shape = attribute(node, "value").tensor.tensor_shape.dim
        return not shape and float(constant_value(node)) == 1.0

    def _image_behind(self, cast: tf.compat.v1.NodeDef) -> str | None:
        """Return the image if it is rounded and converted back, which has no gradient."""
        inner = self._nodes[node_name(self.source(cast.input[0]))]
        made_float = attribute(cast, "DstT").type == tf.float32.as_datatype_enum
        if (
            not made_float
            or inner.op != "Cast"
            or not tf.as_dtype(attribute(inner, "SrcT").type).is_floating
        ):
            return None
        source = self.source(inner.input[0])
        return source if node_name(source) == self._image else None


def _clean(node: tf.compat.v1.NodeDef, passes_on: _Passes) -> None:
    """Connect a node to the values behind its inputs, and drop attributes of this process."""
    values = [passes_on.source(each) for each in node.input if not each.startswith("^")]
    node.input[:] = [value.removesuffix(":0") for value in values]
    for private in [name for name in node.attr if name.startswith("_")]:
        del node.attr[private]
    node.ClearField("experimental_type")
    node.ClearField("experimental_debug_info")


def refuse_what_is_not_plain(graph: tf.compat.v1.GraphDef, known: Collection[str]) -> None:
    """Refuse branches, loops, and inputs or variables other than the known nodes.

    Raises:
        BadModel: names the operation and its node.
    """
    for node in graph.node:
        if node.op in CALLS | CONTROL_FLOW:
            raise BadModel(
                f"it has a function or a branch that cannot be inlined ({node.op} in {node.name})"
            )
        if node.name not in known and (
            node.op.startswith("Placeholder") or tf.resource.as_datatype_enum in _types(node)
        ):
            raise BadModel(
                f"it reads an input that is neither the image nor a weight ({node.op} in "
                f"{node.name})"
            )
    refuse_quantised(graph.node)


def _refuse_rounding(graph: tf.compat.v1.GraphDef, image: str) -> None:
    for node in graph.node:
        if node.op != "Cast" or node_name(node.input[0]) != image:
            continue
        if tf.as_dtype(attribute(node, "DstT").type).is_integer:
            raise BadModel(
                f"it rounds the image to whole numbers ({node.name}), so no gradient reaches the "
                "image"
            )


def _types(node: tf.compat.v1.NodeDef) -> Collection[int]:
    return [value.type for value in node.attr.values() if value.type]


@dataclass(frozen=True)
class _Groups:
    """The groups of a convolution: input channels, number of groups, shape of the weights."""

    channels: int
    groups: int
    weights: tuple[int, int, int, int]

    def of_single_channels(self, convolution: tf.compat.v1.NodeDef) -> bool:
        """Tell whether TensorFlow's depthwise convolution computes this one."""
        strides, dilations = (
            list(attribute(convolution, name).list.i) for name in ("strides", "dilations")
        )
        padding = attribute(convolution, "padding").s
        return (
            self.groups == self.channels
            and strides[1] == strides[2]
            and set(dilations) <= {1}
            and padding in (b"SAME", b"VALID")
        )


def _groups(graph: tf.Graph) -> dict[str, _Groups]:
    """Return the grouped convolutions by name."""
    groups: dict[str, _Groups] = {}
    for operation in graph.get_operations():
        if operation.type == "Conv2D":
            channels, taken = operation.inputs[0].shape, operation.inputs[1].shape
            if (
                channels.rank == 4
                and taken.is_fully_defined()
                and channels[3]
                and channels[3] != taken[2]
            ):
                groups[operation.name] = _Groups(channels[3], channels[3] // taken[2], tuple(taken))
    return groups


def _without_groups(
    graph: tf.compat.v1.GraphDef, groups: Mapping[str, _Groups]
) -> tf.compat.v1.GraphDef:
    """Replace grouped convolutions by depthwise ones, or by one convolution for each group."""
    result = tf.compat.v1.GraphDef(versions=graph.versions)
    for node in graph.node:
        if node.name not in groups:
            result.node.append(node)
        elif groups[node.name].of_single_channels(node):
            result.node.extend(_depthwise_convolution(node, groups[node.name]))
        else:
            result.node.extend(_convolutions_of_groups(node, groups[node.name].groups))
    return result


def _depthwise_convolution(
    convolution: tf.compat.v1.NodeDef, groups: _Groups
) -> list[tf.compat.v1.NodeDef]:
    """Return a depthwise convolution with weights of shape `[h, w, channel, multiplier]`."""
    name, (height, width, _one, out) = convolution.name, groups.weights
    shape = constant_node(
        f"{name}/weights/shape",
        np.array([height, width, groups.channels, out // groups.channels], np.int32),
    )
    weights = tf.compat.v1.NodeDef(
        name=f"{name}/weights", op="Reshape", input=[convolution.input[1], shape.name]
    )
    weights.attr["T"].CopyFrom(convolution.attr["T"])
    weights.attr["Tshape"].type = tf.int32.as_datatype_enum
    depthwise = tf.compat.v1.NodeDef(
        name=name, op="DepthwiseConv2dNative", input=[convolution.input[0], weights.name]
    )
    for attribute_name in (
        "T",
        "strides",
        "padding",
        "data_format",
        "dilations",
        "explicit_paddings",
    ):
        depthwise.attr[attribute_name].CopyFrom(convolution.attr[attribute_name])
    return [shape, weights, depthwise]


def _convolutions_of_groups(
    convolution: tf.compat.v1.NodeDef, groups: int
) -> list[tf.compat.v1.NodeDef]:
    name, dtype = convolution.name, convolution.attr["T"]
    axis = constant_node(f"{name}/groups/axis", np.array(3, np.int32))
    splits = [
        tf.compat.v1.NodeDef(name=f"{name}/groups/{part}", op="Split")
        for part in ("values", "weights")
    ]
    for split, value in zip(splits, convolution.input, strict=True):
        split.input.extend([axis.name, value])
        split.attr["num_split"].i = groups
        split.attr["T"].CopyFrom(dtype)
    parts = []
    for group in range(groups):
        part = tf.compat.v1.NodeDef()
        part.CopyFrom(convolution)
        part.name = f"{name}/groups/{group}"
        part.input[:] = [_output(split.name, group) for split in splits]
        parts.append(part)
    whole = tf.compat.v1.NodeDef(
        name=name, op="ConcatV2", input=[*(part.name for part in parts), axis.name]
    )
    whole.attr["N"].i = groups
    whole.attr["T"].CopyFrom(dtype)
    whole.attr["Tidx"].type = tf.int32.as_datatype_enum
    return [axis, *splits, *parts, whole]


def _output(name: str, index: int) -> str:
    return f"{name}:{index}" if index else name
