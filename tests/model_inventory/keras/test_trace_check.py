"""A model that does something else without a size is traced at its own size."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from diamond_cutter.model_inventory.keras.tracing import trace
from tests.model_inventory.keras.traced_models import WARNING, assert_equal_to_keras, noise

pytestmark = [pytest.mark.usefixtures("names_begin_again"), WARNING]


class OddPadding(layers.Layer):
    """Pads by what it knows of the size while it is traced, and otherwise by nothing."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        known = x.shape[1] is not None and x.shape[1] % 2 == 1
        return tf.pad(x, [[0, 0], [1, 0], [1, 0], [0, 0]]) if known else x


class NeedsItsSize(layers.Layer):
    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, [-1, x.shape[1] * x.shape[2], x.shape[3]])


def test_a_layer_that_does_something_else_without_a_size_is_traced_at_the_models_size() -> None:
    model = keras.Sequential(
        [
            keras.Input((15, 15, 3)),
            layers.Conv2D(4, 3, padding="same"),
            OddPadding(),
            layers.Conv2D(4, 3),
        ]
    )
    traced = trace(model)
    assert_equal_to_keras(model, traced, noise(1, 15, 15, 3))


def test_a_layer_that_needs_a_size_is_traced_at_the_models_size() -> None:
    model = keras.Sequential(
        [keras.Input((15, 15, 3)), layers.Conv2D(4, 3), NeedsItsSize(), layers.Dense(2)]
    )
    traced = trace(model)
    assert_equal_to_keras(model, traced, noise(1, 15, 15, 3))


def test_layers_that_do_the_same_without_a_size_are_traced_for_any_size() -> None:
    model = keras.Sequential([keras.Input((6, 6, 3)), layers.Conv2D(4, 3, name="conv")])
    (image,) = [node for node in trace(model).graph.node if node.op == "Placeholder"]
    assert [dim.size for dim in image.attr["shape"].shape.dim] == [-1, -1, -1, 3]
