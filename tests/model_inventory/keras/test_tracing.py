"""What is traced does what Keras does, at every layer of models of any nesting, and is the same in
another process.
"""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from diamond_cutter.model_inventory.keras.tracing import TracedModel, trace
from tests.model_inventory.keras.traced_models import (
    WARNING,
    assert_equal_to_keras,
    backbone,
    names,
    noise,
    run,
    transfer_model,
)

pytestmark = [pytest.mark.usefixtures("names_begin_again"), WARNING]


def test_a_backbone_inside_a_sequential_names_its_layers_by_path() -> None:
    model = transfer_model()
    traced = trace(model)
    assert names(traced) == [
        "backbone/conv",
        "backbone/bn",
        "backbone/depthwise",
        "backbone/block_1_add",
        "pool",
        "classes",
    ]
    assert traced.image_shape == (32, 32, 3)
    assert traced.value_range == (0.0, 255.0)
    assert traced.output_tensor.endswith("Softmax:0")
    assert {node.op for node in traced.graph.node}.isdisjoint(
        {"Identity", "IdentityN", "ReadVariableOp", "NoOp"}
    )
    assert [node.name for node in traced.graph.node if node.op == "Placeholder"] == ["input"]
    assert not any(name.startswith("_") for node in traced.graph.node for name in node.attr)
    assert_equal_to_keras(model, traced, noise(2, 32, 32, 3))


def test_images_of_another_size_go_through_what_was_traced() -> None:
    model, bare = transfer_model(), backbone()
    assert_equal_to_keras(bare, trace(bare), noise(1, 45, 20, 3))
    traced = trace(model)
    assert run(traced, tf.constant(noise(1, 45, 20, 3)), [traced.layers[3].tensor])[0].shape == (
        1,
        45,
        20,
        8,
    )


def test_models_inside_models_inside_models() -> None:
    inner = keras.Sequential(
        [keras.Input((None, None, 3)), layers.Conv2D(4, 3, name="conv"), layers.ReLU(name="relu")],
        name="inner",
    )
    image = keras.Input((24, 24, 3))
    middle = keras.Model(image, layers.MaxPooling2D(name="pool")(inner(image)), name="middle")
    outer = keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            middle,
            layers.Conv2D(6, 1, name="conv"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    traced = trace(outer)
    assert names(traced)[:4] == ["middle/inner/conv", "middle/inner/relu", "middle/pool", "conv"]
    assert_equal_to_keras(outer, traced, noise(1, 24, 24, 3))


def test_a_shared_layer_has_a_name_for_each_call() -> None:
    image = keras.Input((16, 16, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    model = keras.Model(image, shared(layers.ReLU()(shared(image))))
    traced = trace(model)
    assert names(traced) == ["shared", "re_lu", "shared.2"]
    assert (
        len(
            [
                node
                for node in traced.graph.node
                if node.op == "Const" and node.name.endswith("kernel")
            ]
        )
        == 1
    )
    assert_equal_to_keras(model, traced, noise(1, 16, 16, 3))


class ResidualBlock(layers.Layer):
    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = layers.Conv2D(filters, 3, padding="same", activation="swish", name="first")
        self.second = layers.Conv2D(filters, 3, padding="same", name="second")

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.first.build(input_shape)
        self.second.build((*input_shape[:-1], self.first.filters))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return keras.ops.relu(x + self.second(self.first(x)))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__(name="subclassed")
        self.stem = layers.Conv2D(4, 3, strides=2, name="stem")
        self.blocks = [ResidualBlock(4, name=f"block_{i}") for i in range(2)]
        self.scale = tf.Variable(2.0)  # a variable that Keras does not know
        self.head = layers.Dense(3, name="head")

    @tf.function
    def scaled(self, x: tf.Tensor) -> tf.Tensor:
        return self.blocks[1](x) * self.scale

    def call(self, x: tf.Tensor) -> tf.Tensor:
        x = self.scaled(self.blocks[0](self.stem(x)))
        return self.head(tf.reduce_mean(x, [1, 2]))


def test_a_subclassed_model_with_a_function_and_a_variable_of_tensorflow() -> None:
    model = Subclassed()
    model(np.zeros([1, 20, 20, 1], np.float32))
    traced = trace(model)
    inside = [
        "block_0/first",
        "block_0/second",
        "block_0",
        "block_1/first",
        "block_1/second",
        "block_1",
    ]
    assert names(traced) == ["stem", *inside, "head"]
    assert traced.image_shape == (20, 20, 1)
    assert_equal_to_keras(model, traced, noise(2, 20, 20, 1))


def test_operations_between_layers_are_layers_where_they_compute() -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(
        keras.applications.mobilenet_v2.preprocess_input(image)
    )
    x = keras.ops.relu(x) + layers.Conv2D(4, 1, name="side")(image)
    model = keras.Model(image, layers.Reshape((16 * 16 * 4,))(x))
    traced = trace(model)
    assert names(traced) == ["conv", "relu", "side", "add"]
    assert traced.value_range == (0.0, 255.0)
    assert_equal_to_keras(model, traced, noise(1, 16, 16, 3))


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ([layers.Rescaling(1 / 255)], (0.0, 255.0)),
        (
            [
                layers.Rescaling(1 / 255),
                layers.Normalization(
                    mean=[0.485, 0.456, 0.406], variance=[0.229**2, 0.224**2, 0.225**2]
                ),
            ],
            (0.0, 255.0),
        ),
        ([layers.Normalization(mean=[120.0, 110.0, 100.0], variance=[60.0**2] * 3)], (0.0, 255.0)),
        (
            [layers.Resizing(20, 20), layers.ZeroPadding2D(1), layers.Rescaling(2.0, offset=-1)],
            (0.0, 1.0),
        ),
        ([layers.Normalization(mean=[0.5] * 3, variance=[0.05] * 3)], (0.0, 1.0)),
        ([], None),
        ([layers.ZeroPadding2D(1)], None),
        ([layers.Rescaling(1000.0)], None),
    ],
)
def test_the_value_range_is_guessed_from_how_the_model_scales_images(
    scaling: list[layers.Layer], expected: tuple[float, float] | None
) -> None:
    model = keras.Sequential([keras.Input((24, 24, 3)), *scaling, layers.Conv2D(4, 3)])
    assert trace(model).value_range == expected


def test_caffe_preprocessing_inside_is_seen_through() -> None:
    image = keras.Input((16, 16, 3))
    model = keras.Model(
        image, layers.Conv2D(4, 3)(keras.applications.vgg16.preprocess_input(image))
    )
    assert trace(model).value_range == (0.0, 255.0)


def test_swish_is_its_argument_times_its_sigmoid() -> None:
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="silu", name="conv")]
    )
    traced = trace(model)
    nodes = {node.name: node for node in traced.graph.node}
    product = nodes[traced.layers[0].tensor.removesuffix(":0")]
    value, gate = (nodes[name] for name in product.input)
    assert product.op == "Mul" and gate.op == "Sigmoid" and list(gate.input) == [value.name]


