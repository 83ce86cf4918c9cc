"""What is in a bucket, and what is wrong with it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.looking import list_sets, verify
from storage import LocalBucket
from tests.flows.made_up_set import RECIPE, finish, made_up_card, put_bundle, put_shard

SET = f"sprites/{made_up_card().key}/{RECIPE.key}/"


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    """Return a bucket with a finished set: all of the stem, a part of block_0."""
    bucket = LocalBucket(tmp_path / "bucket")
    put_bundle(bucket)
    put_shard(bucket, "stem", tuple(range(32)))
    put_shard(bucket, "block_0", (3, 5))
    finish(bucket, ("stem", "block_0"))
    return bucket


def test_an_empty_bucket_has_no_sets_and_no_problems(tmp_path: Path) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    assert list_sets(bucket) == []
    assert (verify(bucket).records, verify(bucket).problems) == (0, ())


def test_a_set_is_listed_in_forward_order(bucket: LocalBucket) -> None:
    (listed,) = list_sets(bucket)
    assert (listed.model, listed.recipe, listed.runs) == (made_up_card().key, RECIPE.key, 1)
    assert [(layer.layer, layer.sprites, layer.channels) for layer in listed.layers] == [("stem", 32, 32), ("block_0", 2, 80)]
    assert [len(layer.spritemaps) for layer in listed.layers] == [1, 1]
    assert listed.bytes == sum(info.size for info in bucket.list(SET))


def test_a_whole_bucket_has_no_problems(bucket: LocalBucket) -> None:
    assert verify(bucket).problems == ()
    assert verify(bucket).records == 8  # the bundle, two shards, two spritemaps, recipe, run, index


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"rubbish", None])
@pytest.mark.parametrize(
    ("ending", "named"),
    [
        ("graph.pb", "graph.pb"),
        ("card.json", "card.json"),
        ("stem/00000-00031.json", "stem/00000-00031.json"),
        ("stem/00000-00031.*.webp", "stem/00000-00031.json"),
        ("stem/spritemap.all.*.webp", "stem/spritemap.all.*.webp"),
        ("stem/spritemap.all.json", "stem/spritemap.all.json"),
        ("recipe.json", "recipe.json"),
        ("runs/*.json", "runs/*.json"),
        ("index.parquet", "index.parquet"),
    ],
)
def test_damage_is_found(bucket: LocalBucket, tmp_path: Path, ending: str, named: str, damage: Callable[[bytes], bytes] | None) -> None:
    (path,) = (tmp_path / "bucket").rglob(ending)
    (expected,) = (str(found.relative_to(tmp_path / "bucket")) for found in (tmp_path / "bucket").rglob(named))
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    found = {problem.key for problem in verify(bucket).problems}
    # Nothing names these two: without them a run has not ended, or its spritemap is not gathered yet.
    unnamed = damage is None and ending in ("runs/*.json", "index.parquet", "stem/spritemap.all.json")
    if damage is None and ending == "stem/00000-00031.json":
        assert any("/runs/" in key for key in found)
    else:
        assert found == (set() if unnamed else {expected})


def test_an_index_that_contradicts_the_records_is_found(bucket: LocalBucket, tmp_path: Path) -> None:
    import io

    import pandas as pd

    (path,) = (tmp_path / "bucket").rglob("index.parquet")
    table = pd.read_parquet(io.BytesIO(path.read_bytes()))
    table.loc[0, "objective"] = 99.0
    table.to_parquet(path)
    assert [(problem.key, problem.problem[:43]) for problem in verify(bucket).problems] == [
        (SET + "index.parquet", "The index contradicts the records of 1 spri")
    ]


def test_an_index_may_lack_what_a_run_that_has_not_ended_has_added(bucket: LocalBucket) -> None:
    put_shard(bucket, "block_0", (7,))
    assert verify(bucket).problems == ()
