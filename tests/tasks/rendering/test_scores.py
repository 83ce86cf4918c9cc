"""What is wrong with a sprite is said of it, and what is right is measured."""

import math
from typing import Any

import numpy as np
import pytest

from diamond_cutter.storage.sets.records import SpriteScores
from diamond_cutter.tasks.rendering.scores import (
    CHECKERBOARD_ABOVE,
    checkerboard,
    on_white,
    score_sprite,
    specificities,
)
from diamond_cutter.tasks.rendering.subjects import Member, Targets


def natural(seed: int, side: int) -> np.ndarray:
    """Draw noise whose magnitude falls with frequency, as a photo's, float32 `[side, side, 3]` in
    [0, 1].
    """
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    drawn = np.random.default_rng(seed).standard_normal((2, 3, *frequency.shape)) / np.maximum(
        frequency, 1 / side
    )
    planes = np.fft.irfft2(drawn[0] + 1j * drawn[1], s=(side, side)).transpose(1, 2, 0)
    return (0.5 + 0.5 * np.tanh(planes / planes.std() / 2)).astype(np.float32)


def as_bytes(values: np.ndarray) -> np.ndarray:
    return np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)


PICTURE = as_bytes(natural(0, 32))
GREY = np.full((32, 32, 3), 128, np.uint8)
ROWS = np.arange(32)[:, None, None]
HALF_BLACK = np.where(ROWS < 15, 0, np.clip(PICTURE, 20, 235)).astype(np.uint8)
MOSTLY_BLACK = np.where(ROWS < 17, 0, np.clip(PICTURE, 20, 235)).astype(np.uint8)


def scores_of(
    picture: np.ndarray, objective: float = 1.5, highest: float = 3.0, **more: Any
) -> SpriteScores:
    return score_sprite(Member(7, 2), picture, objective, highest, **more)


def test_a_sprite_is_flagged_for_what_it_is() -> None:
    for picture, objective, highest, flags in [
        (PICTURE, 1.5, 3.0, ()),
        (PICTURE, 0.0, 0.0, ("dead",)),
        (PICTURE, -1.0, -0.5, ("dead",)),
        (PICTURE, -1.0, 0.5, ()),
        (GREY, 1.5, 3.0, ("grey",)),
        (GREY, 0.0, 0.0, ("dead", "grey")),
        (HALF_BLACK, 1.5, 3.0, ()),
        (MOSTLY_BLACK, 1.5, 3.0, ("saturated",)),
        (255 - np.zeros_like(GREY), 1.5, 3.0, ("grey", "saturated")),
        (PICTURE, math.nan, 3.0, ("not_finite",)),
        (PICTURE, 1.5, math.inf, ("not_finite",)),
        (PICTURE, 0.0, -math.inf, ("not_finite",)),
    ]:
        assert scores_of(picture, objective, highest).flags == flags


def test_what_was_pushed_down_is_not_dead() -> None:
    assert scores_of(PICTURE, -1.0, -0.5, can_be_dead=False).flags == ()


def test_the_scores_are_those_of_the_picture() -> None:
    scores = scores_of(MOSTLY_BLACK, 1.23456789, 2.5, specificity=1.23456, rung="seed")
    assert (scores.channel, scores.variant, scores.rung) == (7, 2, "seed")
    assert (scores.objective, scores.highest_activation, scores.specificity) == (
        1.234568,
        2.5,
        1.235,
    )
    assert scores.contrast == pytest.approx((MOSTLY_BLACK / 255).std(), abs=1e-4)
    assert scores.saturation == pytest.approx(17 / 32, abs=1e-4)
    assert scores.checkerboard == pytest.approx(
        checkerboard(MOSTLY_BLACK / np.float32(255)), abs=1e-4
    )


def test_what_is_not_finite_is_no_number() -> None:
    scores = scores_of(PICTURE, math.nan, 3.0, specificity=math.nan)
    assert (scores.objective, scores.highest_activation, scores.specificity) == (None, None, None)
    assert scores_of(PICTURE).specificity is None


@pytest.mark.parametrize("side", [32, 64, 128])
def test_noise_is_no_checkerboard(side: int) -> None:
    white = [
        checkerboard(np.random.default_rng(seed).random((side, side, 3), np.float32))
        for seed in range(100)
    ]
    assert np.mean(white) == pytest.approx(1, abs=0.02) and max(white) < CHECKERBOARD_ABOVE
    photos = [checkerboard(natural(seed, side)) for seed in range(30)]
    assert max(photos) < 0.75 and min(photos) > 0.25


