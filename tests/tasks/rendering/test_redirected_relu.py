"""The redirected gradient is lucid's: for batch elements that get none otherwise, and never further
out.
"""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.lucid_reference import Lucid
from diamond_cutter.tasks.rendering.relu_gradients import with_redirected_relus
from tests.tasks.rendering.relu_graphs import graph_of, run

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("x", "upstream", "wanted"),
    [
        # All shut: what pushes up (a negative gradient, as losses are minimised) passes, what
        # pushes down does not.
        ([-1, -2, -3, -4], [-1, 2, -3, 4], [-1, 0, -3, 0]),
        # One is open: the true gradient.
        ([-1, 2, -3, -4], [-1, 2, -3, 4], [0, 2, 0, 0]),
        # One is open but gets no gradient: still nothing passes, so redirected.
        ([-1, 2, -3, -4], [-1, 0, -3, 4], [-1, 0, -3, 0]),
        ([0, -1, -1, -1], [-1, 0, 0, 0], [-1, 0, 0, 0]),
    ],
)
def test_gradient_passes_shut_relus_where_nothing_else_does(
    x: list[float], upstream: list[float], wanted: list[float]
) -> None:
    _, gradient = run(
        with_redirected_relus(graph_of("Relu", 4)), np.array([x]), np.array([upstream])
    )
    assert gradient.tolist() == [wanted]


@pytest.mark.parametrize(
    ("x", "upstream", "wanted"),
    [
        ([-1, -2, 7, 8], [-1, 2, -3, 4], [-1, 0, 0, 4]),
        ([-1, 3, 7, 8], [-1, 2, -3, 4], [0, 2, 0, 0]),
        ([9, 9, 7, 8], [-1, -1, -1, -1], [0, 0, 0, 0]),
    ],
)
def test_gradient_passes_relu6_at_both_ends(
    x: list[float], upstream: list[float], wanted: list[float]
) -> None:
    _, gradient = run(
        with_redirected_relus(graph_of("Relu6", 4)), np.array([x]), np.array([upstream])
    )
    assert gradient.tolist() == [wanted]


@pytest.mark.parametrize("operation", ["Relu", "Relu6"])
def test_the_gradient_is_lucids(lucid: Lucid, operation: str) -> None:
    x = RNG.uniform(-8, 12, (200, 4)).astype(np.float32)
    upstream = RNG.normal(size=(200, 4)).astype(np.float32)
    theirs = getattr(
        importlib.import_module("lucid.misc.redirected_relu_grad"),
        f"redirected_{operation.lower()}_grad",
    )
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        wanted = theirs(
            SimpleNamespace(type=operation, inputs=[tf.constant(x)]), tf.constant(upstream)
        )
        session.run(tf.compat.v1.global_variables_initializer())
        wanted = session.run(wanted)
    _, gradient = run(with_redirected_relus(graph_of(operation, 4)), x, upstream)
    np.testing.assert_array_equal(gradient, wanted)
    _, true = run(graph_of(operation, 4), x, upstream)
    redirected = (gradient != true).any(axis=1)
    assert 0 < redirected.sum() < 200 and not true[redirected].any()


@pytest.mark.parametrize("operation", ["Relu", "Relu6"])
def test_batch_elements_do_not_matter_to_each_other(operation: str) -> None:
    x, upstream = np.array([[-1.0, -2, -3, -4], [1, 2, 3, 4]]), -np.ones((2, 4))
    _, gradient = run(with_redirected_relus(graph_of(operation, 4)), x, upstream)
    _, alone = run(with_redirected_relus(graph_of(operation, 4)), x[:1], upstream[:1])
    assert gradient.tolist() == [[-1] * 4, [-1] * 4] and alone.tolist() == [[-1] * 4]


@pytest.mark.parametrize("operation", ["Relu", "Relu6"])
def test_values_are_those_of_the_graph_and_the_graph_stays_as_it_was(operation: str) -> None:
    graph = graph_of(operation, 4)
    before = graph.SerializeToString(deterministic=True)
    x = RNG.uniform(-8, 12, (50, 4))
    redirected, _ = run(with_redirected_relus(graph), x, x)
    plain, gradient = run(graph, x, x)
    np.testing.assert_array_equal(redirected, plain)
    assert graph.SerializeToString(deterministic=True) == before
    inside = (x > 0) & ((x < 6) | (operation == "Relu"))
    np.testing.assert_array_equal(gradient, np.where(inside, x, 0).astype(np.float32))
