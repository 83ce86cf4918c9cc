"""A frozen graph of TensorFlow 1 is read and cleaned, and whatever else a file may be is named in
one sentence.
"""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.model_inventory.tensorflow.frozen_graph import (
    image_input,
    output_tensor,
    read_frozen_graph,
)
from tools.planted_graphs import Bait, planted_node

v1 = tf.compat.v1


def slim_style(dropout: bool = True) -> Any:
    """Return a frozen graph as slim's were: scopes, BatchNorm, ReLU6, dropout, checks, a summary,
    an end for labels.
    """
    chance = np.random.default_rng(3)

    def weights(*shape: int) -> tf.Tensor:
        return tf.constant(chance.normal(size=shape).astype(np.float32), name="weights")

    with tf.Graph().as_default() as graph, tf.device("/device:CPU:0"):
        image = v1.placeholder(tf.float32, [None, 16, 16, 3], name="input")
        keep = v1.placeholder_with_default(tf.constant(1.0), [], name="keep_prob")
        with v1.name_scope("Net/Conv2d_0"):
            x = v1.nn.conv2d(
                image, weights(3, 3, 3, 8), strides=[1, 2, 2, 1], padding="SAME", name="Conv2D"
            )
            scale, offset, mean = (
                tf.constant(chance.random(8).astype(np.float32)) for _ in range(3)
            )
            x, _, _ = v1.nn.fused_batch_norm(
                x, scale, offset, mean, mean + 1, is_training=False, name="BatchNorm/FusedBatchNorm"
            )
            x = tf.nn.relu6(x, name="Relu6")
        with tf.control_dependencies([v1.assert_greater(tf.reduce_max(x), -1.0), tf.no_op()]):
            x = v1.Print(x, [x], "seen")
        x = tf.debugging.check_numerics(x, "bad", name="checked")
        v1.summary.histogram("seen", x)
        pooled = tf.reduce_mean(x, [1, 2], name="Net/pool")
        with v1.name_scope("Net/Logits"):
            pooled = v1.nn.dropout(pooled, keep_prob=keep) if dropout else pooled * keep
            logits = tf.add(tf.matmul(pooled, weights(8, 5)), 0.5, name="BiasAdd")
        tf.nn.softmax(logits, name="Net/Predictions/Softmax")
        tf.argmax(logits, 1, name="best")
        labels = v1.placeholder(tf.float32, [None, 5], name="labels")
        tf.reduce_mean(tf.square(logits - labels), name="loss")
    return graph.as_graph_def()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "graph.pb"


def written(file: Path, graph: Any) -> Path:
    file.write_bytes(graph if isinstance(graph, bytes) else graph.SerializeToString())
    return file


def built(build: Callable[[], object]) -> Any:
    with tf.Graph().as_default() as graph:
        build()
    return graph.as_graph_def()


def refusal(path: Path, **others: str) -> str:
    with pytest.raises(BadModel) as caught:
        read_frozen_graph(path, **others)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400 + len(str(path)) and str(path) in text
    return text


def image(size: int = 16) -> np.ndarray:
    return np.random.default_rng(1).random((2, size, size, 3), np.float32)


def probabilities_of(graph: Any, fed: np.ndarray) -> np.ndarray:
    with tf.Graph().as_default(), v1.Session() as session:
        tf.graph_util.import_graph_def(graph, name="")
        return session.run("Net/Predictions/Softmax:0", {"input:0": fed})


def run(graph: Any, fed: np.ndarray) -> np.ndarray:
    function = tf.function(
        lambda x: run_inside(graph, image_input(graph), x, [output_tensor(graph)])[0],
        autograph=False,
    )
    return function(tf.constant(fed)).numpy()


def test_a_graph_is_read_and_computes_what_it_did(file: Path) -> None:
    graph = read_frozen_graph(written(file, slim_style()))
    assert image_input(graph) == "input:0"
    assert output_tensor(graph) == "Net/Predictions/Softmax:0"
    np.testing.assert_allclose(
        run(graph, image()), probabilities_of(slim_style(), image()), rtol=1e-6
    )


