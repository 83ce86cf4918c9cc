"""A sprite is compared with photos where both are known."""

import math

import pytest

from diamond_cutter.storage.sets.records import SpriteScores
from diamond_cutter.tasks.rendering.scores import with_photo_ratios
from tests.storage.shard_records import scores


def with_highest(channel: int, highest: float | None, ratio: float | None = None) -> SpriteScores:
    return scores(channel).model_copy(update={"highest_activation": highest, "photo_ratio": ratio})


def test_the_ratio_is_that_of_the_sprites_own_channel() -> None:
    sprites = [scores(2, 0), scores(2, 1), scores(7)]
    assert with_photo_ratios(sprites, {2: 4.0, 7: 9.0}) == (
        sprites[0].model_copy(update={"photo_ratio": 1.5}),
        sprites[1].model_copy(update={"photo_ratio": 1.5}),
        sprites[2].model_copy(update={"photo_ratio": 0.6667}),
    )


def test_what_a_record_says_stays() -> None:
    said = with_highest(1, 6.0, ratio=0.25)
    assert with_photo_ratios([said], {1: 4.0}) == (said,)
    assert with_photo_ratios([said], {}) == (said,)


@pytest.mark.parametrize("on_photos", [None, 0.0, -0.0, -1.0, math.nan, math.inf, -math.inf])
def test_a_channel_that_no_photo_excites_has_no_ratio(on_photos: float | None) -> None:
    known = {} if on_photos is None else {1: on_photos}
    assert with_photo_ratios([scores(1)], known) == (scores(1),)


def test_a_sprite_that_is_not_finite_has_no_ratio() -> None:
    assert with_photo_ratios([with_highest(1, None)], {1: 4.0}) == (with_highest(1, None),)


def test_a_sprite_that_stays_below_zero_has_a_ratio_below_zero() -> None:
    (found,) = with_photo_ratios([with_highest(1, -1.0)], {1: 4.0})
    assert found.photo_ratio == -0.25
