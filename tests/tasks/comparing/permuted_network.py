"""A network, and the same one with its channels in another order."""

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, make_bundle
from diamond_cutter.model_inventory.card import ImageSpec, NamedLayer
from tests.built_bundle import SOURCE
from tests.small_networks import drawn

SIDE, CHANNELS = 24, 10


def network(order: np.ndarray | None = None, name: str = "network") -> Bundle:
    """Return a network of two convolutions and five logits.

    With an order, channel i of the first convolution is channel `order[i]` of the network without
    one, and the next layer's inputs are permuted alike: the logits are the same.
    """
    kept = np.arange(CHANNELS) if order is None else order
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], name="input")
        kernel = tf.gather(drawn(1, 3, 3, 3, CHANNELS), kept, axis=3)
        one = tf.nn.relu(tf.nn.conv2d(image, kernel, 2, "SAME"), name="one")
        kernel = tf.gather(drawn(2, 3, 3, CHANNELS, 6), kept, axis=2)
        two = tf.nn.relu(tf.nn.conv2d(one, kernel, 2, "SAME"), name="two")
        logits = tf.matmul(tf.reduce_mean(two, [1, 2]), drawn(3, 6, 5), name="logits")
    return make_bundle(
        name=name,
        source=SOURCE,
        graph=graph.as_graph_def(),
        input_tensor="input:0",
        output_tensor=logits.name,
        image=ImageSpec(height=SIDE, width=SIDE, value_range=((-1.0, 1.0),)),
        layers=[
            NamedLayer("one", one.name, "convolution", main=True),
            NamedLayer("two", two.name, "convolution", main=True),
        ],
    )