def test_only_what_the_output_needs_stays(file: Path) -> None:
    graph = read_frozen_graph(written(file, slim_style(dropout=False)))
    assert not {
        "Assert",
        "If",
        "NoOp",
        "Print",
        "CheckNumerics",
        "HistogramSummary",
        "ArgMax",
        "All",
        "PlaceholderWithDefault",
    } & {node.op for node in graph.node}
    assert not any(
        node.device or any(key.startswith("_") for key in node.attr) for node in graph.node
    )
    assert not any(reference.startswith("^") for node in graph.node for reference in node.input)
    names = {node.name for node in graph.node}
    assert {"Net/Conv2d_0/Relu6", "checked", "keep_prob", "Net/Logits/BiasAdd"} <= names
    assert not {"labels", "loss", "best"} & names


def test_reading_twice_gives_the_same(file: Path) -> None:
    written(file, slim_style())
    assert read_frozen_graph(file) == read_frozen_graph(file)


def test_the_placeholder_tells_the_size_of_images_but_no_number_of_them(file: Path) -> None:
    def build() -> None:
        tf.nn.relu(v1.placeholder(tf.float32, [1, 20, None, 4], name="input"))

    [shape] = [
        node.attr["shape"].shape
        for node in read_frozen_graph(written(file, built(build))).node
        if node.op == "Placeholder"
    ]
    assert [dim.size for dim in shape.dim] == [-1, 20, -1, 4]


def test_images_of_another_size_go_in(file: Path) -> None:
    assert run(read_frozen_graph(written(file, slim_style())), image(24)).shape == (2, 5)


def test_an_image_that_has_a_default(file: Path) -> None:
    def build() -> None:
        x = v1.placeholder_with_default(tf.zeros([1, 4, 4, 3]), [None, 4, 4, 3], name="maybe")
        tf.nn.relu(x, name="out")

    graph = read_frozen_graph(written(file, built(build)))
    assert [node.op for node in graph.node] == ["Placeholder", "Relu"]
    assert image_input(graph) == "maybe:0"


def test_an_image_can_go_in_anywhere(file: Path) -> None:
    def build() -> None:
        data = v1.placeholder(tf.string, [], name="jpeg")
        x = tf.cast(tf.expand_dims(tf.io.decode_jpeg(data, 3), 0), tf.float32, name="float")
        tf.nn.relu(x, name="out")

    written(file, built(build))
    assert (
        "has no placeholder for images: expected float32 [batch, height, width, channels], found "
        "jpeg (string). Give" in refusal(file)
    )
    graph = read_frozen_graph(file, input_name="float")
    assert [(node.name, node.op) for node in graph.node] == [
        ("float", "Placeholder"),
        ("out", "Relu"),
    ]
    assert "has no node 'data' for images" in refusal(file, input_name="data")


def test_a_concatenation_of_the_first_year(file: Path) -> None:
    def build() -> None:
        x = v1.placeholder(tf.float32, [None, None, None, 2], name="input")
        tf.raw_ops.Concat(concat_dim=3, values=[x, -x], name="both")

    graph = read_frozen_graph(written(file, built(build)))
    assert [node.op for node in graph.node if node.name == "both"] == ["ConcatV2"]
    fed = image()[..., :2]
    np.testing.assert_array_equal(run(graph, fed), np.concatenate([fed, -fed], axis=3))


@pytest.mark.parametrize("last", ["auxiliary", "main"])
def test_of_several_ends_the_deepest_that_classifies_is_the_output(file: Path, last: str) -> None:
    def build() -> None:
        x = v1.placeholder(tf.float32, [None, None, None, 3], name="input")
        deep = tf.nn.relu(tf.nn.relu(x))
        heads = {"auxiliary": x, "main": deep}
        for name in sorted(heads, key=lambda name: name == last):
            tf.nn.softmax(tf.reduce_mean(heads[name], [1, 2]), name=name)
        tf.nn.relu(tf.nn.relu(tf.nn.relu(tf.nn.relu(deep))), name="features")

    graph = read_frozen_graph(written(file, built(build)))
    assert output_tensor(graph) == "main:0"
    assert {"auxiliary", "features"} <= {node.name for node in graph.node}


