"""The outputs of an ONNX file."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel, first_few
from diamond_cutter.model_inventory.heads import Activation, Output
from diamond_cutter.model_inventory.onnx.values import Value, in_order

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, ValueInfoProto

# By operator of ONNX.
_ACTIVATIONS: Mapping[str, Activation] = {
    "Softmax": "softmax",
    "LogSoftmax": "softmax",
    "Sigmoid": "sigmoid",
}


def is_map_of_scores(node: "NodeProto") -> bool:
    """Tell whether a node makes a map of names and scores, as classifiers of ONNX-ML end."""
    return (node.domain, node.op_type) == ("ai.onnx.ml", "ZipMap")


def float_outputs(path: Path, graph: "GraphProto") -> list[str]:
    """Return the values that a file returns as floats: scores, also those in a map of scores.

    Raises:
        BadModel: there are none.
    """
    scores = {
        output: node.input[0]
        for node in graph.node
        if is_map_of_scores(node)
        for output in node.output
        if node.input
    }
    found = [
        scores.get(output.name, output.name)
        for output in graph.output
        if output.name in scores or _has_floats(output)
    ]
    if not found:
        names = first_few([output.name for output in graph.output])
        raise BadModel(
            f"{path} returns no scores: expected an output of floats, found {names}. Export it "
            "with its scores as an output."
        )
    return list(dict.fromkeys(found))


def nodes_before(nodes: Sequence["NodeProto"], ends: Collection[str]) -> list["NodeProto"]:
    """Return the nodes that lead to some values, in the same order."""
    needed, kept = set(ends), []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1]


def _has_floats(output: "ValueInfoProto") -> bool:
    """Tell whether an output is declared as a tensor of floats, or not at all."""
    from onnx import TensorProto

    kind = output.type.WhichOneof("value")
    return kind is None or (
        kind == "tensor_type"
        and output.type.tensor_type.elem_type in (TensorProto.UNDEFINED, *float_kinds())
    )


def float_kinds() -> set[int]:
    """Return the types of numbers that become float32."""
    from onnx import TensorProto

    return {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}


def named_outputs(
    names: Sequence[str], values: Mapping[str, Value], operators: Mapping[str, str]
) -> dict[Output, Value]:
    """Return the outputs that depend on the image, with the channels last.

    Args:
        names: of all outputs of the file.
        values: that were computed, by name.
        operators: that compute them, by name.

    Raises:
        BadModel: there is none.
    """
    found = {}
    for name in dict.fromkeys(names):
        value = values.get(name)
        if value is None or value.is_constant or value.data.dtype != tf.float32:
            continue
        order = _order(value)
        shape = tuple(value.shape[axis] for axis in order[1:])
        activation = _ACTIVATIONS.get(operators.get(name, ""), "none")
        found[Output(name=name, shape=shape, activation=activation)] = in_order(value, order)
    if not found:
        raise BadModel("no output depends on the image")
    return found


def _order(value: Value) -> tuple[int, ...]:
    """Return the axes of ONNX with that of the channels last."""
    axes = range(value.rank)
    if value.rank != 4 or value.channels is None:
        return tuple(axes)
    return (*(axis for axis in axes if axis != value.channels), value.channels)
