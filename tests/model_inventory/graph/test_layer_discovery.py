"""The structure of a graph tells which layers it has, of what kind, which are the main ones, and
where the logits are.
"""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, parse_graph
from diamond_cutter.model_inventory.card import NamedLayer
from diamond_cutter.model_inventory.graph.layer_discovery import Structure

Build = Callable[[tf.Tensor], tf.Tensor]


def structure(build: Build) -> Structure:
    """Return the structure of what is built on an image."""
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, 32, 32, 3], name="input")
        output = build(image)
    return Structure(graph.as_graph_def(), "input:0", output.name)


def convolution(
    x: tf.Tensor,
    name: str,
    channels: int = 4,
    activation: Callable[..., tf.Tensor] | None = tf.nn.relu,
) -> tf.Tensor:
    """Convolve, normalise and activate, as slim and Keras write it: `name/Conv2D`, `name/BiasAdd`,
    `name/Relu`.
    """
    with tf.name_scope(name):
        kernel = tf.constant(np.ones((3, 3, x.shape[-1], channels), np.float32), name="weights")
        x = tf.nn.conv2d(x, kernel, 1, "SAME", name="Conv2D")
        x = tf.nn.bias_add(x, tf.ones([channels]), name="BiasAdd")
        return x if activation is None else activation(x, name="Relu")


def dense(x: tf.Tensor, name: str, units: int = 5) -> tf.Tensor:
    with tf.name_scope(name):
        return tf.nn.bias_add(
            tf.matmul(x, tf.ones([x.shape[-1], units]), name="MatMul"),
            tf.ones([units]),
            name="BiasAdd",
        )


def classifier(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.softmax(
        dense(tf.reduce_mean(x, [1, 2], name="pool"), "scores"), name="probabilities"
    )


def found(build: Build) -> list[NamedLayer]:
    """Return the layers that are found in a graph, described as if all but those of a name with
    `scores` had rows and columns.
    """
    seen = structure(build)
    layers = seen.layers()
    return seen.described(layers, {layer.name: "scores" not in layer.name for layer in layers})


def main_layers(build: Build) -> list[str]:
    return [layer.name for layer in found(build) if layer.main]


def plain(x: tf.Tensor) -> tf.Tensor:
    x = tf.nn.max_pool2d(convolution(x, "one"), 2, 2, "SAME", name="halved")
    return classifier(convolution(convolution(x, "two"), "three", activation=None))


def residual(x: tf.Tensor) -> tf.Tensor:
    x = convolution(x, "stem")
    for block in ("a", "b"):
        inner = convolution(convolution(x, f"{block}/one"), f"{block}/two", activation=None)
        x = tf.nn.relu(tf.add(inner, x, name=f"{block}/add"), name=f"{block}/out")
    return classifier(x)


def inception(x: tf.Tensor) -> tf.Tensor:
    x = convolution(x, "stem")
    for block in ("a", "b"):
        x = tf.concat(
            [
                convolution(x, f"{block}/left"),
                convolution(convolution(x, f"{block}/right"), f"{block}/deep"),
            ],
            -1,
            name=f"{block}/concat",
        )
    return classifier(x)


def dense_block(x: tf.Tensor) -> tf.Tensor:
    x = convolution(x, "stem")
    for layer in ("a", "b", "c"):
        x = tf.concat([x, convolution(x, layer)], -1, name=f"{layer}/concat")
    return classifier(convolution(x, "transition"))


def sees_the_block_before(x: tf.Tensor) -> tf.Tensor:
    before, x = x, convolution(x, "stem")
    for cell in ("a", "b", "c"):
        left = tf.add(
            convolution(before, f"{cell}/left"), convolution(x, f"{cell}/right"), name=f"{cell}/add"
        )
        before, x = (
            x,
            tf.concat([left, convolution(before, f"{cell}/other")], -1, name=f"{cell}/concat"),
        )
    return classifier(x)


def test_each_unit_is_a_layer_with_the_name_of_its_scope() -> None:
    assert [(layer.name, layer.tensor, layer.kind) for layer in found(plain)] == [
        ("one", "one/Relu:0", "convolution"),
        ("two", "two/Relu:0", "convolution"),
        ("three", "three/BiasAdd:0", "convolution"),
        ("scores", "scores/BiasAdd:0", "dense"),
    ]


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (plain, ["one", "two", "three"]),
        (residual, ["stem", "a/out", "b/out"]),
        (inception, ["stem", "a", "b"]),
        (dense_block, ["stem", "c/concat", "transition"]),
        (sees_the_block_before, ["a", "b", "c"]),
    ],
)
def test_main_layers_are_what_blocks_give_out_and_what_is_in_no_block(
    build: Build, wanted: list[str]
) -> None:
    assert main_layers(build) == wanted


