"""Models as users have them: a transfer model, small grey ones, a graph of TensorFlow 1."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests.made_once import made_once


@made_once
def nested_model(path: Path) -> Path:
    """Save what most users have: a backbone from keras.applications with scaling before and a new
    head behind it.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    backbone = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(64, 64, 3), alpha=0.35
    )
    before = [keras.layers.RandomFlip(), keras.layers.Rescaling(1 / 127.5, offset=-1)]
    head = [
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(3, activation="softmax", name="classes"),
    ]
    keras.Sequential([keras.Input((64, 64, 3)), *before, backbone, *head], name="birds").save(path)
    return path


@made_once
def digits_model(path: Path) -> Path:
    """Save a network of grey images that was trained on scikit-learn's digits for a few seconds,
    and knows them.
    """
    from sklearn.datasets import load_digits

    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    digits = load_digits()
    images = np.float32(digits.images[..., None] / 16)
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu", padding="same", name="strokes"),
        keras.layers.Conv2D(32, 3, activation="relu", name="parts"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax", name="digit"),
    ]
    model = keras.Sequential(layers, name="digits")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[:1500], digits.target[:1500], epochs=12, batch_size=64, verbose=0)
    assert model.evaluate(images[1500:], digits.target[1500:], verbose=0)[1] > 0.85
    model.save(path)
    return path


@made_once
def one_unit_model(path: Path, *, regression: bool = False) -> Path:
    """Save a network of one unit that was trained on scikit-learn's digits for a few seconds.

    It tells 8 from 3 by a sigmoid. Of a regression, the unit is the amount of ink, 0 to 10.
    """
    from sklearn.datasets import load_digits

    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    digits = load_digits()
    known = np.isin(digits.target, [3, 8])
    images = np.float32(digits.images[known][..., None] / 16)
    wanted = 10 * images.mean((1, 2, 3)) if regression else np.float32(digits.target[known] == 8)
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu", padding="same", name="strokes"),
        keras.layers.Conv2D(32, 3, activation="relu", name="parts"),
        keras.layers.Flatten(),
        keras.layers.Dense(1, activation=None if regression else "sigmoid", name="unit"),
    ]
    model = keras.Sequential(layers, name="unit")
    model.compile("adam", "mse" if regression else "binary_crossentropy")
    model.fit(images[:250], wanted[:250], epochs=6, batch_size=16, verbose=0)
    model.save(path)
    return path


def slim_graph(path: Path) -> Path:
    """Write a frozen graph as TensorFlow 1 and slim made them: scopes, BatchNorm, ReLU6, dropout
    that is switched off, probabilities.
    """
    graph, stream = tf.Graph(), np.random.default_rng(0)

    def convolution(x: tf.Tensor, scope: str, channels: int, stride: int = 1) -> tf.Tensor:
        with tf.name_scope(scope):
            kernel = tf.constant(
                np.float32(stream.normal(0, 0.3, (3, 3, x.shape[-1], channels))), name="weights"
            )
            scale, offset, mean, variance = (
                tf.constant(np.float32(stream.uniform(0.5, 1.5, channels))) for _ in range(4)
            )
            x = tf.nn.conv2d(x, kernel, stride, "SAME", name="Conv2D")
            x = tf.compat.v1.nn.fused_batch_norm(
                x, scale, offset, mean, variance, is_training=False, name="BatchNorm/FusedBatchNorm"
            )[0]
            return tf.nn.relu6(x, name="Relu6")

    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, 48, 48, 3], name="input")
        with tf.name_scope("Network"):
            x = convolution(convolution(image, "Conv2d_0", 8, stride=2), "Conv2d_1", 12)
            x = tf.compat.v1.placeholder_with_default(
                tf.reduce_mean(x, [1, 2], keepdims=True), [None, 1, 1, 12], name="Dropout"
            )
            x = convolution(x, "Logits/Conv2d_1c_1x1", 4)
            logits = tf.squeeze(x, [1, 2], name="Logits/SpatialSqueeze")
            tf.nn.softmax(logits, name="Predictions/Softmax")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path
