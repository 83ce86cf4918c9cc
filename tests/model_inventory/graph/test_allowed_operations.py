"""A bundle's graph computes numbers: the list of its operations has no other, and what is not on
the list never runs.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.allowed_operations import (
    ALLOWED_OPERATIONS,
    refuse_graph,
    refuse_operations,
)

REPOSITORY = Path(__file__).parents[3]


def graph_of(node: tf.compat.v1.NodeDef) -> tf.compat.v1.GraphDef:
    graph = tf.compat.v1.GraphDef()
    graph.node.append(node)
    return graph


def constant(value: object, name: str = "value") -> tf.compat.v1.NodeDef:
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    tensor = tf.make_tensor_proto(value)
    node.attr["value"].tensor.CopyFrom(tensor)
    node.attr["dtype"].type = tensor.dtype
    return node


def test_every_allowed_operation_makes_numbers_of_numbers_and_has_no_state() -> None:
    not_numbers = {
        tf.string.as_datatype_enum,
        tf.resource.as_datatype_enum,
        tf.variant.as_datatype_enum,
    }
    for op in ALLOWED_OPERATIONS:
        definition = op_def_registry.get(op)
        assert definition is not None, op
        assert not definition.is_stateful or op == "RandomUniform", op
        assert not any(attr.type in ("func", "list(func)") for attr in definition.attr), op
        values = [*definition.input_arg, *definition.output_arg]
        assert not any(value.type in not_numbers or value.is_ref for value in values), op


def test_an_operation_that_is_not_allowed_is_named_with_its_node() -> None:
    node = tf.compat.v1.NodeDef(name="deep/inside", op="DebugIdentityV3")
    with pytest.raises(
        BadModel,
        match=r"^birds\.pb has forbidden operations: expected operations that only compute "
        r"numbers, found DebugIdentityV3 in deep/inside$",
    ):
        refuse_graph(graph_of(node), "birds.pb")
    refuse_operations([node], "birds.pb", also={"DebugIdentityV3"})


def test_an_operation_that_tensorflow_does_not_have_is_named() -> None:
    with pytest.raises(
        BadModel, match=rf"expected operations of TensorFlow {tf.__version__}, found FancyRelu$"
    ):
        refuse_graph(graph_of(tf.compat.v1.NodeDef(name="a", op="FancyRelu")), "birds.pb")


def test_texts_functions_and_constants_of_gigabytes_are_refused() -> None:
    refuse_graph(graph_of(constant([1.0, 2.0])), "birds.pb")
    with pytest.raises(
        BadModel,
        match=r"expected numbers, found a string \(dtype of the Const value\)$",
    ):
        refuse_graph(graph_of(constant("/etc/passwd")), "birds.pb")
    calling = tf.compat.v1.NodeDef(name="calls", op="Identity")
    calling.attr["body"].func.name = "anything"
    with pytest.raises(BadModel, match=r"found a function \(body of the Identity calls\)$"):
        refuse_graph(graph_of(calling), "birds.pb")
    bomb = constant(1.0, "bomb")
    bomb.attr["value"].tensor.tensor_shape.CopyFrom(tf.TensorShape([1 << 20, 1 << 20]).as_proto())
    with pytest.raises(
        BadModel,
        match=rf"^birds\.pb has a constant that is too large: .*, found {4 << 40} \(bomb\)$",
    ):
        refuse_graph(graph_of(bomb), "birds.pb")


@pytest.mark.slow
def test_no_operation_planted_in_any_format_touches_a_file_or_the_network() -> None:
    command = [sys.executable, "-m", "tools.plant_operations", "--sample", "250", "--seed", "7"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    *places, last = done.stdout.splitlines()
    assert last == "250 planted, 0 faults"
    assert len(places) == 25 and not any(" 0 refused, 0 accepted" in line for line in places)
