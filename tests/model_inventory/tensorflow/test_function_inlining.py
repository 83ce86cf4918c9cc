"""Functions' bodies stand in place of their calls and compute the same; those without sense or end
are refused.
"""

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.tensorflow.function_inlining import inlined


def calling(function: str, name: str = "call", *inputs: str) -> tf.compat.v1.NodeDef:
    node = tf.compat.v1.NodeDef(name=name, op="StatefulPartitionedCall", input=inputs)
    node.attr["f"].func.name = function
    return node


def graph_of(*nodes: tf.compat.v1.NodeDef) -> tf.compat.v1.GraphDef:
    graph = tf.compat.v1.GraphDef()
    graph.node.extend(nodes)
    return graph


def add_function(
    graph: tf.compat.v1.GraphDef, name: str, *body: tf.compat.v1.NodeDef, returns: str
) -> None:
    function = graph.library.function.add()
    function.signature.name = name
    function.signature.output_arg.add(name="y", type=tf.float32.as_datatype_enum)
    function.ret["y"] = returns
    function.node_def.extend(body)


def test_a_function_in_a_function_computes_what_it_did() -> None:
    @tf.function
    def halves(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        first, second = tf.split(x, 2, axis=1)
        return second, first

    @tf.function
    def whole(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        a, b = halves(x)
        c, _ = halves(x + y)
        return a - 2 * b + c, y

    traced = tf.function(lambda x: whole(x, 3 * x)).get_concrete_function(tf.TensorSpec([2, 4]))
    graph = traced.graph.as_graph_def()
    assert graph.library.function
    fed = np.random.default_rng(0).random((2, 4), np.float32)
    flat, tensors = inlined(graph, [tensor.name for tensor in traced.outputs])
    assert not any("PartitionedCall" in node.op for node in flat.node) and not flat.library.function
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(flat, name="")
        found = session.run(tensors, {traced.inputs[0].name: fed})
    for value, wanted in zip(found, traced(tf.constant(fed)), strict=True):
        np.testing.assert_array_equal(value, wanted)


def test_functions_that_call_themselves_or_what_is_not_there_are_refused() -> None:
    graph = graph_of(calling("round"))
    with pytest.raises(BadModel, match="it calls the missing function 'round'"):
        inlined(graph, ["call:0"])
    add_function(graph, "round", calling("round", "again"), returns="again:output:0")
    with pytest.raises(BadModel, match=r"too deeply: expected at most 100 levels \(round\)"):
        inlined(graph, ["call:0"])
    with pytest.raises(BadModel, match="it reads the missing node 'absent'"):
        inlined(graph, ["absent:0"])
    with pytest.raises(
        BadModel, match="it calls 'round' with the wrong number of arguments: expected 0, found 1"
    ):
        inlined(graph_with(graph, calling("round", "more", "call")), ["more:0"])


def graph_with(graph: tf.compat.v1.GraphDef, node: tf.compat.v1.NodeDef) -> tf.compat.v1.GraphDef:
    changed = tf.compat.v1.GraphDef()
    changed.CopyFrom(graph)
    changed.node[0].CopyFrom(tf.compat.v1.NodeDef(name="call", op="NoOp"))
    changed.node.append(node)
    return changed


@pytest.mark.slow
def test_functions_that_double_at_each_depth_end_soon() -> None:
    graph = graph_of(calling("f0"))
    for depth in range(40):
        add_function(
            graph,
            f"f{depth}",
            calling(f"f{depth + 1}", "a"),
            calling(f"f{depth + 1}", "b"),
            returns="a:output:0",
        )
    add_function(graph, "f40", tf.compat.v1.NodeDef(name="end", op="NoOp"), returns="end")
    with pytest.raises(
        BadModel, match="its functions are too large: expected at most 200,000 operations"
    ):
        inlined(graph, ["call:0"])


def test_functions_that_return_one_another_have_no_value() -> None:
    graph = graph_of(calling("self", "a", "b"), calling("self", "b", "a"))
    function = graph.library.function.add()
    function.signature.name = "self"
    function.signature.input_arg.add(name="x", type=tf.float32.as_datatype_enum)
    function.signature.output_arg.add(name="y", type=tf.float32.as_datatype_enum)
    function.ret["y"] = "x"
    with pytest.raises(BadModel, match="its functions only return their arguments"):
        inlined(graph, ["a:0"])