PERIOD_2 = {
    "squares": (ROWS + ROWS.transpose(1, 0, 2)) % 2,
    "rows": np.broadcast_to(ROWS % 2, (32, 32, 1)),
    "columns": np.broadcast_to(ROWS.transpose(1, 0, 2) % 2, (32, 32, 1)),
}


@pytest.mark.parametrize("pattern", PERIOD_2)
def test_a_pattern_of_two_pixels_is_flagged(pattern: str) -> None:
    picture = natural(1, 32) + 0.1 * (PERIOD_2[pattern] - 0.5)
    assert "checkerboard" not in scores_of(as_bytes(natural(1, 32))).flags
    assert "checkerboard" in scores_of(as_bytes(picture)).flags


def test_a_pattern_of_three_or_four_pixels_is_none() -> None:
    for period in (3, 4):
        picture = natural(1, 36) + 0.2 * (np.arange(36)[:, None, None] % period == 0)
        assert "checkerboard" not in scores_of(as_bytes(picture)).flags


def test_what_has_no_detail_has_no_checkerboard() -> None:
    assert checkerboard(GREY / np.float32(255)) == 0.0


def targets(channels: list[list[int]], weights: list[list[float]]) -> Targets:
    return Targets(np.array(channels, np.int32), np.array(weights, np.float32))


def test_specificity_is_the_distance_from_the_other_channels_in_their_deviations() -> None:
    means = np.array([[1, 2, 3, 10], [1, 2, 3, 10], [5, 5, 5, 9]], np.float32)
    # Of 1, 2, 3 the mean is 2 and the deviation sqrt(2 / 3); of 2, 3, 10 they are 5 and sqrt(38 /
    # 3), of equal ones there is none.
    found = specificities(means, (targets([[3], [0], [3]], [[1.0], [-1.0], [1.0]]),))
    assert found[:2] == pytest.approx([8 / math.sqrt(2 / 3), 4 / math.sqrt(38 / 3)])
    assert found[2] is None


def test_a_channel_that_does_not_stand_out_has_a_specificity_below_zero() -> None:
    (found,) = specificities(np.array([[0, 2, 3, 10]], np.float32), (targets([[0]], [[1.0]]),))
    assert found is not None and found < 0


def test_channels_that_overflow_do_not_count() -> None:
    means = np.array(
        [[1, 2, math.inf, 3, 10], [1, 2, math.nan, 3, 10], [math.nan] * 5, [1, 2, 3, 4, math.inf]],
        np.float32,
    )
    found = specificities(means, (targets([[4]] * 4, [[1.0]] * 4),))
    assert found[:2] == pytest.approx([8 / math.sqrt(2 / 3)] * 2)
    assert found[2] is None and scores_of(PICTURE, specificity=found[3]).specificity is None


@pytest.mark.parametrize(
    ("several", "channels"),
    [
        ((targets([[0, 1]], [[1.0, 1.0]]),), 5),
        ((targets([[0]], [[1.0]]), targets([[1]], [[1.0]])), 5),
        ((targets([[0]], [[1.0]]),), 2),
    ],
    ids=["a mix", "two layers", "two channels"],
)
def test_what_has_no_others_to_stand_out_from_has_no_specificity(
    several: tuple[Targets, ...], channels: int
) -> None:
    assert specificities(np.arange(channels, dtype=np.float32)[None], several) == [None]


def test_a_transparent_picture_lies_on_white() -> None:
    picture = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 51]]], np.uint8)
    assert on_white(picture).tolist() == [[[10, 20, 30], [255, 255, 255], [204, 224, 244]]]
    assert on_white(picture).dtype == np.uint8
    assert on_white(PICTURE) is PICTURE


def test_what_is_transparent_counts_as_white_but_not_as_saturated() -> None:
    opacity = np.where(ROWS < 20, 0, 255).astype(np.uint8) * np.ones((32, 32, 1), np.uint8)
    picture = np.concatenate([np.clip(PICTURE, 20, 235), opacity], axis=2)
    scores = scores_of(picture)
    assert (scores.saturation, scores.flags) == (0.0, ())
    assert scores.contrast == pytest.approx((on_white(picture) / 255).std(), abs=1e-4)
    assert scores_of(np.concatenate([MOSTLY_BLACK, np.full_like(opacity, 255)], axis=2)).flags == (
        "saturated",
    )


def test_a_picture_that_nothing_is_left_of_is_grey() -> None:
    scores = scores_of(np.concatenate([PICTURE, np.zeros((32, 32, 1), np.uint8)], axis=2))
    assert scores.flags == ("grey",) and scores.saturation == 0.0
