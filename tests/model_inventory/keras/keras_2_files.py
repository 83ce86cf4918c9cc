"""Models as Keras 2 saves them, made by tf-keras: each with the logits that it computes itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras
from tf_keras import layers

SIDE = 16


def images(count: int = 2) -> np.ndarray:
    noise = np.random.default_rng(0).uniform(0, 255, (count, SIDE, SIDE, 3))
    return noise.astype(np.float32)


def with_slashes() -> Any:
    """Return a network as of keras.applications: slashes, scaling and hard swish by arithmetic."""
    image = tf_keras.Input((SIDE, SIDE, 3))
    x = image / 127.5 - 1.0
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv1/conv")(x)
    x = layers.BatchNormalization(name="conv1/bn")(x)
    x = x * (layers.ReLU(6.0, name="conv1/relu")(x + 3.0) * (1.0 / 6.0))
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.SeparableConv2D(8, 3, activation="hard_sigmoid", name="separable")(x)
    x = layers.Conv2DTranspose(6, 3, strides=2, name="transposed")(x[:, 1:-1, 1:-1])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return tf_keras.Model(image, layers.Dense(3, activation="softmax", name="fc1000")(x), name="a")


def nested() -> Any:
    """Return Teachable Machine's shape: models inside models, behind augmentation."""
    image = tf_keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="c1")(image)
    backbone = tf_keras.Model(image, layers.Conv2D(8, 3, name="c2")(x), name="backbone")
    augmented = tf_keras.Sequential(
        [layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)], name="augmentation"
    )
    features = tf_keras.Sequential([backbone, layers.GlobalAveragePooling2D()], name="features")
    head = tf_keras.Sequential([layers.Dense(3, activation="softmax", input_shape=(8,), name="d")])
    return tf_keras.Sequential(
        [
            tf_keras.Input((SIDE, SIDE, 3)),
            augmented,
            layers.Rescaling(1 / 255),
            features,
            head,
        ],
        name="b",
    )


def plain() -> Any:
    """Return a network that Keras 3 can load as well."""
    parts = [
        layers.Rescaling(1 / 255, input_shape=(SIDE, SIDE, 3)),
        layers.Conv2D(6, 3, name="conv"),
        layers.BatchNormalization(name="bn"),
        layers.LeakyReLU(alpha=0.1),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ]
    return tf_keras.Sequential(parts, name="c")


MODELS: dict[str, Callable[[], Any]] = {"slashes": with_slashes, "plain": plain, "nested": nested}


def save_all(folder: Path) -> dict[str, np.ndarray]:
    """Save all models as .h5 and .keras, and one compiled as a SavedModel; return the logits."""
    tf_keras.utils.set_random_seed(0)
    logits = {}
    for name, make in MODELS.items():
        tf_keras.backend.clear_session()
        model = make()
        model.set_weights(
            [np.random.default_rng(1).normal(0.3, 0.2, w.shape) ** 2 for w in model.get_weights()]
        )
        logits[name] = model(images(), training=False).numpy()
        model.save(folder / f"{name}.h5")
        model.save(folder / f"{name}.keras")
    model.compile(tf_keras.optimizers.legacy.Adam(), "mse")
    model.train_on_batch(images(), logits["nested"])  # makes the slots of the optimiser
    logits["compiled"] = model(images(), training=False).numpy()
    model.save(folder / "compiled", save_format="tf")
    return logits
