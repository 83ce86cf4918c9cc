"""Objectives and likeness are lucid's, for each member of the batch its own."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.lucid_reference import Lucid
from diamond_cutter.tasks.rendering.objectives import Focus, likeness, objective, target_maps
from diamond_cutter.tasks.rendering.subjects import Targets

RNG = np.random.default_rng(0)
CHANNEL, NEURON, BOTH = 0.0, 1.0, 0.5
IMAGES = RNG.normal(size=(3, 5, 8, 4)).astype(np.float32)
EVEN = RNG.normal(size=(3, 6, 2, 4)).astype(np.float32)
VECTORS = RNG.normal(size=(3, 4)).astype(np.float32)


def value_of(objective: Callable[..., tf.Tensor], activations: np.ndarray) -> float:
    """Return the value of one of lucid's objectives, which needs a graph of TensorFlow 1."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        layer = tf.constant(activations)
        return float(session.run(objective(lambda name: layer)))


def targets(
    channels: Sequence[Sequence[int]], weights: Sequence[Sequence[float]] | None = None
) -> Targets:
    return Targets(
        tf.constant(channels, tf.int32),
        tf.ones_like(channels, tf.float32) if weights is None else tf.constant(weights),
    )


def ours(
    activations: np.ndarray,
    wanted: Targets,
    share: float = CHANNEL,
    at: tuple[float, float] = (0.5, 0.5),
) -> np.ndarray:
    focus = Focus(tf.constant(share), tf.constant(at))
    return objective(target_maps(tf.constant(activations), wanted), focus).numpy()


