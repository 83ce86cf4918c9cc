"""Models to trace, and comparisons of what was traced with Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.model_inventory.keras.calls import layer_activations
from diamond_cutter.model_inventory.keras.tracing import TracedModel

# Keras turns a variable into an array in a way that NumPy will drop.
WARNING = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def graph_activations(traced: TracedModel, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each layer of the frozen graph makes of images."""
    values = run(traced, tf.constant(images), [layer.tensor for layer in traced.layers])
    return {layer.name: value.numpy() for layer, value in zip(traced.layers, values, strict=True)}


def run(traced: TracedModel, images: tf.Tensor, tensors: list[str]) -> list[tf.Tensor]:
    return tf.function(
        lambda image: run_inside(traced.graph, traced.input_tensor, image, tensors), autograph=False
    )(images)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def assert_equal_to_keras(model: keras.Model, traced: TracedModel, images: np.ndarray) -> None:
    """Compare every layer, within 1e-4 of its largest value."""
    expected, found = layer_activations(model, images), graph_activations(traced, images)
    assert found
    for name, values in found.items():
        assert values.shape == expected[name].shape, name
        np.testing.assert_allclose(
            values,
            expected[name],
            rtol=0,
            atol=1e-4 * np.abs(expected[name]).max() + 1e-7,
            err_msg=name,
        )


def names(traced: TracedModel) -> list[str]:
    return [layer.name for layer in traced.layers]


def backbone(name: str = "backbone") -> keras.Model:
    """Return a small functional network with a sum in it."""
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv")(image)
    x = layers.BatchNormalization(name="bn")(x)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    return keras.Model(image, layers.Add(name="block_1_add")([x, y]), name=name)


def transfer_model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.RandomFlip(),
            layers.Rescaling(1 / 127.5, offset=-1),
            backbone(),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dropout(0.5),
            layers.Dense(5, activation="softmax", name="classes"),
        ],
        name="transfer",
    )
