"""A bucket is copied into another one, whole, once, and in an order that shows nothing half."""

from pathlib import Path

import pytest

from diamond_cutter.flows.cli.copies import copy
from diamond_cutter.flows.cli.listing import list_sets
from diamond_cutter.flows.verification import verify
from diamond_cutter.storage import BadKey, Bucket, GcsBucket, LocalBucket, ObjectInfo, Unavailable
from diamond_cutter.storage.bucket import PutMode
from diamond_cutter.storage.sets.layout import claim_key
from tests.flows.made_up_set import RECIPE, finish, made_up_card, put_bundle, put_shard
from tests.storage.gcs_server import GcsServer

MODEL = made_up_card().key
SET = f"sprites/{MODEL}/{RECIPE.key}/"


@pytest.fixture
def source(tmp_path: Path) -> LocalBucket:
    bucket = LocalBucket(tmp_path / "source")
    put_bundle(bucket)
    put_shard(bucket, "stem", tuple(range(32)))
    put_shard(bucket, "block_0", (3, 5))
    finish(bucket, ("stem", "block_0"))
    return bucket


@pytest.fixture(params=["local", "gs"])
def target(request: pytest.FixtureRequest, gcs_place: GcsServer, tmp_path: Path) -> Bucket:
    return (
        LocalBucket(tmp_path / "target") if request.param == "local" else GcsBucket("place", "team")
    )


def contents(bucket: Bucket) -> dict[str, bytes]:
    return {info.key: bucket.get(info.key) for info in bucket.list()}


class Failing(LocalBucket):
    """A bucket that takes so many objects and no more."""

    takes = 0

    def put(self, key: str, data: bytes | Path, *, mode: PutMode = "create") -> ObjectInfo:
        if self.takes == 0:
            raise Unavailable(
                "No space left to keep an object; free some, or give a folder on another disk."
            )
        self.takes -= 1
        return super().put(key, data, mode=mode)


def test_a_copy_is_the_same_and_is_made_once(source: LocalBucket, target: Bucket) -> None:
    told: list[tuple[int, int]] = []
    copied = copy(source, target, on_file=lambda done, of: told.append((done, of)))
    assert contents(target) == contents(source)
    assert (copied.files, copied.bytes, copied.there) == (
        len(contents(source)),
        sum(map(len, contents(source).values())),
        0,
    )
    assert copied.problems == () and copied.rebuilt == ()
    assert told[-1] == (copied.files, copied.files)
    source.put(claim_key("sprites/toy/fast/stem/00000-00031.json"), b"its claim")
    assert verify(target, deep=True).problems == ()
    before = list(target.list())
    again = copy(source, target)
    assert (again.files, again.there, again.problems) == (0, copied.files, ())
    assert list(target.list()) == before


def test_a_copy_comes_back_the_same(source: LocalBucket, target: Bucket, tmp_path: Path) -> None:
    copy(source, target)
    back = LocalBucket(tmp_path / "back")
    copy(target, back)
    assert contents(back) == contents(source)


def test_some_prefixes_are_copied(source: LocalBucket, target: Bucket) -> None:
    copy(source, target, [f"models/{MODEL}/", f"{SET}stem/"])
    wanted = {
        key: data
        for key, data in contents(source).items()
        if key.startswith(("models/", f"{SET}stem/"))
    }
    assert contents(target) == wanted
    with pytest.raises(BadKey):
        copy(source, target, ["../"])


def test_a_copy_that_was_cut_short_shows_nothing_half_and_goes_on(
    source: LocalBucket, tmp_path: Path
) -> None:
    whole = contents(source)
    for takes in range(len(whole)):
        target = Failing(tmp_path / f"target{takes}")
        target.takes = takes
        with pytest.raises(Unavailable):
            copy(source, target)
        assert len(contents(target)) == takes
        said = [problem.key for problem in verify(target).problems]
        # What a copy may lack is what has yet to come, never what a record that is there names.
        assert not [
            key
            for key in said
            if key.endswith((".webp", "graph.pb", "index.parquet")) or "/runs/" in key
        ], said
        target.takes = 1000
        copy(source, target)
        assert contents(target) == whole


def test_a_set_that_both_have_parts_of_is_joined(source: LocalBucket, target: Bucket) -> None:
    put_bundle(target)
    put_shard(target, "block_0", (7, 8, 9))
    finish(target, ("block_0",))
    copied = copy(source, target)
    assert [problem.key.rpartition("/")[2] for problem in copied.problems] == [
        "01234567.json"
    ]  # the run's record, made up to be the same
    assert copied.rebuilt == (SET,)
    (listed,) = list_sets(target)
    assert [(layer.layer, layer.sprites) for layer in listed.layers] == [
        ("stem", 32),
        ("block_0", 5),
    ]
    assert [problem.key for problem in verify(target).problems] == []


def test_what_is_damaged_is_not_spread(source: LocalBucket, target: Bucket, tmp_path: Path) -> None:
    remote = GcsBucket("place", "between")
    copy(source, remote)
    shard = next(
        info.key for info in remote.list(f"{SET}stem/00000-00031.") if info.key.endswith(".webp")
    )

    class Rotten(GcsBucket):
        def get(self, key: str, *, want_crc: int | None = None) -> bytes:
            return super().get(key, want_crc=0 if key == shard else want_crc)

    copied = copy(Rotten("place", "between"), target)
    lost = {problem.key for problem in copied.problems}
    assert (
        shard in lost
        and f"{SET}stem/00000-00031.json" in lost
        and f"{SET}runs/01234567.json" in lost
    )
    assert not lost & set(contents(target))
    (listed,) = list_sets(target)
    assert {layer.layer: layer.sprites for layer in listed.layers}["block_0"] == 2


def test_a_damaged_file_of_the_target_is_mended(source: LocalBucket, target: Bucket) -> None:
    copy(source, target)
    shard = next(
        info.key for info in target.list(f"{SET}stem/00000-00031.") if info.key.endswith(".webp")
    )
    target.put(shard, b"rubbish", mode="overwrite")
    assert copy(source, target).files == 1
    assert contents(target) == contents(source)
