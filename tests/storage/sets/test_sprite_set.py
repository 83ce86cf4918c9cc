"""What counts is what a sound record says and a whole file backs; writers that meet agree on one
record.
"""

from pathlib import Path
from threading import Barrier, Thread

import pytest

from diamond_cutter.storage import Conflict, LocalBucket, ObjectInfo, Unavailable, crc32c
from diamond_cutter.storage.bucket import PutMode
from diamond_cutter.storage.sets.layout import layer_folder, shard_record_key, spritemap_record_key
from diamond_cutter.storage.sets.records import FileRef, ShardRecord, SpritemapRecord
from diamond_cutter.storage.sets.sprite_set import (
    LayerShards,
    channels_missing,
    commit,
    is_whole,
    put_fingerprinted,
    read_layer,
    read_record,
)
from tests.storage.shard_records import LAYER, MODEL, RECIPE, scores, shard_record


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def key_of(channels: range) -> str:
    return shard_record_key(MODEL, RECIPE, LAYER, channels)


def kept(
    bucket: LocalBucket, channels: range, data: bytes = b"picture", seconds: float = 1.5
) -> ShardRecord:
    """Put a shard's file into the bucket and return the record that would commit it."""
    return shard_record(
        channels,
        put_fingerprinted(bucket, key_of(channels), data, "webp", crc32c(data)),
        seconds=seconds,
    )


def committed(bucket: LocalBucket, channels: range, data: bytes = b"picture") -> ShardRecord:
    return commit(
        bucket,
        key_of(channels),
        kept(bucket, channels, data),
        lambda theirs: is_whole(bucket, theirs.file),
    )


def refuse(theirs: ShardRecord) -> bool:
    return False


def test_a_file_lies_under_the_hash_of_its_content(bucket: LocalBucket) -> None:
    file = put_fingerprinted(bucket, key_of(range(4)), b"picture", "webp", crc32c(b"picture"))
    assert file.key.startswith(
        layer_folder(MODEL, RECIPE, LAYER) + "00000-00003."
    ) and file.key.endswith(".webp")
    assert bucket.get(file.key, want_crc=file.crc32c) == b"picture"
    assert (
        put_fingerprinted(bucket, key_of(range(4)), b"picture", "webp", crc32c(b"picture")) == file
    )
    assert is_whole(bucket, file)


def test_a_damaged_file_is_replaced(bucket: LocalBucket) -> None:
    file = put_fingerprinted(bucket, key_of(range(4)), b"picture", "webp", crc32c(b"picture"))
    bucket.put(file.key, b"damage", mode="overwrite")
    assert not is_whole(bucket, file)
    assert (
        put_fingerprinted(bucket, key_of(range(4)), b"picture", "webp", crc32c(b"picture")) == file
    )
    assert bucket.get(file.key) == b"picture"


def test_a_committed_record_is_read_back(bucket: LocalBucket) -> None:
    record = committed(bucket, range(4))
    assert read_record(bucket, key_of(range(4)), ShardRecord) == record


def test_a_sound_record_of_another_writer_is_adopted(bucket: LocalBucket) -> None:
    theirs = committed(bucket, range(4), b"theirs")
    before = bucket.stat(key_of(range(4)))
    assert committed(bucket, range(4), b"ours") == theirs
    assert bucket.stat(key_of(range(4))) == before


def test_a_record_whose_file_is_gone_is_replaced(bucket: LocalBucket) -> None:
    theirs = committed(bucket, range(4), b"theirs")
    bucket.delete(theirs.file.key)
    ours = committed(bucket, range(4), b"ours")
    assert ours.file != theirs.file
    assert read_record(bucket, key_of(range(4)), ShardRecord) == ours


