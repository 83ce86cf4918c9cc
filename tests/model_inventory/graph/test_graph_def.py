"""What stands before an activation function is found, however it is written, and what stands behind
a value.
"""

from collections.abc import Callable

import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import activation_behind, before_activation


def found(build: Callable[[tf.Tensor], tf.Tensor]) -> str:
    """Return what is found before the result of what is built on a sum named `sum`."""
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, 4, 4, 3], name="input")
        result = build(tf.add(x, 1.0, name="sum"))
    return before_activation(graph.as_graph_def(), result.name).replace(
        result.name, "the result itself"
    )


def test_an_activation_function_is_taken_away() -> None:
    for activation in [
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "sigmoid",
        "tanh",
        "softplus",
        "softsign",
    ]:
        assert found(getattr(tf.nn, activation)) == "sum:0"


def test_swish_is_taken_away_whichever_factor_comes_first() -> None:
    assert found(lambda x: x * tf.sigmoid(x)) == found(lambda x: tf.sigmoid(x) * x) == "sum:0"


@pytest.mark.parametrize(
    "build",
    [
        lambda x: x + 1,
        lambda x: x * 2,
        lambda x: x * x,
        lambda x: x * tf.sigmoid(x + 1),
        lambda x: tf.reduce_mean(x, [1, 2]),
    ],
    ids=["sum", "multiple", "square", "gate of something else", "mean"],
)
def test_what_is_no_activation_function_stays(build: Callable[[tf.Tensor], tf.Tensor]) -> None:
    assert found(build) == "the result itself"


def test_the_output_that_an_activation_function_read_is_found() -> None:
    assert found(lambda x: tf.nn.relu(tf.unstack(x, axis=0, num=2)[1])) == "unstack:1"


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        (tf.nn.softmax, "Softmax"),
        (tf.sigmoid, "Sigmoid"),
        (lambda x: tf.sigmoid(tf.reshape(tf.identity(x), [-1, 3])), "Sigmoid"),
        (lambda x: tf.sigmoid(x + 1), None),
        (tf.identity, None),
    ],
)
def test_what_makes_probabilities_of_a_value_is_found(
    build: Callable[[tf.Tensor], tf.Tensor], kind: str | None
) -> None:
    graph = tf.Graph()
    with graph.as_default():
        build(tf.add(tf.compat.v1.placeholder(tf.float32, [None, 3]), 1.0, name="scores"))
    assert activation_behind(graph.as_graph_def(), "scores:0") == kind
