"""Graphs of a single ReLU, and how they are run with the gradients that they name."""

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import run_inside


def graph_of(operation: str, *shape: int) -> tf.compat.v1.GraphDef:
    """Return a graph of one operation on float32 `[batch, *shape]`."""
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, *shape], name="input")
        getattr(tf.raw_ops, operation)(features=x, name="out")
    return graph.as_graph_def()


def run(
    graph: tf.compat.v1.GraphDef, x: np.ndarray, upstream: np.ndarray, dtype: tf.DType = tf.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Return the graph's output, and the gradient at its input."""

    @tf.function
    def step(x: tf.Tensor, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        (out,) = run_inside(graph, "input:0", x, ["out:0"])
        return out, tf.gradients(out, [x], [upstream])[0]

    out, gradient = step(tf.constant(x, dtype), tf.constant(upstream, dtype))
    return out.numpy(), gradient.numpy()
