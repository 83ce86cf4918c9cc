"""The value range of a model's images is read from what the model does before its first weights."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.value_range import guess_value_range


def padded(image: tf.Tensor) -> tf.Tensor:
    return tf.pad(image / 127.5 - 1.0, [[0, 0], [4, 4], [4, 4], [0, 0]])


@pytest.mark.parametrize(
    ("scaled", "found"),
    [
        (lambda image: image / 127.5 - 1.0, (0.0, 255.0)),
        (lambda image: image * 2.0 - 1.0, (0.0, 1.0)),
        (lambda image: image - [123.7, 116.8, 103.9], (0.0, 255.0)),
        (padded, (0.0, 255.0)),
        (tf.square, None),
        (tf.identity, None),
    ],
    ids=[
        "both signs",
        "of a fraction",
        "Caffe",
        "padded wider than the image",
        "curved",
        "as it is",
    ],
)
def test_the_range_is_that_of_the_scaling_inside(
    scaled: Callable[[tf.Tensor], tf.Tensor], found: tuple[float, float] | None
) -> None:
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, 3, 3, 3], name="input")
        tf.nn.conv2d(scaled(image), np.ones([1, 1, 3, 2], np.float32), 1, "SAME")
    assert guess_value_range(graph.as_graph_def(), "input:0", (3, 3, 3)) == found
