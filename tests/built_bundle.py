"""Bundles of networks that a test writes down in a few lines."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, make_bundle
from diamond_cutter.model_inventory.card import ImageSpec, ModelSource, NamedLayer

SOURCE = ModelSource(origin="a test", weights_sha256="0" * 64, importer="test/1")

Build = Callable[[tf.Tensor], dict[str, tf.Tensor]]


def bundle_of(
    build: Build, *, side: int = 32, width: int | None = None, channels: int = 3
) -> Bundle:
    """Return the bundle of what is built on an image: layers by name, in forward order."""
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, None, None, channels], name="input")
        layers = build(image)
    order = "rgb" if channels == 3 else "none"
    return make_bundle(
        name="built",
        source=SOURCE,
        graph=graph.as_graph_def(),
        input_tensor="input:0",
        output_tensor=list(layers.values())[-1].name,
        image=ImageSpec(
            height=side,
            width=width or side,
            channels=channels,
            value_range=((-1.0, 1.0),),
            channel_order=order,
        ),
        layers=[NamedLayer(name, tensor.name) for name, tensor in layers.items()],
    )


def weights(*shape: int) -> tf.Tensor:
    """Draw weights, the same for the same shape."""
    return tf.constant(np.random.default_rng(0).normal(0, 0.1, shape), tf.float32)


def flattened(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build a convolution, and dense layers of its map of 16 x 16 flattened: of images of 32 x 32,
    or as many otherwise laid out.
    """
    one = tf.nn.relu(tf.nn.conv2d(x, weights(3, 3, int(x.shape[-1]), 4), 2, "SAME"))
    flat = tf.reshape(one, [-1, 16 * 16 * 4])
    hidden = tf.nn.relu(tf.matmul(flat, weights(16 * 16 * 4, 6)))
    return {"one": one, "hidden": hidden, "scores": tf.matmul(hidden, weights(6, 5))}
