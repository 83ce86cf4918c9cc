"""What is wrong with a sprite is said of it."""

import math

import numpy as np
import pytest

from tasks.rendering.scores import score_sprite

NOISE = np.random.default_rng(0).integers(64, 192, (32, 32, 3), np.uint8)
GREY = np.full((32, 32, 3), 128, np.uint8)
HALF_BLACK = np.where(np.arange(32)[:, None, None] < 15, 0, NOISE).astype(np.uint8)
MOSTLY_BLACK = np.where(np.arange(32)[:, None, None] < 17, 0, NOISE).astype(np.uint8)


@pytest.mark.parametrize(
    ("picture", "objective", "highest", "flags"),
    [
        (NOISE, 1.5, 3.0, ()),
        (NOISE, 0.0, 0.0, ("dead",)),
        (NOISE, -1.0, -0.5, ("dead",)),
        (NOISE, -1.0, 0.5, ()),
        (GREY, 1.5, 3.0, ("grey",)),
        (GREY, 0.0, 0.0, ("dead", "grey")),
        (HALF_BLACK, 1.5, 3.0, ()),
        (MOSTLY_BLACK, 1.5, 3.0, ("saturated",)),
        (255 - np.zeros_like(GREY), 1.5, 3.0, ("grey", "saturated")),
        (NOISE, math.nan, 3.0, ("not_finite",)),
        (NOISE, 1.5, math.inf, ("not_finite",)),
        (NOISE, 0.0, -math.inf, ("not_finite",)),
    ],
)
def test_a_sprite_is_flagged_for_what_it_is(picture: np.ndarray, objective: float, highest: float, flags: tuple[str, ...]) -> None:
    assert score_sprite(7, picture, objective, highest).flags == flags


def test_the_scores_are_those_of_the_picture() -> None:
    scores = score_sprite(7, MOSTLY_BLACK, 1.23456789, 2.5)
    assert (scores.channel, scores.objective, scores.highest_activation) == (7, 1.234568, 2.5)
    assert scores.contrast == pytest.approx((MOSTLY_BLACK / 255).std(), abs=1e-4)
    assert scores.saturation == pytest.approx(17 / 32, abs=1e-4)


def test_what_is_not_finite_is_no_number() -> None:
    scores = score_sprite(7, NOISE, math.nan, 3.0)
    assert (scores.objective, scores.highest_activation) == (None, None)
