"""A frozen graph of TensorFlow 1 is read and cleaned, from its image to its output."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.model_inventory.tensorflow.frozen_graph import (
    image_input,
    output_tensor,
    read_frozen_graph,
)
from tests.model_inventory.tensorflow.slim_graphs import built, refusal, slim_style, v1, written


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


def test_an_image_of_one_channel_and_one_row_keeps_its_shape(file: Path) -> None:
    def build() -> None:
        tf.nn.relu(v1.placeholder(tf.float32, [None, 1, 20, 1], name="input"))

    graph = read_frozen_graph(written(file, built(build)))
    (shape,) = [node.attr["shape"].shape for node in graph.node if node.op == "Placeholder"]
    assert [dim.size for dim in shape.dim] == [-1, 1, 20, 1]
