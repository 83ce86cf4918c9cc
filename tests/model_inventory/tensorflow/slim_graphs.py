"""Frozen graphs of TensorFlow 1, and their files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.tensorflow.frozen_graph import read_frozen_graph

v1 = tf.compat.v1


def slim_style(dropout: bool = True) -> Any:
    """Return a frozen graph as slim's were: scopes, BatchNorm, ReLU6, dropout, checks, a summary,
    an end for labels.
    """
    chance = np.random.default_rng(3)

    def weights(*shape: int) -> tf.Tensor:
        return tf.constant(chance.normal(size=shape).astype(np.float32), name="weights")

    with tf.Graph().as_default() as graph, tf.device("/device:CPU:0"):
        image = v1.placeholder(tf.float32, [None, 16, 16, 3], name="input")
        keep = v1.placeholder_with_default(tf.constant(1.0), [], name="keep_prob")
        with v1.name_scope("Net/Conv2d_0"):
            x = v1.nn.conv2d(
                image, weights(3, 3, 3, 8), strides=[1, 2, 2, 1], padding="SAME", name="Conv2D"
            )
            scale, offset, mean = (
                tf.constant(chance.random(8).astype(np.float32)) for _ in range(3)
            )
            x, _, _ = v1.nn.fused_batch_norm(
                x, scale, offset, mean, mean + 1, is_training=False, name="BatchNorm/FusedBatchNorm"
            )
            x = tf.nn.relu6(x, name="Relu6")
        with tf.control_dependencies([v1.assert_greater(tf.reduce_max(x), -1.0), tf.no_op()]):
            x = v1.Print(x, [x], "seen")
        x = tf.debugging.check_numerics(x, "bad", name="checked")
        v1.summary.histogram("seen", x)
        pooled = tf.reduce_mean(x, [1, 2], name="Net/pool")
        with v1.name_scope("Net/Logits"):
            pooled = v1.nn.dropout(pooled, keep_prob=keep) if dropout else pooled * keep
            logits = tf.add(tf.matmul(pooled, weights(8, 5)), 0.5, name="BiasAdd")
        tf.nn.softmax(logits, name="Net/Predictions/Softmax")
        tf.argmax(logits, 1, name="best")
        labels = v1.placeholder(tf.float32, [None, 5], name="labels")
        tf.reduce_mean(tf.square(logits - labels), name="loss")
    return graph.as_graph_def()


def written(file: Path, graph: Any) -> Path:
    file.write_bytes(graph if isinstance(graph, bytes) else graph.SerializeToString())
    return file


def built(build: Callable[[], object]) -> Any:
    with tf.Graph().as_default() as graph:
        build()
    return graph.as_graph_def()


def refusal(path: Path, **others: str) -> str:
    with pytest.raises(BadModel) as caught:
        read_frozen_graph(path, **others)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400 + len(str(path)) and str(path) in text
    return text
