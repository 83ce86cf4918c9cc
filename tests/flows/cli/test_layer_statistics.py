"""A layer's sprites in numbers: what is counted, and how scores lie."""

import math
from pathlib import Path

import numpy as np
import pytest

from diamond_cutter.flows.cli.layer_statistics import (
    LayerReport,
    distribution,
    report_layer,
)
from diamond_cutter.model_inventory.card import ClassLabel
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.records import SCORES, SpriteScores
from tests.flows.made_up_set import RECIPE, finish, made_up_card, put_bundle, put_mixes, put_shard
from tests.storage.shard_records import scores

CARD = made_up_card()


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    bucket = LocalBucket(tmp_path / "bucket")
    put_bundle(bucket)
    return bucket


def report(bucket: LocalBucket, layer: str, card: object = CARD) -> LayerReport:
    return report_layer(bucket, CARD.key, RECIPE.key, layer, card)  # type: ignore[arg-type]


def with_objective(value: float | None, channel: int = 0, **fields: object) -> SpriteScores:
    return scores(channel).model_copy(update={"objective": value, **fields})


def test_a_distribution_has_quartiles_and_counts_in_equal_parts() -> None:
    values = np.random.default_rng(0).gamma(2, size=101)
    found = distribution("objective", [with_objective(float(value)) for value in values])
    assert found is not None and found.sprites == 101
    five = [found.minimum, found.lower_quartile, found.median, found.upper_quartile, found.maximum]
    np.testing.assert_allclose(five, np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
    assert found.histogram == tuple(np.histogram(values, bins=16)[0])


@pytest.mark.parametrize("score", SCORES)
def test_each_score_has_its_own_distribution(score: str) -> None:
    sprites = [scores(0).model_copy(update={score: value}) for value in (3.0, 1.0, 2.0)]
    found = distribution(score, sprites)  # type: ignore[arg-type]
    assert found is not None and (found.score, found.minimum, found.median, found.maximum) == (
        score,
        1.0,
        2.0,
        3.0,
    )


@pytest.mark.parametrize("value", [0.0, -2.5, 1e300, 1e-300])
def test_equal_values_lie_in_one_part(value: float) -> None:
    found = distribution("objective", [with_objective(value)] * 3)
    assert found is not None and found.minimum == found.median == found.maximum == value
    assert found.histogram == (3,) + (0,) * 15


def test_values_that_are_hardly_different_lie_at_both_ends() -> None:
    value = 1e16
    found = distribution(
        "objective", [with_objective(value), with_objective(math.nextafter(value, math.inf))]
    )
    assert found is not None and (
        found.histogram[0],
        found.histogram[-1],
        sum(found.histogram),
    ) == (1, 1, 2)


def test_sprites_without_the_score_are_left_out() -> None:
    sprites = [with_objective(value) for value in (None, 1.0, math.nan, math.inf, 3.0)]
    found = distribution("objective", sprites)
    assert found is not None and (found.sprites, found.minimum, found.maximum) == (2, 1.0, 3.0)
    assert distribution("photo_ratio", sprites) is None and distribution("objective", []) is None


def test_sprites_flags_and_rungs_are_counted(bucket: LocalBucket) -> None:
    sprites = [
        with_objective(1.0, 0),
        with_objective(2.0, 1, flags=("saturated", "checkerboard")),
        with_objective(3.0, 2, rung="seed"),
        with_objective(None, 3, flags=("not_finite",), rung="none"),
    ]
    put_shard(bucket, "block_0", (0, 1, 2, 3), scores=sprites)
    found = report(bucket, "block_0")
    assert (
        found.sprites,
        found.channels_done,
        found.channels,
        found.flagged,
        found.damaged_shards,
    ) == (4, 4, 80, 2, 0)
    assert found.flags == {"dead": 0, "grey": 0, "saturated": 1, "checkerboard": 1, "not_finite": 1}
    assert found.rungs == {"first": 2, "seed": 1, "none": 1}
    assert found.key == f"sprites/{CARD.key}/{RECIPE.key}/block_0/"
    assert (found.median("objective"), found.median("photo_ratio")) == (2.0, None)


def test_the_weakest_and_strongest_channels_are_those_of_their_best_picture(
    bucket: LocalBucket,
) -> None:
    values = {
        0: (1.0, 9.0),
        1: (2.0, None),
        2: (None, None),
        3: (-4.0, -5.0),
        4: (7.0, 7.0),
        5: (3.0, 0.0),
        6: (5.0, 6.0),
    }
    sprites = [
        with_objective(value, channel, variant=variant)
        for channel, pair in values.items()
        for variant, value in enumerate(pair)
    ]
    put_shard(bucket, "stem", tuple(values), variants=2, scores=sprites)
    found = report(bucket, "stem")
    assert [(line.scores.channel, line.scores.variant) for line in found.strongest] == [
        (0, 1),
        (4, 0),
        (6, 1),
        (5, 0),
        (1, 0),
    ]
    assert [(line.scores.channel, line.scores.variant) for line in found.weakest] == [
        (2, 0),
        (3, 0),
        (1, 0),
        (5, 0),
        (6, 1),
    ]
    assert {line.label for line in found.strongest} == {None}


def test_a_layer_of_few_channels_is_weak_and_strong_at_once(bucket: LocalBucket) -> None:
    put_shard(bucket, "stem", (4, 7))
    found = report(bucket, "stem")
    assert [line.scores.channel for line in found.strongest] == [7, 4] and [
        line.scores.channel for line in found.weakest
    ] == [4, 7]


def test_mixes_and_classes_bear_their_names(bucket: LocalBucket) -> None:
    mixes = put_mixes(bucket)
    put_shard(bucket, mixes.name, (0, 1))
    found = report(bucket, mixes.name)
    assert (found.channels_done, found.channels) == (2, 2)
    assert [(line.scores.channel, line.label) for line in found.weakest] == [
        (0, mixes.mixes[0].label),
        (1, mixes.mixes[1].label),
    ]
    put_shard(bucket, "stem", (0, 1, 2))
    classes = (ClassLabel(name="cat"), ClassLabel(name="dog"))
    card = CARD.model_copy(update={"logits_tensor": CARD.layers[0].tensor, "labels": classes})
    assert [line.label for line in report(bucket, "stem", card).weakest] == ["cat", "dog", None]
    assert report(bucket, "stem", None).channels is None


def test_photos_that_came_later_are_read_from_the_spritemaps(bucket: LocalBucket) -> None:
    from diamond_cutter.tasks.gathering.task import gather_spritemap

    put_shard(
        bucket,
        "stem",
        (0, 1, 2),
        scores=[with_objective(1.0, 0, photo_ratio=0.25), scores(1), scores(2)],
    )
    gather_spritemap.fn(bucket.url, CARD, RECIPE.key, "stem", (0, 1), "png", {0: 1.0, 1: 4.0})
    found = next(
        found for found in report(bucket, "stem").distributions if found.score == "photo_ratio"
    )
    assert (found.sprites, found.minimum, found.maximum) == (2, 0.25, 1.5)


def test_damaged_shards_are_counted(bucket: LocalBucket) -> None:
    put_shard(bucket, "stem", (0, 1))
    key = put_shard(bucket, "stem", (2, 3))
    bucket.put(key, b"rubbish", mode="overwrite")
    found = report(bucket, "stem")
    assert (found.sprites, found.damaged_shards) == (2, 1)


def test_a_layer_without_sprites_has_no_numbers(bucket: LocalBucket) -> None:
    put_shard(bucket, "stem", (0, 1))
    finish(bucket, ("stem",))
    found = report(bucket, "block_0")
    assert (found.sprites, found.distributions, found.weakest, found.strongest, found.rungs) == (
        0,
        (),
        (),
        (),
        {},
    )