@pytest.mark.parametrize(
    ("grouped", "operations"),
    [
        ({"groups": 4}, {"Conv2D", "Split"}),
        (
            {"groups": 8, "filters": 24, "strides": 2, "padding": "same"},
            {"Conv2D", "DepthwiseConv2dNative"},
        ),
        ({"groups": 8, "filters": 8, "strides": (1, 2)}, {"Conv2D", "Split"}),
        ({"groups": 8, "filters": 8, "dilation_rate": 2}, {"Conv2D"}),
    ],
)
def test_convolutions_in_groups_have_gradients(
    grouped: dict[str, Any], operations: set[str]
) -> None:
    conv = layers.Conv2D(**{"filters": 12, "kernel_size": 3, "name": "grouped"} | grouped)
    model = keras.Sequential([keras.Input((9, 9, 8)), conv, layers.Conv2D(2, 1)])
    traced = trace(model)
    assert operations <= {node.op for node in traced.graph.node}
    assert_equal_to_keras(model, traced, noise(2, 9, 9, 8))
    image = tf.constant(noise(1, 9, 9, 8))
    with tf.GradientTape() as tape:
        tape.watch(image)
        value = tf.reduce_sum(run(traced, image, [traced.layers[0].tensor])[0])
    assert np.abs(tape.gradient(value, image).numpy()).max() > 0


def test_whole_numbers_as_input_are_taken_as_float32() -> None:
    image = keras.Input((16, 16, 3), dtype="uint8")
    model = keras.Model(image, layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(image)))
    traced = trace(model)
    assert "Cast" not in {node.op for node in traced.graph.node}
    assert traced.value_range == (0.0, 255.0)


def test_grey_images_without_an_axis_of_channels() -> None:
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            layers.Reshape((28, 28, 1)),
            layers.Conv2D(4, 3, name="conv"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    traced = trace(model)
    assert traced.image_shape == (28, 28, 1)
    assert names(traced) == ["conv", "dense"]
    assert_equal_to_keras(model, traced, noise(2, 28, 28, 1))


@pytest.mark.slow
def test_the_same_file_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    layers.Conv2D(1, 1)  # counts up the names of layers in this process
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(4, 3, activation="silu"),
            layers.Dropout(0.1),
            transfer_head(),
        ]
    )
    model.save(tmp_path / "model.keras")
    here = digest(trace(keras.models.load_model(tmp_path / "model.keras", compile=False)))
    there = subprocess.run(
        [sys.executable, "-c", _IN_ANOTHER_PROCESS, str(tmp_path / "model.keras")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert there.stdout.strip() == here


def transfer_head() -> keras.Model:
    return keras.Sequential(
        [
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )


def digest(traced: TracedModel) -> str:
    return hashlib.sha256(traced.graph.SerializeToString(deterministic=True)).hexdigest()


_IN_ANOTHER_PROCESS = """
import sys, keras
from tests.model_inventory.keras.test_tracing import digest, trace
keras.layers.Conv2D(1, 1), keras.layers.Dense(2)
keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Dropout(0.1)])
print(digest(trace(keras.models.load_model(sys.argv[1], compile=False))))
"""
