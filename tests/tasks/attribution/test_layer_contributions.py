"""From layer to layer: what a position sees is in its receptive field, and what flows through
groups adds up.
"""

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.attribution.attribution import attribution_function
from diamond_cutter.tasks.attribution.details import details_function
from diamond_cutter.tasks.attribution.layer_contributions import (
    group_flow_function,
    seen_from_function,
)
from diamond_cutter.tasks.attribution.network import Network, network_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from tests.built_bundle import bundle_of
from tests.small_networks import SIDE, built, convolved, dense, drawn, images
from tests.tasks.attribution.running import checking, run_tail, values_of

IMAGE = images(1)


def chain(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build layers of 6 x 6, 3 x 3 and 3 x 3, each of which sees 3 x 3 of the one before."""
    first = tf.nn.relu(convolved(x, 71, 6, stride=2))
    second = tf.nn.relu(convolved(first, 72, 5, stride=2))
    third = convolved(second, 73, 5)
    return {
        "first": first,
        "second": second,
        "third": third,
        "logits": dense(tf.reduce_mean(tf.nn.relu(third), [1, 2]), 74),
    }


def by_differences(network: Network, layer: str, next_layer: str, step: float = 4e-3) -> np.ndarray:
    """Return how the length of what is in each cell grows with each position before it, `[cell of
    next_layer, cell of layer]`.
    """
    tail = network.part_between(layer, next_layer)
    activations, *around = values_of(network, IMAGE, [tail.layer, *tail.around])
    _, rows, columns, _ = activations.shape
    which = np.eye(rows * columns).reshape(-1, rows, columns, 1)
    factors = np.concatenate([1 + step * which, 1 - step * which]).astype(np.float32)
    (values,) = run_tail(
        tail, activations * factors, [np.repeat(value, len(factors), axis=0) for value in around]
    )
    lengths = np.linalg.norm(
        values.reshape(len(factors), -1, values.shape[-1]).astype(np.float64), axis=2
    )
    higher, lower = np.split(lengths, 2)
    return ((higher - lower) / (2 * step)).T


@pytest.mark.parametrize(
    ("layer", "next_layer"), [("first", "second"), ("second", "third"), ("first", "third")]
)
def test_what_a_cell_has_comes_from_its_receptive_field(layer: str, next_layer: str) -> None:
    network = network_of(bundle_of(chain, side=SIDE), ["first", "second", "third"])
    found = seen_from_function(network, layer, next_layer)(tf.constant(IMAGE))
    wanted = by_differences(network, layer, next_layer)
    assert found.shape == wanted.shape and np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(found, wanted, atol=4e-3 * np.abs(wanted).max())
    if (layer, next_layer) == ("second", "third"):
        rows, columns = np.divmod(np.arange(9), 3)
        near = (np.abs(rows[:, None] - rows) <= 1) & (np.abs(columns[:, None] - columns) <= 1)
        assert (found[~near] == 0).all() and (found[near] != 0).any()


def test_what_goes_around_a_layer_is_not_seen_in_it() -> None:
    network = network_of(built("residual"), ["branch", "block"])
    found = seen_from_function(network, "branch", "block")(tf.constant(IMAGE))
    np.testing.assert_allclose(
        found, by_differences(network, "branch", "block"), atol=4e-3 * np.abs(found).max()
    )
    assert (found[~np.eye(36, dtype=bool)] == 0).all()  # a convolution of 1 x 1


def test_more_cells_than_go_in_one_go_and_cells_of_several_positions() -> None:
    def build(x: tf.Tensor) -> dict[str, tf.Tensor]:
        first = tf.nn.relu(convolved(x, 75, 4))
        second = tf.nn.conv2d(first, drawn(76, 1, 1, 4, 4), 1, "SAME")
        return {
            "first": first,
            "second": second,
            "logits": dense(tf.reduce_mean(second, [1, 2]), 77),
        }

    network = network_of(bundle_of(build, side=24), ["first", "second"])
    found = seen_from_function(network, "first", "second")(tf.constant(images(1, 24)))
    assert found.shape == (144, 144)
    assert (found[~np.eye(144, dtype=bool)] == 0).all()
    (second,) = values_of(network, images(1, 24), [network.tensors[1]])
    squares = np.square(second).reshape(12, 2, 12, 2, 4).sum(axis=(1, 3, 4)).reshape(144)
    # What is linear in one cell has the length's own gradient: all of the length.
    np.testing.assert_allclose(np.diag(found), np.sqrt(squares), rtol=1e-3)


def test_a_silent_cell_has_come_from_nowhere() -> None:
    def build(x: tf.Tensor) -> dict[str, tf.Tensor]:
        first = tf.nn.relu(convolved(x, 78, 4, stride=2))
        second = tf.nn.relu(tf.nn.conv2d(first, -tf.abs(drawn(79, 3, 3, 4, 4)), 1, "SAME"))
        return {
            "first": first,
            "second": second,
            "logits": dense(tf.reduce_mean(second, [1, 2]), 80),
        }

    network = network_of(bundle_of(build, side=SIDE), ["first", "second"])
    assert not seen_from_function(network, "first", "second")(tf.constant(IMAGE)).any()


def by_the_batch(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build a network that asks its image how many there are, as models with `tf.reshape(y,
    [tf.shape(x)[0], -1])` do.
    """
    first = tf.nn.relu(convolved(x, 81, 4, stride=2))
    second = tf.reshape(tf.nn.relu(convolved(first, 82, 4)), [tf.shape(x)[0], 6, 6, 4])
    flat = tf.reshape(second, [tf.shape(x)[0], -1])
    return {"first": first, "second": second, "logits": tf.linalg.matmul(flat, drawn(83, 144, 5))}


def test_a_network_may_ask_how_many_images_there_are() -> None:
    layers = ("first", "second")
    network = network_of(bundle_of(by_the_batch, side=SIDE), layers)
    assert network.part_between("first", "second").around != ()
    found = seen_from_function(network, "first", "second")(tf.constant(IMAGE))
    rows, columns = np.divmod(np.arange(36), 6)
    near = (np.abs(rows[:, None] - rows) <= 1) & (np.abs(columns[:, None] - columns) <= 1)
    assert (found[~near] == 0).all() and (found[near] != 0).any()
    spec = AttributionSpec(
        layers=layers, positive=1, negative="none", method="integrated", steps=2, sprites="none"
    )
    for layer in attribution_function(network, spec)(images(3)).layers:
        assert np.any(layer.channels)
    for checked in checking(network, spec)(images(3), range(3)):
        assert np.any(checked.drop_of_top)


def linear_between(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build two layers between which all is linear, and nothing goes around; behind them it
    is not.
    """
    first = tf.nn.relu(convolved(x, 84, 5, stride=2))
    second = tf.nn.avg_pool2d(tf.nn.conv2d(first, drawn(85, 3, 3, 5, 4), 1, "SAME"), 2, 2, "SAME")
    return {
        "first": first,
        "second": second,
        "logits": dense(tf.reduce_mean(tf.nn.swish(second), [1, 2]), 86),
    }


@pytest.fixture(scope="module")
def linear() -> Bundle:
    return bundle_of(linear_between, side=SIDE)


def test_what_flows_through_groups_that_span_all_channels_adds_up_to_what_the_groups_add(
    linear: Bundle,
) -> None:
    layers, seen = ("first", "second"), images(3)
    network, spec = (
        network_of(linear, layers),
        AttributionSpec(layers=layers, positive=2, negative="none", sprites="none"),
    )
    stream = np.random.default_rng(0)
    parts, next_parts = (stream.normal(0, 1, (count, count)).astype(np.float32) for count in (5, 4))
    shown = details_function(network, spec)(seen).layers
    amounts = (shown[0].mean.numpy() @ np.linalg.inv(parts)).astype(np.float32)
    worth = [
        layer.gradients.numpy() @ directions.T
        for layer, directions in zip(shown, (parts, next_parts), strict=True)
    ]
    flow = group_flow_function(network, "first", "second", parts, next_parts)(
        tf.constant(seen), amounts, worth[1]
    )
    assert flow.shape == (3, 5, 4)
    of_groups = (amounts * worth[0]).sum(axis=1)
    np.testing.assert_allclose(flow.sum(axis=2), of_groups, rtol=1e-3, atol=1e-4)
    # And both are all that the layer adds.
    channels = attribution_function(network, spec)(seen).layers[0].channels.numpy()
    np.testing.assert_allclose(flow.sum(axis=(1, 2)), channels.sum(axis=1), rtol=1e-3, atol=1e-4)
    assert np.abs(channels.sum(axis=1)).min() > 1e-3


def test_what_does_not_reach_a_group_does_not_flow_through_it(linear: Bundle) -> None:
    network, seen = network_of(linear, ("first", "second")), images(2)
    (first,) = values_of(network, seen, network.tensors[:1])
    amounts, worth = first.reshape(2, 36, 5), np.ones((2, 9, 4), np.float32)
    alone = np.zeros_like(amounts)
    alone[:, :, 1] = amounts[:, :, 1]
    flow = group_flow_function(
        network, "first", "second", np.eye(5, dtype=np.float32), np.eye(4, dtype=np.float32)
    )
    everything, of_one = (
        flow(tf.constant(seen), amounts, worth),
        flow(tf.constant(seen), alone, worth),
    )
    np.testing.assert_allclose(of_one[:, 1], everything[:, 1], rtol=1e-5, atol=1e-6)
    assert not np.delete(of_one, 1, axis=1).any() and np.abs(of_one[:, 1]).max() > 0.01