def test_leftovers_beside_the_network_do_no_harm(file: Path) -> None:
    graph = slim_style()
    graph.node.add(name="step", op="VariableV2")
    graph.node.add(name="odd", op="NotAnOperation", input=["step"])
    assert "odd" not in {node.name for node in read_frozen_graph(written(file, graph)).node}


# what is no frozen graph


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)
    assert "does not exist. Give the .pb file" in refusal(tmp_path / "none.pb")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty. Download it again."),
        (b"hello, world", "is truncated or not a frozen graph"),
        (bytes(1000), "is truncated or not a frozen graph"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is truncated or not a frozen graph"),
        (gzip.compress(b"x" * 100, mtime=0), "is packed by gzip. Unpack it first."),
        (b'node {\n  name: "x"\n}', "is a graph as text"),
        (b"\n<!DOCTYPE html><p>", "is a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "is a pointer of Git LFS",
        ),
    ],
)
def test_what_is_no_graph(file: Path, data: bytes, sentence: str) -> None:
    assert sentence in refusal(written(file, data))


def test_a_file_that_is_too_large_is_not_even_read(file: Path) -> None:
    with open(file, "wb") as sparse:
        sparse.truncate(2**31)
    assert "is too large: expected at most 2147483647 bytes, found 2147483648." in refusal(file)


def test_a_part_of_a_graph_is_refused_wherever_it_ends(file: Path) -> None:
    data = slim_style().SerializeToString()
    for end in range(1, len(data) - 1, max(1, len(data) // 60)):
        written(file, data[:end])
        try:
            whole = output_tensor(read_frozen_graph(file)) == "Net/Predictions/Softmax:0"
        except BadModel as error:
            assert "\n" not in str(error)
        else:
            assert whole or end < len(data), "cut between two nodes it may be a smaller graph"
    nodes = slim_style()
    del nodes.node[3]
    assert "is truncated or edited: node " in refusal(written(file, nodes))


def test_a_part_of_a_saved_model(file: Path, tmp_path: Path) -> None:
    class Doubles(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, 3])])
        def __call__(self, x: tf.Tensor) -> tf.Tensor:
            return x * 2

    tf.saved_model.save(Doubles(), str(tmp_path / "saved"))
    assert "is a part of a SavedModel: expected a frozen graph. Give the folder" in refusal(
        tmp_path / "saved" / "saved_model.pb"
    )


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


def test_two_images(file: Path) -> None:
    def build() -> None:
        sides = [
            v1.placeholder(tf.float32, [None, None, None, 3], name=name)
            for name in ("left", "right")
        ]
        tf.add(*sides)

    assert (
        "has several inputs for images: expected one, found left (float32), right (float32). "
        in refusal(written(file, built(build)))
    )


def test_no_image(file: Path) -> None:
    assert "has no placeholder for images" in refusal(
        written(file, built(lambda: tf.nn.relu(tf.zeros([1, 2, 2, 3]))))
    )


def test_an_image_that_nothing_is_made_of(file: Path) -> None:
    def build() -> None:
        x = v1.placeholder(tf.float32, [None, None, None, 3], name="input")
        tf.shape(x)

    assert "computes nothing from 'input' alone. Freeze" in refusal(written(file, built(build)))


def test_more_than_an_image_is_needed(file: Path) -> None:
    def build() -> None:
        x = v1.placeholder(tf.float32, [None, None, None, 3], name="input")
        tf.multiply(x, v1.placeholder(tf.float32, [], name="keep_prob"))

    text = refusal(written(file, built(build)))
    assert (
        "computes nothing from 'input' alone: expected one input, found input (float32), "
        "keep_prob (float32). Freeze" in text
    )


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