@pytest.mark.parametrize("damage", [b"", b"{}", b"\x00\x01"])
def test_a_record_that_cannot_be_read_is_replaced(bucket: LocalBucket, damage: bytes) -> None:
    bucket.put(key_of(range(4)), damage)
    assert read_record(bucket, key_of(range(4)), ShardRecord) is None
    ours = committed(bucket, range(4))
    assert read_record(bucket, key_of(range(4)), ShardRecord) == ours


def test_a_record_that_is_not_there_is_none(bucket: LocalBucket) -> None:
    assert read_record(bucket, key_of(range(4)), ShardRecord) is None


def test_two_writers_at_once_agree(bucket: LocalBucket) -> None:
    for turn in range(25):
        channels = range(turn, turn + 4)
        records = [kept(bucket, channels, b"picture", seconds) for seconds in (1.0, 2.0)]
        barrier, found = Barrier(2), {}

        def write(
            index: int,
            channels: range = channels,
            records: list = records,
            barrier: Barrier = barrier,
            found: dict = found,
        ) -> None:
            barrier.wait()
            found[index] = commit(
                bucket,
                key_of(channels),
                records[index],
                lambda theirs: is_whole(bucket, theirs.file),
            )

        threads = [Thread(target=write, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found[0] == found[1] == read_record(bucket, key_of(channels), ShardRecord)
        assert found[0] in records


class Meddled(LocalBucket):
    """A bucket in which another writer acts right before each of the first puts of a record."""

    def __init__(self, root: Path, others: list[bytes | None]) -> None:
        super().__init__(root)
        self.others = others

    def put(
        self, key: str, data: bytes | Path, *, mode: PutMode = "create", **options: str | None
    ) -> ObjectInfo:
        if key.endswith(".json") and self.others:
            other = self.others.pop(0)
            if other is None:
                super().delete(key)
            else:
                super().put(key, other, mode="overwrite")
        return super().put(key, data, mode=mode, **options)


def test_a_damaged_record_that_another_mends_meanwhile_is_adopted(tmp_path: Path) -> None:
    bucket = Meddled(tmp_path / "bucket", [])
    theirs = kept(bucket, range(4), seconds=9.0)
    bucket.others = [b"damage", theirs.to_bytes()]
    assert committed(bucket, range(4)) == theirs


def test_a_record_that_another_removes_meanwhile_is_written(tmp_path: Path) -> None:
    bucket = Meddled(tmp_path / "bucket", [b"damage", None])
    ours = committed(bucket, range(4))
    assert ours.seconds == 1.5
    assert read_record(bucket, key_of(range(4)), ShardRecord) == ours


def test_a_record_that_others_keep_replacing_is_given_up(tmp_path: Path) -> None:
    bucket = Meddled(tmp_path / "bucket", [f"damage {turn}".encode() for turn in range(100)])
    with pytest.raises(
        Unavailable,
        match=r"^key '\S+' was replaced by other writers 5 times in a row\. Run the same",
    ):
        committed(bucket, range(4))


def test_a_record_that_does_not_count_is_replaced(bucket: LocalBucket) -> None:
    committed(bucket, range(4))
    ours = kept(bucket, range(4), seconds=7.0)
    assert commit(bucket, key_of(range(4)), ours, refuse) == ours
    with pytest.raises(Conflict):
        bucket.put(key_of(range(4)), b"other")


def test_a_layer_is_read_through_its_records(bucket: LocalBucket) -> None:
    shards = {
        key_of(channels): committed(bucket, channels, str(channels).encode())
        for channels in (range(4), range(4, 8))
    }
    kept(bucket, range(8, 12), b"without a record")
    file = put_fingerprinted(
        bucket, spritemap_record_key(MODEL, RECIPE, LAYER, "all"), b"map", "webp", crc32c(b"map")
    )
    spritemap = SpritemapRecord(
        model=MODEL,
        recipe=RECIPE,
        layer=LAYER,
        cell_px=8,
        columns=1,
        rows=1,
        sprites=(scores(0),),
        shards=(),
        file=file,
    )
    bucket.put(spritemap_record_key(MODEL, RECIPE, LAYER, "all"), spritemap.to_bytes())
    bucket.put(shard_record_key(MODEL, RECIPE, LAYER + "0", range(4)), b"of another layer")
    layer = read_layer(bucket, MODEL, RECIPE, LAYER)
    assert (dict(layer.sound), dict(layer.damaged)) == (shards, {})
    assert channels_missing([9, 0, 8, 7], layer.channels()) == (8, 9)


def test_an_empty_layer_has_nothing(bucket: LocalBucket) -> None:
    layer = read_layer(bucket, MODEL, RECIPE, LAYER)
    assert layer == LayerShards({}) and layer.places() == {} and layer.channels() == ()


@pytest.mark.parametrize("damage", [None, b"", b"pictur", b"picturf", b"pictures"])
def test_a_damaged_file_takes_its_shard_away(bucket: LocalBucket, damage: bytes | None) -> None:
    whole, spoiled = committed(bucket, range(4), b"other"), committed(bucket, range(4, 8))
    if damage is None:
        bucket.delete(spoiled.file.key)
    else:
        bucket.put(spoiled.file.key, damage, mode="overwrite")
    layer = read_layer(bucket, MODEL, RECIPE, LAYER)
    assert dict(layer.sound) == {key_of(range(4)): whole}
    assert layer.damaged == {
        key_of(range(4, 8)): f"shard {spoiled.file.key} is missing or differs from its record. "
        "Repeat the run to render it again."
    }
    assert channels_missing(range(8), layer.channels()) == (4, 5, 6, 7)


@pytest.mark.parametrize("damage", [b"", b'{"version": 1', b"[]"])
def test_a_damaged_record_takes_its_shard_away(bucket: LocalBucket, damage: bytes) -> None:
    committed(bucket, range(4))
    bucket.put(key_of(range(4)), damage, mode="overwrite")
    layer = read_layer(bucket, MODEL, RECIPE, LAYER)
    assert not layer.sound and list(layer.damaged) == [key_of(range(4))]
    assert layer.damaged[key_of(range(4))].startswith(f"record {key_of(range(4))} cannot be read")


def test_of_two_shards_with_a_channel_the_first_by_key_counts(bucket: LocalBucket) -> None:
    committed(bucket, range(4, 8), b"later")
    committed(bucket, range(6), b"first")
    layer = read_layer(bucket, MODEL, RECIPE, LAYER)
    places = layer.places()
    assert list(places) == [(channel, 0) for channel in range(8)] and layer.channels() == tuple(
        range(8)
    )
    assert [places[channel, 0].record_key for channel in (4, 5, 6)] == [key_of(range(6))] * 2 + [
        key_of(range(4, 8))
    ]
    assert [places[channel, 0].cell for channel in (0, 5, 6, 7)] == [0, 5, 2, 3]
    assert all(place.scores.channel == channel for (channel, _), place in places.items())


def test_variants_of_a_channel_lie_behind_each_other_and_come_from_one_shard() -> None:
    file = FileRef(key="a.webp", size=1, crc32c=1)
    layer = LayerShards(
        {"b": shard_record([7, 2], file, variants=3), "a": shard_record([9, 2], file, variants=2)}
    )
    places = layer.places()
    assert list(places) == [(2, 0), (2, 1), (7, 0), (7, 1), (7, 2), (9, 0), (9, 1)]
    assert [(place.record_key, place.cell) for place in places.values()] == [
        ("a", 2),
        ("a", 3),
        ("b", 0),
        ("b", 1),
        ("b", 2),
        ("a", 0),
        ("a", 1),
    ]
    assert all(
        (place.scores.channel, place.scores.variant) == sprite for sprite, place in places.items()
    )
    assert layer.channels() == (2, 7, 9)
    assert channels_missing([9, 3, 2, 2, 1], layer.channels()) == (1, 3)