@pytest.mark.parametrize(
    "activations", [IMAGES, EVEN, VECTORS], ids=["images", "even sides", "vectors"]
)
def test_a_channel_is_lucids(lucid: Lucid, activations: np.ndarray) -> None:
    channels = [3, 0, 3]
    theirs = [
        value_of(lucid.objectives.channel("layer", c, batch=i), activations)
        for i, c in enumerate(channels)
    ]
    found = ours(activations, targets([[c] for c in channels]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "activations",
    [IMAGES, EVEN, VECTORS[:, None, None, :]],
    ids=["one side odd, one even", "even sides", "one position"],
)
def test_a_neuron_is_lucids(lucid: Lucid, activations: np.ndarray) -> None:
    channels = [1, 2, 0]
    theirs = [
        value_of(lucid.objectives.neuron("layer", c, batch=i), activations)
        for i, c in enumerate(channels)
    ]
    np.testing.assert_allclose(
        ours(activations, targets([[c] for c in channels]), NEURON), theirs, rtol=1e-6
    )


def test_the_centre_of_an_even_side_is_behind_the_middle() -> None:
    maps = np.arange(24, dtype=np.float32).reshape(1, 4, 6, 1)
    assert ours(maps, targets([[0]]), NEURON).tolist() == [maps[0, 2, 3, 0]]


@pytest.mark.parametrize(
    ("at", "row", "column"),
    [
        ((0.0, 0.0), 0, 0),
        ((1.0, 1.0), 4, 7),
        ((0.19, 0.0), 0, 0),
        ((0.21, 0.99), 1, 7),
        ((0.9, 0.125), 4, 1),
    ],
)
def test_a_neuron_at_a_given_position_is_lucids(
    lucid: Lucid, at: tuple[float, float], row: int, column: int
) -> None:
    # What lucid calls x is the row.
    theirs = [
        value_of(lucid.objectives.neuron("layer", 2, x=row, y=column, batch=i), IMAGES)
        for i in range(3)
    ]
    np.testing.assert_allclose(ours(IMAGES, targets([[2]] * 3), NEURON, at), theirs, rtol=1e-6)


def test_the_neuron_of_a_vector_is_its_value() -> None:
    np.testing.assert_array_equal(
        ours(VECTORS, targets([[2]] * 3), NEURON, (0.9, 0.1)), VECTORS[:, 2]
    )


def test_half_of_each_is_half_of_each(lucid: Lucid) -> None:
    halves = [
        0.5 * lucid.objectives.channel("layer", 3, batch=i)
        + 0.5 * lucid.objectives.neuron("layer", 3, batch=i)
        for i in range(3)
    ]
    theirs = [value_of(half, IMAGES) for half in halves]
    np.testing.assert_allclose(ours(IMAGES, targets([[3]] * 3), BOTH), theirs, rtol=1e-5)


def test_a_direction_is_lucids(lucid: Lucid) -> None:
    vector = RNG.normal(size=4).astype(np.float32)
    theirs = [
        value_of(lucid.objectives.direction("layer", vector, batch=i), IMAGES) for i in range(3)
    ]
    found = ours(IMAGES, targets([list(range(4))] * 3, [vector.tolist()] * 3))
    np.testing.assert_allclose(found, theirs, rtol=1e-4)


def test_the_neuron_of_a_direction_is_lucids(lucid: Lucid) -> None:
    vector = RNG.normal(size=4).astype(np.float32)
    theirs = [
        value_of(lucid.objectives.direction_neuron("layer", vector, batch=i), EVEN)
        for i in range(3)
    ]
    np.testing.assert_allclose(
        ours(EVEN, targets([list(range(4))] * 3, [vector.tolist()] * 3), NEURON), theirs, rtol=1e-4
    )


def test_a_weighted_sum_is_lucids(lucid: Lucid) -> None:
    def theirs(member: int) -> float:
        one, other = (
            lucid.objectives.channel("layer", channel, batch=member) for channel in (1, 3)
        )
        return value_of(0.75 * one - 2 * other, IMAGES)

    found = ours(IMAGES, targets([[1, 3]] * 3, [[0.75, -2.0]] * 3))
    np.testing.assert_allclose(found, [theirs(i) for i in range(3)], rtol=1e-4)


def test_a_negative_is_lucids(lucid: Lucid) -> None:
    theirs = [value_of(-lucid.objectives.channel("layer", 2, batch=i), IMAGES) for i in range(3)]
    np.testing.assert_allclose(ours(IMAGES, targets([[2]] * 3, [[-1.0]] * 3)), theirs, rtol=1e-5)


def test_the_sum_over_the_batch_is_lucids_sum(lucid: Lucid) -> None:
    theirs = lucid.objectives.Objective.sum(
        [lucid.objectives.channel("layer", c, batch=i) for i, c in enumerate((1, 2, 2))]
    )
    assert ours(IMAGES, targets([[1], [2], [2]])).sum() == pytest.approx(
        value_of(theirs, IMAGES), rel=1e-5
    )


def test_a_member_has_its_own_channels_at_every_position() -> None:
    maps = target_maps(
        tf.constant(IMAGES),
        targets([[2, 0], [1, 3], [0, 0]], [[1.0, 0.0], [2.0, -1.0], [1.0, 1.0]]),
    ).numpy()
    wanted = [
        IMAGES[0, :, :, 2],
        2 * IMAGES[1, :, :, 1] - IMAGES[1, :, :, 3],
        2 * IMAGES[2, :, :, 0],
    ]
    np.testing.assert_allclose(maps, wanted, rtol=1e-6)


def test_sums_are_computed_in_float32_whatever_the_activations_are() -> None:
    # 4097 values of 1 and one of 257 / 256: bfloat16 knows neither the sum nor the last.
    activations = tf.ones([1, 64, 64, 1], tf.bfloat16)
    wanted = targets([[0, 0]], [[1.0, 1 / 256]])
    maps = target_maps(activations, wanted)
    assert maps.dtype == tf.float32
    assert objective(
        maps, Focus(tf.constant(CHANNEL), tf.constant((0.5, 0.5)))
    ).numpy() == pytest.approx([257 / 256], rel=1e-6)


@pytest.mark.parametrize(
    ("share", "wanted"),
    [(CHANNEL, np.full((5, 8), 1 / 40)), (NEURON, np.eye(5, 8, 2) * (np.arange(5) == 2)[:, None])],
)
def test_a_gradient_reaches_no_other_member_no_other_channel_and_no_other_place(
    share: float, wanted: np.ndarray
) -> None:
    activations = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(activations)
        value = objective(
            target_maps(activations, targets([[2], [1], [2]])),
            Focus(tf.constant(share), tf.constant((0.5, 0.5))),
        )[0]
    gradient = tape.gradient(value, activations).numpy()
    np.testing.assert_allclose(gradient[0, :, :, 2], wanted, rtol=1e-6)
    gradient[0, :, :, 2] = 0
    assert not gradient.any()


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("activations", [IMAGES, VECTORS], ids=["images", "vectors"])
def test_a_gradient_is_that_of_the_same_sums_of_slices(
    activations: np.ndarray, dtype: tf.DType
) -> None:
    # One member has a channel twice, another a term that only fills up.
    values, wanted = (
        tf.cast(activations, dtype),
        targets([[2, 0], [1, 1], [3, 0]], [[1.0, -0.5], [2.0, 0.25], [1.0, 0.0]]),
    )
    upstream = tf.constant(RNG.normal(size=(3, *(activations.shape[1:-1] or (1, 1)))), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        picked = tf.stack(
            [
                sum(
                    float(weight) * tf.cast(values[member, ..., int(channel)], tf.float32)
                    for channel, weight in zip(*terms, strict=True)
                )
                for member, terms in enumerate(zip(wanted.channels, wanted.weights, strict=True))
            ]
        )
        ours_sum = tf.reduce_sum(target_maps(values, wanted) * upstream)
        their_sum = tf.reduce_sum(picked * tf.reshape(upstream, picked.shape))
    found, theirs = (
        tf.cast(tape.gradient(total, values), tf.float32).numpy() for total in (ours_sum, their_sum)
    )
    np.testing.assert_allclose(found, theirs, rtol=1e-6 if dtype == tf.float32 else 1e-2)
    assert np.abs(theirs).max() > 0.1


@pytest.mark.parametrize("members", [2, 3, 5])
def test_likeness_is_lucids_diversity(lucid: Lucid, members: int) -> None:
    # Lucid adds each pair's cosine twice and divides by the members: n - 1 of n times the sum of
    # our means over the others.
    activations = RNG.normal(size=(members, 3, 4, 6)).astype(np.float32)
    theirs = value_of(lucid.objectives.diversity("layer"), activations)
    found = likeness(tf.constant(activations), members).numpy()
    assert found.shape == (members,) and theirs > 0.1
    assert found.sum() * (members - 1) / members == pytest.approx(theirs, rel=1e-4)


def test_groups_of_variants_do_not_know_of_each_other() -> None:
    activations = RNG.normal(size=(6, 3, 4, 5)).astype(np.float32)
    together = likeness(tf.constant(activations), 3).numpy()
    alone = np.concatenate(
        [likeness(tf.constant(group), 3).numpy() for group in (activations[:3], activations[3:])]
    )
    np.testing.assert_allclose(together, alone, rtol=1e-6)
    assert np.abs(together - likeness(tf.constant(activations), 2).numpy()).max() > 0.01


def test_variants_that_are_equal_are_wholly_alike_and_those_that_share_nothing_are_not_at_all() -> (
    None
):
    activations = np.zeros((4, 2, 2, 3), np.float32)
    activations[:2] = RNG.normal(size=(2, 2, 3))
    activations[2, ..., 0] = activations[3, ..., 1] = 1
    np.testing.assert_allclose(likeness(tf.constant(activations), 2), [1, 1, 0, 0], atol=1e-5)


def test_variants_without_any_activation_are_no_nan() -> None:
    activations = tf.zeros([2, 2, 2, 3])
    with tf.GradientTape() as tape:
        tape.watch(activations)
        value = tf.reduce_sum(likeness(activations, 2))
    assert value.numpy() == 0 and not tape.gradient(value, activations).numpy().any()


def test_likeness_of_vectors_is_that_of_single_positions() -> None:
    found = likeness(tf.constant(VECTORS), 3)
    np.testing.assert_allclose(
        found, likeness(tf.constant(VECTORS[:, None, None, :]), 3), rtol=1e-6
    )
    cosines = (VECTORS @ VECTORS.T / np.outer(*[np.linalg.norm(VECTORS, axis=1)] * 2)) ** 2
    np.testing.assert_allclose(found, (cosines.sum(1) - 1) / 2, rtol=1e-4)


def test_the_gradient_of_likeness_stays_in_its_group() -> None:
    activations = tf.constant(RNG.normal(size=(4, 2, 3, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(activations)
        value = likeness(activations, 2)[0]
    gradient = tape.gradient(value, activations).numpy()
    assert gradient[:2].any() and not gradient[2:].any()
