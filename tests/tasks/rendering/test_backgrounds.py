"""Backgrounds are like lucid's, another for every seed, and the same in any company."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.lucid_reference import Lucid
from diamond_cutter.tasks.rendering.course import course_of
from diamond_cutter.tasks.rendering.image import backgrounds, laid_on
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Member

SEEDS = np.array([[1, 2], [3, 4], [1, 4], [2**31 - 1, 0]], np.int32)


def drawn(seeds: np.ndarray, size_px: int = 32) -> np.ndarray:
    return backgrounds(tf.constant(seeds), size_px).numpy()


def test_a_background_is_the_same_in_any_company() -> None:
    together = drawn(SEEDS)
    assert together.shape == (4, 32, 32, 3) and together.dtype == np.float32
    for i, seed in enumerate(SEEDS):
        np.testing.assert_array_equal(drawn(seed[None])[0], together[i])
    np.testing.assert_array_equal(drawn(SEEDS[::-1]), together[::-1])


def test_every_seed_has_another() -> None:
    together = drawn(SEEDS)
    for i in range(4):
        for j in range(i):
            assert np.abs(together[i] - together[j]).mean() > 0.05


def test_every_step_and_sprite_has_another_seed() -> None:
    recipe = RenderRecipe(name="mine", alpha=True, steps=20)
    members = [Member(0, 0), Member(0, 1), Member(5, 0)]
    noise = course_of("stem", members, recipe).noise
    assert noise.shape == (20, 3, 2) and noise.dtype == np.int32
    assert len({tuple(seed) for seed in noise.reshape(-1, 2)}) == 60
    np.testing.assert_array_equal(course_of("stem", members[2:], recipe).noise[:, 0], noise[:, 2])
    assert not np.array_equal(
        course_of("stem", members, recipe.model_copy(update={"seed": 1})).noise, noise
    )


def test_backgrounds_are_as_strong_and_as_smooth_as_lucids(lucid: Lucid) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(0)
        session_images = lucid.transform.param.random.image_sample([16, 64, 64, 3], sd=0.5)
        theirs = session.run(session_images)
    ours = drawn(np.arange(32, dtype=np.int32).reshape(16, 2), 64)
    assert 0 < ours.min() and ours.max() < 1
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.05)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.1)
    steps = [np.abs(np.diff(images, axis=2)).mean() for images in (ours, theirs)]
    assert steps[0] == pytest.approx(steps[1], rel=0.1)


def test_what_is_opaque_hides_its_background() -> None:
    images = np.random.default_rng(0).random((2, 8, 8, 4), np.float32)
    images[:, :2, :, 3], images[:, 2:4, :, 3] = 1.0, 0.0
    behind = drawn(SEEDS[:2], 8)
    found = laid_on(tf.constant(images), tf.constant(behind)).numpy()
    assert found.shape == (2, 8, 8, 3)
    np.testing.assert_array_equal(found[:, :2], images[:, :2, :, :3])
    np.testing.assert_array_equal(found[:, 2:4], behind[:, 2:4])
    opacity = images[:, 4:, :, 3:]
    np.testing.assert_allclose(
        found[:, 4:], images[:, 4:, :, :3] * opacity + behind[:, 4:] * (1 - opacity), rtol=1e-6
    )