def swish(x: tf.Tensor, name: str) -> tf.Tensor:
    return tf.multiply(x, tf.sigmoid(x), name=name)


def gelu(x: tf.Tensor, name: str) -> tf.Tensor:
    return tf.multiply(0.5 * x, 1 + tf.math.erf(x / 1.4), name=name)


@pytest.mark.parametrize("activation", [tf.nn.relu6, swish, gelu])
def test_an_activation_function_belongs_to_its_convolution_however_it_is_written(
    activation: Callable[..., tf.Tensor],
) -> None:
    layers = found(
        lambda x: classifier(convolution(convolution(x, "one", activation=activation), "two"))
    )
    assert [(layer.name, layer.tensor) for layer in layers if layer.kind == "convolution"] == [
        ("one", "one/Relu:0"),
        ("two", "two/Relu:0"),
    ]
    assert [layer.name for layer in layers if layer.main] == ["one", "two"]


def test_identities_that_only_name_a_value_change_nothing() -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        x = convolution(x, "one")
        tf.identity(x, name="tap")
        return classifier(convolution(x, "two"))

    seen = structure(build)
    described = seen.described(
        [NamedLayer("first", "tap:0"), NamedLayer("second", "two/Relu:0")],
        {"first": True, "second": True},
    )
    assert [(layer.kind, layer.main) for layer in described] == [("convolution", True)] * 2


def test_what_an_importer_has_named_stays() -> None:
    layers = [
        NamedLayer("one", "one/Relu:0", kind="block", main=False),
        NamedLayer("two", "two/Relu:0", main=True),
    ]
    described = structure(plain).described(layers, {"one": True, "two": True})
    assert [(layer.kind, layer.main) for layer in described] == [
        ("block", False),
        ("convolution", True),
    ]


def test_the_main_layers_of_a_real_network_are_among_those_found(lite0: Bundle) -> None:
    layers = [NamedLayer(layer.name, layer.tensor) for layer in lite0.card.layers]
    spatial = {layer.name: layer.height is not None for layer in lite0.card.layers}
    described = Structure(parse_graph(lite0), lite0.card.input_tensor, "logits:0").described(
        layers, spatial
    )
    chosen = {layer.name for layer in described if layer.main}
    assert {layer.name for layer in lite0.card.layers if layer.main} <= chosen
    # Nothing of a block that has a way round.
    assert not any(
        name.startswith(("block_2.", "block_4.", "block_10.", "block_14.")) for name in chosen
    )


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        (lambda x: tf.nn.softmax(dense(x, "scores")), "scores/BiasAdd:0"),
        (lambda x: tf.sigmoid(dense(x, "scores")), "scores/BiasAdd:0"),
        (lambda x: dense(x, "scores"), "scores/BiasAdd:0"),
        (lambda x: tf.identity(tf.nn.softmax(dense(x, "scores"))), "scores/BiasAdd:0"),
        (
            lambda x: tf.nn.softmax(
                tf.reshape(dense(x, "scores")[:, None, None], [-1, 5], name="flat")
            ),
            "flat:0",
        ),
        (lambda x: tf.nn.relu(x), None),
    ],
    ids=[
        "softmax",
        "sigmoid",
        "none",
        "an identity behind it",
        "of a map of one position",
        "no scores",
    ],
)
def test_logits_are_what_probabilities_are_made_of(output: Build, wanted: str | None) -> None:
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, 32, 32, 3], name="input")
        result = output(tf.reduce_mean(convolution(image, "one"), [1, 2], name="pool"))
        ranks = {op.name: op.outputs[0].shape.rank for op in graph.get_operations() if op.outputs}
    assert Structure(graph.as_graph_def(), "input:0", result.name).logits(ranks) == wanted
