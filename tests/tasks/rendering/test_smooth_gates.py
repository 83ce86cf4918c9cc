"""A share of each ReLU's gate is its channel's mean gate, in the gradient only, and each picture
has its own.
"""

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.tasks.rendering.relu_gradients import with_redirected_relus, with_smooth_gates
from tests.tasks.rendering.relu_graphs import graph_of, run

RNG = np.random.default_rng(0)
HIGHEST = {"Relu": np.inf, "Relu6": 6.0}


def maps(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    return RNG.uniform(-8, 12, shape).astype(np.float32), RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("operation", ["Relu", "Relu6"])
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_a_share_of_a_gate_is_the_mean_of_its_channels(operation: str, share: float) -> None:
    x, upstream = maps(3, 5, 7, 4)
    gates = ((x > 0) & (x < HIGHEST[operation])).astype(np.float32)
    _, gradient = run(with_smooth_gates(graph_of(operation, 5, 7, 4), share), x, upstream)
    smooth = (1 - share) * gates + share * gates.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(gradient, upstream * smooth, rtol=1e-5, atol=1e-6)


def test_of_a_large_map_the_mean_is_that_of_rows_and_columns_in_even_steps() -> None:
    x, upstream = maps(2, 20, 9, 3)
    gates = (x > 0).astype(np.float32)
    _, gradient = run(with_smooth_gates(graph_of("Relu", 20, 9, 3), 0.5), x, upstream)
    smooth = 0.5 * gates + 0.5 * gates[:, ::3, ::2].mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(gradient, upstream * smooth, rtol=1e-5, atol=1e-6)


def test_a_channel_that_is_shut_everywhere_stays_shut() -> None:
    x, upstream = maps(2, 4, 4, 3)
    x[0, ..., 1] = -1.0
    _, gradient = run(with_smooth_gates(graph_of("Relu", 4, 4, 3), 0.5), x, upstream)
    assert not gradient[0, ..., 1].any() and gradient[1, ..., 1].all()


@pytest.mark.parametrize("operation", ["Relu", "Relu6"])
def test_pictures_do_not_matter_to_each_other(operation: str) -> None:
    x, upstream = maps(4, 12, 12, 8)
    graph = with_smooth_gates(graph_of(operation, 12, 12, 8), 0.3)
    _, together = run(graph, x, upstream)
    alone = np.concatenate([run(graph, x[i : i + 1], upstream[i : i + 1])[1] for i in range(4)])
    np.testing.assert_array_equal(together, alone)


def test_in_half_precision_it_is_the_same_but_for_rounding() -> None:
    x, upstream = maps(2, 8, 8, 4)
    graph = graph_of("Relu", 8, 8, 4)
    coarse = tf.compat.v1.GraphDef()
    coarse.CopyFrom(graph)
    for node in coarse.node:
        for name in set(node.attr) & {"T", "dtype"}:
            node.attr[name].type = tf.bfloat16.as_datatype_enum
    _, exact = run(with_smooth_gates(graph, 0.2), x, upstream)
    _, gradient = run(with_smooth_gates(coarse, 0.2), x, upstream, tf.bfloat16)
    np.testing.assert_allclose(gradient.astype(np.float32), exact, rtol=0.02, atol=0.01)


def test_a_layer_without_positions_keeps_its_gates() -> None:
    x, upstream = maps(3, 6)
    _, gradient = run(with_smooth_gates(graph_of("Relu", 6), 0.5), x, upstream)
    np.testing.assert_array_equal(gradient, np.where(x > 0, upstream, 0))


@pytest.mark.parametrize("operation", ["Relu", "Relu6"])
def test_values_are_those_of_the_graph_and_the_graph_stays_as_it_was(operation: str) -> None:
    graph = graph_of(operation, 6, 6, 2)
    before = graph.SerializeToString(deterministic=True)
    x, upstream = maps(2, 6, 6, 2)
    np.testing.assert_array_equal(
        run(with_smooth_gates(graph, 0.4), x, upstream)[0], run(graph, x, upstream)[0]
    )
    assert graph.SerializeToString(deterministic=True) == before
    assert with_smooth_gates(graph, 0.0) is graph


@pytest.mark.parametrize("operation", ["Relu", "Relu6"])
def test_a_redirected_gradient_takes_the_place_of_a_smooth_one(operation: str) -> None:
    graph = graph_of(operation, 4, 4, 2)
    x, upstream = maps(3, 4, 4, 2)
    x[0] = -1.0
    _, redirected = run(with_redirected_relus(with_smooth_gates(graph, 0.5)), x, upstream)
    np.testing.assert_array_equal(redirected, run(with_redirected_relus(graph), x, upstream)[1])
    assert redirected[0].any()
    open_gates = (x[1:] > 0) & (x[1:] < HIGHEST[operation])
    np.testing.assert_array_equal(redirected[1:], np.where(open_gates, upstream[1:], 0))
