"""A network of four layers that renders within milliseconds, and whose weights a test may
change.
"""

from contextlib import nullcontext

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, make_bundle
from diamond_cutter.model_inventory.card import ClassLabel, ImageSpec, ModelSource, NamedLayer

IMAGE_SIZE = 32
LAYERS = ("first", "second", "third", "logits")
CHANNELS = {"first": 8, "second": 8, "third": 6, "logits": 5}

Weights = dict[str, np.ndarray]


def toy_weights(seed: int = 0) -> Weights:
    """Draw the weights, float32: kernels, and what each BatchNorm needs."""
    stream = np.random.default_rng(seed)
    shapes = {
        "first": (3, 3, 3, 8),
        "second": (3, 3, 8, 1),
        "third": (1, 1, 8, 6),
        "logits": (6, 5),
    }
    weights = {f"{layer}/kernel": stream.normal(0, 0.5, shape) for layer, shape in shapes.items()}
    for layer in LAYERS[:3]:
        channels = CHANNELS[layer]
        weights[f"{layer}/gamma"] = stream.uniform(0.5, 1.5, channels)
        weights[f"{layer}/beta"] = stream.uniform(0.0, 0.5, channels)
        weights[f"{layer}/mean"] = stream.normal(0, 0.1, channels)
        weights[f"{layer}/variance"] = stream.uniform(0.5, 1.5, channels)
    weights["logits/bias"] = stream.normal(0, 0.1, 5)
    return {name: value.astype(np.float32) for name, value in weights.items()}


def toy_bundle(weights: Weights | None = None, *, name: str = "toy", scope: str = "") -> Bundle:
    """Build the network; `scope` goes before the names of all its nodes."""
    weights = toy_weights() if weights is None else weights
    graph = tf.Graph()
    with graph.as_default(), tf.name_scope(scope) if scope else nullcontext():
        image = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], name="input")
        first = tf.nn.relu6(
            _normalised(tf.nn.conv2d(image, weights["first/kernel"], 2, "SAME"), weights, "first"),
            name="first",
        )
        deep = tf.nn.depthwise_conv2d(first, weights["second/kernel"], [1, 1, 1, 1], "SAME")
        second = tf.nn.relu6(_normalised(deep, weights, "second"), name="second")
        third = tf.nn.relu(
            _normalised(tf.nn.conv2d(second, weights["third/kernel"], 1, "SAME"), weights, "third"),
            name="third",
        )
        product = tf.linalg.matmul(
            tf.reduce_mean(third, [1, 2]), tf.constant(weights["logits/kernel"])
        )
        logits = tf.nn.bias_add(product, tf.constant(weights["logits/bias"]), name="logits")
    return make_bundle(
        name=name,
        source=ModelSource(origin="a test", weights_sha256="0" * 64, importer="toy/1"),
        graph=graph.as_graph_def(),
        input_tensor=image.name,
        output_tensor=logits.name,
        image=ImageSpec(height=IMAGE_SIZE, width=IMAGE_SIZE, value_range=((-1.0, 1.0),)),
        labels=tuple(ClassLabel(name=f"class {index}") for index in range(5)),
        layers=[
            NamedLayer("first", first.name, "convolution", main=True),
            NamedLayer("second", second.name, "depthwise", main=False),
            NamedLayer("third", third.name, "block", main=True),
            NamedLayer("logits", logits.name, "dense", main=False),
        ],
    )


def _normalised(x: tf.Tensor, weights: Weights, layer: str) -> tf.Tensor:
    gamma, beta, mean, variance = (
        weights[f"{layer}/{part}"] for part in ("gamma", "beta", "mean", "variance")
    )
    return tf.compat.v1.nn.fused_batch_norm(
        x, gamma, beta, mean, variance, epsilon=1e-3, is_training=False
    )[0]
