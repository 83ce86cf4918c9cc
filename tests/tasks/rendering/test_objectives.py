"""The objective is lucid's, for each member of the batch its own."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tasks.rendering.lucid_reference import Lucid
from tasks.rendering.objectives import channel_maps, channel_objective

RNG = np.random.default_rng(0)


def value_of(objective: Callable[..., tf.Tensor], activations: np.ndarray) -> float:
    """Return the value of one of lucid's objectives, which needs a graph of TensorFlow 1."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        layer = tf.constant(activations)
        return float(session.run(objective(lambda name: layer)))


@pytest.mark.parametrize("shape", [(3, 5, 7, 4), (3, 4)], ids=["images", "vectors"])
def test_the_objective_is_lucids(lucid: Lucid, shape: tuple[int, ...]) -> None:
    activations, channels = RNG.normal(size=shape).astype(np.float32), [3, 0, 3]
    theirs = [value_of(lucid.objectives.channel("layer", c, batch=i), activations) for i, c in enumerate(channels)]
    np.testing.assert_allclose(channel_objective(activations, tf.constant(channels)), theirs, rtol=1e-5, atol=1e-7)


def test_the_objective_of_a_sum_is_lucids_sum(lucid: Lucid) -> None:
    activations, channels = RNG.normal(size=(2, 5, 7, 4)).astype(np.float32), [1, 2]
    theirs = lucid.objectives.Objective.sum([lucid.objectives.channel("layer", c, batch=i) for i, c in enumerate(channels)])
    ours = float(tf.reduce_sum(channel_objective(activations, tf.constant(channels))))
    assert ours == pytest.approx(value_of(theirs, activations), rel=1e-5)


def test_a_member_has_its_own_channel_at_every_position() -> None:
    activations = RNG.normal(size=(2, 2, 3, 4)).astype(np.float32)
    maps = channel_maps(tf.constant(activations), tf.constant([2, 1])).numpy()
    np.testing.assert_array_equal(maps, [activations[0, :, :, 2].ravel(), activations[1, :, :, 1].ravel()])


def test_a_gradient_reaches_no_other_member_and_no_other_channel() -> None:
    activations = tf.constant(RNG.normal(size=(2, 2, 3, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(activations)
        objective = channel_objective(activations, tf.constant([2, 1]))[0]
    gradient = tape.gradient(objective, activations).numpy()
    np.testing.assert_allclose(gradient[0, :, :, 2], 1 / 6, rtol=1e-6)
    gradient[0, :, :, 2] = 0
    assert not gradient.any()
