"""A gallery says what runs could not render, as long as nobody has rendered it."""

from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import run_record_key
from diamond_cutter.tasks.gallery.contents import ShownFailure
from diamond_cutter.tasks.gallery.sources import read_sprites
from tests.flows.made_up_set import RECIPE, made_up_card, put_mixes, put_shard
from tests.tasks.gallery.made_up_gallery import FAILURE, MODEL, put_failed_run

CARD = made_up_card()


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def failures(bucket: LocalBucket) -> tuple[ShownFailure, ...]:
    return read_sprites(bucket, MODEL, RECIPE.key, CARD).failures


def test_what_failed_is_told_with_the_reason_and_the_command(bucket: LocalBucket) -> None:
    put_shard(bucket, "block_0", tuple(range(32)))
    source = read_sprites(bucket, MODEL, RECIPE.key, CARD)
    assert source.in_progress and source.failures == ()
    put_failed_run(bucket, "01234567")
    source = read_sprites(bucket, MODEL, RECIPE.key, CARD)
    (failure,) = source.failures
    assert (failure.channels, failure.sprites, failure.why) == (tuple(range(32, 40)), 8, (FAILURE,))
    assert failure.retry == ("--layers", "block_0", "--channels", "0:40", "--retry-failed")
    assert not source.in_progress and source.layers[0].in_progress


def test_what_was_rendered_since_did_not_fail(bucket: LocalBucket) -> None:
    put_failed_run(bucket, "01234567")
    put_shard(bucket, "block_0", (32, 33, 34, 36))
    (failure,) = failures(bucket)
    assert failure.channels == (35, 37, 38, 39)
    put_shard(bucket, "block_0", (35, 37, 38, 39))
    # The shards are not gathered yet, and a run is at work on that.
    put_failed_run(
        bucket, "01234568", selection={"stem": (0,)}, failed={"stem": (0,)}, failures=("stem",)
    )
    assert [failure.layer for failure in failures(bucket)] == ["stem"]
    assert read_sprites(bucket, MODEL, RECIPE.key, CARD).in_progress


def test_sprites_that_could_not_be_gathered(bucket: LocalBucket) -> None:
    put_shard(bucket, "stem", tuple(range(32)))
    why = "spritemap of stem: no space"
    put_failed_run(bucket, "01234567", selection={"stem": range(32)}, failed={}, failures=(why,))
    (failure,) = failures(bucket)
    assert (failure.channels, failure.sprites, failure.why) == ((), 0, (why,))
    assert failure.retry == ("--layers", "stem", "--retry-failed")


@pytest.mark.parametrize(
    ("selection", "retry"),
    [
        ({"stem": range(32), "block_0": range(80)}, "--layers stem block_0 --retry-failed"),
        (
            {"stem": (1, 2, 5, 9), "block_0": (1, 2, 5, 9)},
            "--layers stem block_0 --channels 1:3,5,9 --retry-failed",
        ),
        # As the runs of reports select them.
        ({"stem": (1, 2), "block_0": (3,)}, "--layers block_0 --channels 32:40"),
    ],
)
def test_the_command_selects_what_the_run_selected(
    bucket: LocalBucket, selection: dict[str, Any], retry: str
) -> None:
    put_failed_run(bucket, "01234567", selection=selection)
    (failure,) = failures(bucket)
    assert " ".join(failure.retry) == retry


def test_of_mixes_there_is_no_command(bucket: LocalBucket) -> None:
    name = put_mixes(bucket).name
    why = (f"{name} 0-1: failed", f"{name}: failed")
    put_failed_run(
        bucket, "01234567", selection={name: (0, 1)}, failed={name: (0, 1)}, failures=why
    )
    (failure,) = failures(bucket)
    assert (failure.layer, failure.sprites, failure.retry) == (name, 2, ())
    assert failure.why == why


def test_the_last_run_counts_and_few_sentences_are_shown(bucket: LocalBucket) -> None:
    put_failed_run(bucket, "01234567", age_h=2, failures=("block_0 channels 32-39: older",))
    many = tuple(f"block_0 channels {channel}-{channel}: newer" for channel in range(32, 40))
    put_failed_run(bucket, "01234568", failures=many)
    put_failed_run(bucket, "01234569", age_h=1, failed={}, failures=())
    bucket.put(run_record_key(MODEL, RECIPE.key, "0123456a"), b"rubbish")
    (failure,) = failures(bucket)
    assert failure.why == many[:3]
