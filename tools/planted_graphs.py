"""Graphs with one operation planted in them, for `tools.planted_models`.

Every string argument of an operation is bait: a file in the watched folder, or the address of the
watched server.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.framework import op_def_registry

from diamond_cutter.model_inventory.graph.allowed_operations import ALLOWED_OPERATIONS

IMAGE = [None, 16, 16, 3]
_ADDRESS = re.compile(r"target|address|host|worker|server|url|protocol|device")
_NUMBERS = (tf.float32, tf.float64, tf.int32, tf.int64, tf.bool, tf.uint8)
_BODY = "planted_body"
_PASSED_BY = {
    "CheckNumerics",
    "CheckNumericsV2",
    "Print",
    "PlaceholderWithDefault",
    "ReadVariableOp",
}


@dataclass(frozen=True)
class Bait:
    """The targets of a planted operation: a folder with the file `there`, and a server."""

    folder: Path
    address: str

    def text(self, name: str) -> str:
        """Return the bait for an attribute or input of this name."""
        if _ADDRESS.search(name):
            return self.address
        if "pattern" in name and "shard" not in name:
            return str(self.folder / "*")
        return str(
            self.folder
            / ("there" if re.search(r"read|restore|old|vocab|filename|input", name) else "made")
        )


def planted_operations() -> list[str]:
    """Return the names of all TensorFlow operations that a bundle may not hold."""
    known = op_def_pb2.OpList()
    known.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    return sorted(
        operation.name for operation in known.op if operation.name not in ALLOWED_OPERATIONS
    )


def can_be_needed(op: str) -> bool:
    """Tell whether an operation returns a number, and importers do not replace it by its input."""
    return _number_output(op) is not None and op not in _PASSED_BY


def planted_node(
    op: str, bait: Bait, name: str = "planted"
) -> tuple[tf.compat.v1.NodeDef, list[tf.compat.v1.NodeDef]]:
    """Return a node of an operation with plausible attributes, and the nodes that it reads."""
    definition = op_def_registry.get(op)
    node = tf.compat.v1.NodeDef(name=name, op=op)
    for attr in definition.attr:
        value = node.attr[attr.name]
        texts = attr.type in ("string", "list(string)")
        reaches = texts and re.search(
            r"file|path|dir|url|prefix|target|address|stream|container|shared_name|region",
            attr.name,
        )
        if attr.name == "tensor_name":
            value.s = b"planted:0"  # or the debugging operations stop before they write
        elif attr.HasField("default_value") and not reaches:
            value.CopyFrom(attr.default_value)
        elif attr.HasField("allowed_values") and texts:
            value.s = attr.allowed_values.list.s[0]
        else:
            _set(value, attr, bait)
    inputs: list[tf.compat.v1.NodeDef] = []
    for argument in definition.input_arg:
        for dtype in _types(argument, node):
            inputs.append(_value(f"{name}/in{len(inputs)}", dtype, bait.text(argument.name)))
    node.input.extend(each.name for each in inputs)
    return node, inputs


def _set(value: tf.compat.v1.AttrValue, attr: op_def_pb2.OpDef.AttrDef, bait: Bait) -> None:
    text = bait.text(attr.name)
    url = f"file://{text}" if "url" in attr.name or "stream" in attr.name else text
    match attr.type:
        case "string":
            value.s = url.encode()
        case "list(string)":
            value.list.s.append(url.encode())
        case "int":
            value.i = max(attr.minimum, 1)
        case "list(int)":
            value.list.i.extend([1] * max(attr.minimum, 1))
        case "float":
            value.f = 1.0
        case "bool":
            value.b = False
        case "shape":
            value.shape.CopyFrom(tf.TensorShape([1]).as_proto())
        case "list(shape)":
            value.list.shape.add().CopyFrom(tf.TensorShape([1]).as_proto())
        case "type":
            allowed = list(attr.allowed_values.list.type)
            value.type = next(
                (
                    t.as_datatype_enum
                    for t in _NUMBERS
                    if not allowed or t.as_datatype_enum in allowed
                ),
                (allowed or [1])[0],
            )
        case "list(type)":
            value.list.type.extend([tf.float32.as_datatype_enum] * max(attr.minimum, 1))
        case "func":
            value.func.name = _BODY
        case "list(func)":
            value.list.func.add().name = _BODY


def _types(argument: op_def_pb2.OpDef.ArgDef, node: tf.compat.v1.NodeDef) -> list[int]:
    if argument.type_list_attr:
        return list(node.attr[argument.type_list_attr].list.type)
    dtype = argument.type or node.attr[argument.type_attr].type
    return [dtype] * (node.attr[argument.number_attr].i if argument.number_attr else 1)


def _value(name: str, dtype: int, text: str) -> tf.compat.v1.NodeDef:
    kind = tf.as_dtype(dtype).base_dtype
    if kind in (tf.resource, tf.variant):
        node = tf.compat.v1.NodeDef(name=name, op="VarHandleOp")
        node.attr["dtype"].type, node.attr["shape"].shape.unknown_rank = (
            tf.float32.as_datatype_enum,
            True,
        )
        node.attr["shared_name"].s = name.encode()
        return node
    value: object = text if kind == tf.string else np.zeros([1], np.float32)
    tensor = tf.make_tensor_proto([value] if kind == tf.string else np.zeros([1]), kind)
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = kind.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tensor)
    return node


def _number_output(op: str) -> int | None:
    """Return the index of the first numeric output, or None if there is none or it is unknown."""
    for place, argument in enumerate(op_def_registry.get(op).output_arg):
        if argument.number_attr or argument.type_list_attr or argument.is_ref:
            return None
        if (argument.type and tf.as_dtype(argument.type) in _NUMBERS) or argument.type_attr:
            return place
    return None


def network() -> tf.compat.v1.GraphDef:
    """Return a small network, `image` to `scores`."""
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, IMAGE, name="image")
        weights = tf.constant(
            np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32), name="weights"
        )
        features = tf.nn.relu(tf.nn.conv2d(image, weights, 1, "SAME", name="conv"), name="features")
        tf.nn.softmax(tf.reduce_mean(features, [1, 2], name="pooled"), name="scores")
    return graph.as_graph_def()


def with_planted(
    graph: tf.compat.v1.GraphDef, op: str, bait: Bait, how: str
) -> tf.compat.v1.GraphDef:
    """Plant an operation between `pooled` and `scores`, or as a control input of `pooled`."""
    scores = next(node for node in graph.node if node.name == "scores")
    pooled = next(node for node in graph.node if node.name == "pooled")
    node, inputs = planted_node(op, bait)
    number = _number_output(op)
    if how in ("function", "branch"):
        call = _call(graph, [*inputs, node], number, how)
        graph.node.extend(call)
        node = call[-1]
        number = 0
    else:
        graph.node.extend([*inputs, node])
    if number is None or how == "waited for":
        pooled.input.append(f"^{node.name}")
        return graph
    cast = tf.compat.v1.NodeDef(
        name="planted_number", op="Cast", input=[f"{node.name}:{number}" if number else node.name]
    )
    cast.attr["SrcT"].type = cast.attr["DstT"].type = tf.float32.as_datatype_enum
    total = tf.compat.v1.NodeDef(name="planted_sum", op="AddV2", input=["pooled", cast.name])
    total.attr["T"].type = tf.float32.as_datatype_enum
    graph.node.extend([cast, total])
    scores.input[0] = total.name
    return graph


def _call(
    graph: tf.compat.v1.GraphDef, nodes: list[tf.compat.v1.NodeDef], number: int | None, how: str
) -> list[tf.compat.v1.NodeDef]:
    """Move nodes into a function; return the nodes that call it. The last one returns a float."""
    function = graph.library.function.add()
    function.signature.name = _BODY
    function.signature.output_arg.add(name="returned", type=tf.float32.as_datatype_enum)
    body = [tf.compat.v1.NodeDef() for _ in nodes]
    for copy, node in zip(body, nodes, strict=True):
        copy.CopyFrom(node)
        copy.input[:] = [
            f"{reference}:{_first_output(nodes, reference)}:0" for reference in node.input
        ]
    zero = _value("zero", tf.float32.as_datatype_enum, "")
    zero_out = "zero:output:0"
    if number is not None:
        outputs = op_def_registry.get(body[-1].op).output_arg
        cast = tf.compat.v1.NodeDef(
            name="number", op="Cast", input=[f"{body[-1].name}:{outputs[number].name}:0"]
        )
        cast.attr["SrcT"].type = cast.attr["DstT"].type = tf.float32.as_datatype_enum
        body.append(cast)
        zero_out = "number:y:0"
    function.node_def.extend([*body, zero])
    function.ret["returned"] = zero_out
    function.control_ret["planted"] = nodes[-1].name
    function.signature.control_output.append("planted")
    call = tf.compat.v1.NodeDef(
        name="planted_call", op="StatefulPartitionedCall" if how == "function" else "If"
    )
    call.attr["Tout"].list.type.append(tf.float32.as_datatype_enum)
    if how == "function":
        call.attr["Tin"].list.SetInParent()
        call.attr["f"].func.name = _BODY
        return [call]
    condition = _value("planted_condition", tf.bool.as_datatype_enum, "")
    call.input.append(condition.name)
    call.attr["Tcond"].type = tf.bool.as_datatype_enum
    call.attr["Tin"].list.SetInParent()
    for branch in ("then_branch", "else_branch"):
        call.attr[branch].func.name = _BODY
    return [condition, call]


def _first_output(nodes: list[tf.compat.v1.NodeDef], name: str) -> str:
    node = next(each for each in nodes if each.name == name)
    return str(op_def_registry.get(node.op).output_arg[0].name)
