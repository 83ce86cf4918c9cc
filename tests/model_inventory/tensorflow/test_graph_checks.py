"""A graph that is damaged, not frozen, or does more than compute is refused."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tests.model_inventory.tensorflow.slim_graphs import built, refusal, slim_style, v1, written
from tools.planted_graphs import Bait, planted_node


def with_node(**node: Any) -> Any:
    graph = slim_style()
    added = graph.node.add(**node)
    for reader in graph.node:
        if reader.name == "Net/pool":
            reader.input[0] = added.name
    return graph


def test_operations_that_nobody_knows_are_named(file: Path) -> None:
    text = refusal(written(file, with_node(name="odd", op="NotAnOperation", input=["checked"])))
    assert f"expected operations of TensorFlow {tf.__version__}, found NotAnOperation" in text


@pytest.mark.parametrize(
    ("op", "what"), [("VariableV2", "variables"), ("VarHandleOp", "variables")]
)
def test_a_graph_that_is_not_frozen(file: Path, op: str, what: str) -> None:
    graph = slim_style(dropout=False)
    for node in graph.node:
        if node.name == "Net/Logits/weights":
            node.op = op
    text = refusal(written(file, graph))
    assert f"has {what}: expected" in text
    assert f"found {op} in Net/Logits/weights. Freeze it first." in text


def test_branches(file: Path) -> None:
    def build() -> None:
        x = v1.placeholder(tf.float32, [None, None, None, 3], name="input")
        training = v1.placeholder_with_default(False, [], name="training")
        v1.disable_control_flow_v2()
        v1.cond(training, lambda: x * 2, lambda: x + 1, name="cond")
        v1.enable_control_flow_v2()

    text = refusal(written(file, built(build)))
    assert "has branches or loops: expected" in text and "Switch in cond/" in text


def test_loops(file: Path) -> None:
    graph = slim_style()
    for node in graph.node:
        if node.name == "checked":
            node.input[0] = "Net/pool"
    assert "has loops (" in refusal(written(file, graph))


def test_functions(file: Path) -> None:
    @tf.function
    def inner(x: tf.Tensor) -> tf.Tensor:
        return x * 2

    def build() -> None:
        inner(v1.placeholder(tf.float32, [None, None, None, 3], name="input"))

    assert "has calls of functions: expected" in refusal(written(file, built(build)))


def test_two_nodes_of_one_name(file: Path) -> None:
    graph = slim_style()
    graph.node.add().CopyFrom(graph.node[0])
    assert "has two nodes of the same name" in refusal(written(file, graph))


@pytest.mark.parametrize("op", ["DebugIdentity", "ReadFile", "LoadAndRemapMatrix", "QueueDequeue"])
def test_operations_that_write_read_or_wait_on_the_way_to_the_output(file: Path, op: str) -> None:
    graph = slim_style()
    planted, inputs = planted_node(op, Bait(file.parent, "127.0.0.1:9"))
    cast = v1.NodeDef(name="number", op="Cast", input=[planted.name])
    stop = v1.NodeDef(name="stopped", op="StopGradient", input=[cast.name])
    softmax = next(node for node in graph.node if node.name == "Net/Predictions/Softmax")
    total = v1.NodeDef(name="total", op="AddV2", input=[softmax.input[0], stop.name])
    softmax.input[0] = total.name
    graph.node.extend([*inputs, planted, cast, stop, total])
    assert f"expected operations that only compute numbers, found {op} in planted" in refusal(
        written(file, graph)
    )
    assert [path.name for path in file.parent.iterdir()] == [file.name]
