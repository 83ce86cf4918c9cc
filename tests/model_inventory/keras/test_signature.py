"""A model takes one image and returns numbers; what does not is refused with a sentence."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.keras.tracing import trace
from tests.model_inventory.keras.traced_models import WARNING, names

pytestmark = [pytest.mark.usefixtures("names_begin_again"), WARNING]


def test_of_several_outputs_the_first_vector_is_taken() -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="conv")(image)
    vector = layers.Dense(7, name="classes")(layers.GlobalMaxPooling2D()(x))
    traced = trace(keras.Model(image, {"map": x, "classes": vector}))
    assert names(traced) == ["conv", "global_max_pooling2d", "classes"]
    assert traced.output_tensor == traced.layers[2].tensor


def two_inputs() -> keras.Model:
    image, facts = keras.Input((16, 16, 3)), keras.Input((4,))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    return keras.Model([image, facts], layers.Dense(1)(layers.Concatenate()([x, facts])), name="m")


def text_transformer() -> keras.Model:
    tokens = keras.Input((12,), dtype="int32")
    x = layers.Embedding(20, 8)(tokens)
    return keras.Model(tokens, layers.MultiHeadAttention(2, 4)(x, x), name="m")


def patches_only() -> keras.Model:
    image = keras.Input((16, 16, 3))
    x = layers.Dense(8)(layers.Reshape((256, 3))(image))
    return keras.Model(
        image,
        layers.Dense(2)(layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 4)(x, x))),
        name="m",
    )


def untouched_subclass() -> keras.Model:
    class Untouched(keras.Model):
        def call(self, x: tf.Tensor) -> tf.Tensor:
            return x

    return Untouched(name="m")


def broken_subclass() -> keras.Model:
    class Broken(keras.Model):
        def call(self, x: tf.Tensor) -> tf.Tensor:
            return layers.Conv2D(2, 3)(x) + np.asarray(x.numpy())

    model = Broken(name="m")
    model._build_shapes_dict = {"input_shape": (None, 8, 8, 3)}
    return model


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            two_inputs,
            r"^m takes several inputs: expected one image, found 2 inputs\. Give a model that "
            r"takes only the image\.$",
        ),
        (
            text_transformer,
            r"^m does not take images: expected \[batch, height, width, channels\], found "
            r"\[any, 12\]\. Give a network for images\.$",
        ),
        (
            lambda: keras.Sequential([keras.Input((5,)), layers.Dense(2)], name="m"),
            r"^m does not take images: .* found \[any, 5\]\.",
        ),
        (
            patches_only,
            r"^m has no layer with rows and columns: .*\. Give a convolutional network\.$",
        ),
        (
            untouched_subclass,
            r"^m has no input shape\. Call it on an image, .* Then save it again\.$",
        ),
        (
            broken_subclass,
            r"^m cannot be traced \(.*\)\. Check that it runs on one image in Keras\.$",
        ),
        (
            lambda: keras.Sequential(
                [keras.Input((3, 8, 8)), layers.Conv2D(2, 3, data_format="channels_first")],
                name="m",
            ),
            r"^m has the wrong data format: expected channels_last, found channels_first in layer "
            r"conv2d\. Build it with",
        ),
    ],
)
def test_what_cannot_be_rendered_is_refused_with_a_sentence(
    build: Callable[[], keras.Model], sentence: str
) -> None:
    with pytest.raises(BadModel, match=sentence) as refusal:
        trace(build())
    assert "\n" not in str(refusal.value)
