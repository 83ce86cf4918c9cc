"""Bundles of one convolution with a head that a test writes down in a line."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, make_bundle
from diamond_cutter.model_inventory.card import ImageSpec
from diamond_cutter.model_inventory.head_logits import HeadRequest, with_head
from tests.built_bundle import SOURCE, weights

Ending = Callable[[tf.Tensor], tf.Tensor]
IMAGE = ImageSpec(height=16, width=16, value_range=((0.0, 1.0),))


def convolved(x: tf.Tensor, channels: int, side: int = 1) -> tf.Tensor:
    return tf.nn.bias_add(
        tf.nn.conv2d(x, weights(side, side, int(x.shape[-1]), channels), 1, "SAME"),
        tf.constant(np.linspace(-0.3, 0.4, channels), tf.float32),
    )


def pooled(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(x, [1, 2])


def dense(x: tf.Tensor, units: int) -> tf.Tensor:
    return tf.matmul(pooled(x), weights(4, units), name="scores")


def one_position(x: tf.Tensor) -> tf.Tensor:
    return convolved(tf.reduce_mean(x, [1, 2], keepdims=True), 3)


def imported(ending: Ending, asked: HeadRequest = HeadRequest()) -> tuple[Bundle, tuple[str, ...]]:  # noqa: B008
    """Return the bundle of a convolution with an ending, and the guesses about its head."""
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], name="input")
        output = ending(tf.nn.relu(convolved(image, 4, side=3)))
    headed = with_head(graph.as_graph_def(), "input:0", output.name, IMAGE, asked)
    bundle = make_bundle(
        name="headed",
        source=SOURCE,
        graph=headed.graph,
        input_tensor="input:0",
        output_tensor=output.name,
        image=IMAGE,
        labels=headed.labels,
        logits=headed.logits,
        head=headed.head,
    )
    return bundle, headed.guesses
