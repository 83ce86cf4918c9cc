"""What nothing names is found and, if that is asked for, deleted; a set is removed whole."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from diamond_cutter.flows.cli.listing import list_sets
from diamond_cutter.flows.cli.removal import collect, find_folder, remove_folder
from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.verification import verify
from diamond_cutter.storage import Bucket, LocalBucket, crc32c
from diamond_cutter.storage.sets.layout import (
    card_key,
    claim_key,
    gallery_key,
    graph_key,
    new_scratch_key,
    shard_record_key,
    spritemap_record_key,
)
from diamond_cutter.storage.sets.sprite_set import put_fingerprinted
from diamond_cutter.tasks.gallery.task import publish_gallery
from tests.flows.made_up_set import RECIPE, finish, made_up_card, put_bundle, put_shard

MODEL = made_up_card().key
SET = f"sprites/{MODEL}/{RECIPE.key}/"


def tomorrow() -> datetime:
    """Return when what is written now is older than a day."""
    return datetime.now(UTC) + timedelta(days=1, hours=1)


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    bucket = LocalBucket(tmp_path / "bucket")
    put_bundle(bucket)
    put_shard(bucket, "stem", tuple(range(32)))
    finish(bucket, ("stem",))
    publish_gallery.fn(bucket.url, made_up_card(), RECIPE.key)
    return bucket


def leave(bucket: Bucket) -> dict[str, str]:
    """Leave behind what killed runs, replaced records and removed models do; return why each file
    is not needed.
    """
    unborn = put_fingerprinted(
        bucket,
        shard_record_key(MODEL, RECIPE.key, "block_0", range(8)),
        b"killed",
        "webp",
        crc32c(b"killed"),
    )
    older = put_fingerprinted(
        bucket,
        spritemap_record_key(MODEL, RECIPE.key, "stem", "all"),
        b"older",
        "webp",
        crc32c(b"older"),
    )
    bucket.put(graph_key("gone@01234567"), b"a graph")
    claim = claim_key(shard_record_key(MODEL, RECIPE.key, "block_0", range(8)))
    bucket.put(claim, b"killed")
    bucket.put(f"{SET}gallery.0123456789abcdef.js", b"older")
    bucket.put(f"{SET}stem/gallery.0123456789abcdef.webp", b"older")
    return {
        unborn.key: " is missing",
        claim: "its run ended",
        older.key: "its record names",
        graph_key("gone@01234567"): "the model has no card",
        f"{SET}gallery.0123456789abcdef.js": "does not show it",
        f"{SET}stem/gallery.0123456789abcdef.webp": "does not show it",
    }


def test_a_whole_bucket_has_nothing_to_collect(bucket: LocalBucket) -> None:
    for name in ("notes.txt", "sprites/mine", f"{SET}notes.json", f"{SET}stem/notes.webp"):
        bucket.put(name, b"a person's own")
    assert collect(bucket, delete=True, now=tomorrow()).leftovers == ()


def test_what_is_left_over_is_told_and_then_deleted(bucket: LocalBucket) -> None:
    needed = {info.key for info in bucket.list()}
    left = leave(bucket)
    assert collect(bucket, delete=True).leftovers == ()  # it may be needed yet
    found = collect(bucket, now=tomorrow())
    assert {each.key for each in found.leftovers} == set(left)
    assert all(left[each.key] in each.why for each in found.leftovers)
    assert (found.deleted, found.bytes) == (0, sum(each.bytes for each in found.leftovers))
    assert {info.key for info in bucket.list()} == needed | set(left)
    assert collect(bucket, delete=True, now=tomorrow()).deleted == len(left)
    assert {info.key for info in bucket.list()} == needed
    assert verify(bucket).problems == ()


def test_old_words_of_a_set_are_deleted_once_no_open_page_may_read_them(
    bucket: LocalBucket, tmp_path: Path
) -> None:
    before = {info.key for info in bucket.list()}
    page = gallery_key(MODEL, RECIPE.key)
    (old,) = re.findall(rb'"words": "(.+?)\.js"', bucket.get(page))
    for path in (tmp_path / "bucket").rglob("*"):
        os.utime(path, (0, 0))  # the set is old, and the new layer is not
    put_shard(bucket, "block_0", tuple(range(8)))
    finish(bucket, ("stem", "block_0"))
    publish_gallery.fn(bucket.url, made_up_card(), RECIPE.key)
    needed = {info.key for info in bucket.list()}
    words = {f"{SET}{old.decode()}.{suffix}" for suffix in ("js", "json")}
    assert words < before < needed
    assert collect(bucket).leftovers == ()
    found = collect(bucket, delete=True, now=tomorrow())
    assert {each.key for each in found.leftovers} == words and found.deleted == 2
    assert {info.key for info in bucket.list()} == needed - words
    assert verify(bucket).problems == ()


def test_beside_a_record_that_cannot_be_read_nothing_is_touched(bucket: LocalBucket) -> None:
    record = spritemap_record_key(MODEL, RECIPE.key, "stem", "all")
    put_fingerprinted(bucket, record, b"older", "webp", crc32c(b"older"))
    bucket.put(record, b"rubbish", mode="overwrite")
    assert collect(bucket, now=tomorrow()).leftovers == ()


def test_what_is_needed_again_by_then_stays(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = leave(bucket)
    unborn = next(key for key in left if "block_0" in key)
    delete = LocalBucket.stat

    def committed(self: LocalBucket, key: str) -> object:
        if key == f"{SET}block_0/00000-00007.json" and delete(self, key) is None:
            put_shard(self, "block_0", tuple(range(8)))
            record = self.get(key).decode()
            current = next(
                info.key
                for info in self.list(key.removesuffix("json"))
                if info.key.endswith(".webp") and info.key != unborn
            )
            self.put(key, record.replace(current, unborn).encode(), mode="overwrite")
        return delete(self, key)

    monkeypatch.setattr(LocalBucket, "stat", committed)
    assert collect(bucket, delete=True, now=tomorrow()).deleted == len(left) - 1
    assert bucket.get(unborn) == b"killed"


@pytest.mark.parametrize("given", [SET, SET.rstrip("/"), f"{MODEL}/{RECIPE.key}", "url"])
def test_a_set_is_removed_and_nothing_else(bucket: LocalBucket, given: str) -> None:
    found = find_folder(bucket, f"{bucket.url}/{SET}" if given == "url" else given)
    assert found.key == SET and found.files == len(list(bucket.list(SET)))
    assert remove_folder(bucket, found.key) == found
    assert list_sets(bucket) == []
    assert [info.key for info in bucket.list()] == [card_key(MODEL), graph_key(MODEL)]


@pytest.mark.parametrize(
    "given", ["", "sprites", f"sprites/{MODEL}", f"{SET}stem", "sprites/other/set", "../"]
)
def test_what_is_no_set_is_not_removed(bucket: LocalBucket, given: str) -> None:
    before = list(bucket.list())
    with pytest.raises(RequestError, match=f"found '{SET}'"):
        find_folder(bucket, given)
    assert list(bucket.list()) == before


def test_a_removal_that_was_cut_short_leaves_no_set_that_looks_whole(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete, deleted = LocalBucket.delete, 0

    def killed(self: LocalBucket, key: str, **options: object) -> None:
        nonlocal deleted
        if deleted == 4:
            raise KeyboardInterrupt
        deleted += 1
        delete(self, key)

    monkeypatch.setattr(LocalBucket, "delete", killed)
    with pytest.raises(KeyboardInterrupt):
        remove_folder(bucket, SET)
    (listed,) = list_sets(bucket)
    assert listed.runs == 0
    monkeypatch.setattr(LocalBucket, "delete", delete)
    remove_folder(bucket, find_folder(bucket, SET).key)
    assert list_sets(bucket) == []


def test_the_object_of_a_killed_doctor_is_found(tmp_path: Path) -> None:
    bucket = LocalBucket(tmp_path)
    left, kept = new_scratch_key(), "scratch-of-mine"
    for key in (left, kept):
        bucket.put(key, b"x")
    assert not collect(bucket).leftovers
    (found,) = collect(bucket, delete=True, now=tomorrow()).leftovers
    assert (found.key, found.why) == (left, "a killed doctor left it")
    assert [info.key for info in bucket.list()] == [kept]
