"""A sprite's random numbers are its own, and the same everywhere."""

import numpy as np

from diamond_cutter.tasks.rendering.course import sprite_stream


def test_a_stream_is_the_same_each_time_and_everywhere() -> None:
    draws = [
        sprite_stream(0, "block_10", 3, 0, "image").standard_normal(3, np.float32) for _ in range(2)
    ]
    assert draws[0].tobytes() == draws[1].tobytes()
    np.testing.assert_allclose(draws[0], [0.03990275, 0.51407063, 0.8213833], rtol=1e-6)


def test_every_sprite_and_purpose_has_its_own_stream() -> None:
    streams = [
        sprite_stream(seed, layer, channel, variant, purpose)
        for seed in (0, 1)
        for layer in ("block_1", "block_10")
        for channel in (0, 1, 10)
        for variant in (0, 1)
        for purpose in ("image", "transforms", "scores")
    ]
    draws = np.array([stream.random(1000) for stream in streams])
    correlations = np.corrcoef(draws) - np.eye(len(streams))
    assert np.abs(correlations).max() < 0.2


def test_a_sprite_that_looks_like_another_has_its_own_stream() -> None:
    alike = [
        (1, "a", 11, 0, "image"),
        (1, "a", 1, 10, "image"),
        (11, "a", 1, 0, "image"),
        (1, "image\na", 1, 10, "image"),
        (1, "a", 1, 1, "0image"),
    ]
    assert len({sprite_stream(*each).random() for each in alike}) == len(alike)
