"""What constants alone decide is computed once; all else stays as it was."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.graph.constant_folding import fold_constants
from diamond_cutter.model_inventory.graph.graph_def import run_inside


def graph_of(build: Callable[[tf.Tensor], tf.Tensor]) -> tf.compat.v1.GraphDef:
    graph = tf.Graph()
    with graph.as_default():
        tf.identity(
            build(tf.compat.v1.placeholder(tf.float32, [None, 4], name="input")), name="output"
        )
    return graph.as_graph_def()


def output(graph: tf.compat.v1.GraphDef, value: np.ndarray) -> np.ndarray:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        return session.run(run_inside(graph, "input:0", tf.constant(value), ["output:0"])[0])


def batch_norm(x: tf.Tensor) -> tf.Tensor:
    """Normalise as Keras writes it: with a scale that is computed from constants."""
    mean, variance, gamma = (
        tf.constant(np.random.default_rng(seed).random(4, np.float32)) for seed in range(3)
    )
    scale = tf.math.rsqrt(variance + 1e-3) * gamma
    return x * scale + (0.5 - mean * scale)


def test_a_scale_computed_from_constants_is_a_constant() -> None:
    graph = graph_of(batch_norm)
    folded = fold_constants(graph)
    assert sorted(node.op for node in folded.node if node.op != "Const") == [
        "AddV2",
        "Identity",
        "Mul",
        "Placeholder",
    ]
    assert sum(node.op == "Const" for node in folded.node) == 2
    value = np.random.default_rng(5).random((3, 4), np.float32)
    np.testing.assert_allclose(output(folded, value), output(graph, value), rtol=1e-6)


@pytest.mark.parametrize(
    "build",
    [
        lambda x: x + 1.0,
        lambda x: x + tf.random.uniform([4]),
        lambda x: x * tf.split(tf.constant([[1.0] * 8]), 2, axis=1)[1],
    ],
    ids=["nothing to fold", "a random number", "one of several results"],
)
def test_what_has_no_single_value_stays(build: Callable[[tf.Tensor], tf.Tensor]) -> None:
    graph = graph_of(build)
    assert {node.op for node in fold_constants(graph).node} == {node.op for node in graph.node}


def test_a_graph_with_nothing_to_fold_is_returned_as_it_is() -> None:
    graph = graph_of(lambda x: x + 1.0)
    assert fold_constants(graph) is graph
