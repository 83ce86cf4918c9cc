"""Records are closed and come back as they were; what is none is refused in a sentence."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from diamond_cutter.storage import Corrupt, LocalBucket, ObjectInfo, crc32c
from diamond_cutter.storage.sets.records import (
    FLAGS,
    FileRef,
    Record,
    RunRecord,
    ShardRecord,
    SpritemapRecord,
    SpriteScores,
)
from tests.storage.shard_records import LAYER, MODEL, RECIPE, scores, shard_record

FILE = FileRef(key="a/b.webp", size=3, crc32c=7)
SHARD = shard_record([4, 2, 9], FILE)
SPRITEMAP = SpritemapRecord(
    model=MODEL,
    recipe=RECIPE,
    layer=LAYER,
    cell_px=8,
    columns=1,
    rows=2,
    sprites=(scores(1), scores(2)),
    shards=(FILE,),
    file=FILE,
)
RUN = RunRecord(
    model=MODEL,
    recipe=RECIPE,
    selection={LAYER: (1, 2)},
    shards=("a",),
    spritemaps=("b",),
    sprites=2,
    flagged={"dead": 1},
    failures=("one failed",),
    finished=datetime(2026, 1, 2, tzinfo=UTC),
)


@pytest.mark.parametrize(
    "record", [SHARD, SPRITEMAP, RUN], ids=lambda record: type(record).__name__
)
def test_a_record_survives_json(record: Record) -> None:
    data = record.to_bytes()
    assert type(record).from_bytes(data, "key") == record
    assert json.loads(data)["version"] == 1
    assert data.endswith(b"}\n") and type(record).from_bytes(data, "key").to_bytes() == data


def test_a_sprite_without_numbers_survives_json() -> None:
    bare = SpriteScores(
        channel=1,
        objective=None,
        highest_activation=None,
        contrast=0,
        saturation=0,
        checkerboard=0,
        flags=("not_finite",),
    )
    assert (bare.variant, bare.specificity, bare.photo_ratio, bare.rung) == (0, None, None, "first")
    record = SHARD.model_copy(update={"sprites": (bare,)})
    assert ShardRecord.from_bytes(record.to_bytes(), "key").sprites == (bare,)


def test_all_that_is_known_of_a_sprite_survives_json() -> None:
    full = SpriteScores(
        channel=1,
        variant=3,
        objective=1.5,
        highest_activation=2.0,
        specificity=-4.25,
        photo_ratio=1.0625,
        contrast=0.25,
        saturation=0.5,
        checkerboard=1.5,
        flags=FLAGS,
        rung="pre-activation",
    )
    record = SHARD.model_copy(update={"sprites": (full,), "photos": "photos/1a2b3c4d.json"})
    assert ShardRecord.from_bytes(record.to_bytes(), "key") == record


def test_a_channel_may_have_several_variants() -> None:
    record = shard_record([4, 2], FILE, variants=3)
    assert ShardRecord.from_bytes(record.to_bytes(), "key") == record
    assert [(sprite.channel, sprite.variant) for sprite in record.sprites] == [
        (4, 0),
        (4, 1),
        (4, 2),
        (2, 0),
        (2, 1),
        (2, 2),
    ]


def changed(**fields: object) -> bytes:
    return json.dumps(json.loads(SHARD.to_bytes()) | fields).encode()


def test_what_is_no_record_is_corrupt() -> None:
    for data, why in [
        (b"", "at its beginning"),
        (b"{", "at its beginning"),
        (b"\xff\x00", "at its beginning"),
        (b"[]", "at its beginning"),
        (SHARD.to_bytes()[:-20], "at its beginning"),
        (b"{}", "Field required at model"),
        (changed(flavour="sweet"), "Extra inputs are not permitted at flavour"),
        (changed(version=2), "at version"),
        (changed(sprites=[]), "at sprites"),
        (changed(columns="many"), "at columns"),
        (changed(file={"key": "a", "size": 1}), "Field required at file.crc32c"),
        (
            changed(sprites=[json.loads(scores(1).model_dump_json()) | {"flags": ["ugly"]}]),
            "at sprites.0.flags.0",
        ),
        (
            changed(sprites=[json.loads(scores(1).model_dump_json()) | {"rung": "luck"}]),
            "at sprites.0.rung",
        ),
        (
            changed(sprites=[json.loads(scores(1, 2).model_dump_json())] * 2),
            "the record lists a sprite twice",
        ),
    ]:
        with pytest.raises(Corrupt) as caught:
            ShardRecord.from_bytes(data, "sprites/a.json")
        text = str(caught.value)
        assert text.startswith("record sprites/a.json cannot be read (") and text.endswith(
            "). Repeat the run to write it again."
        )
        assert why in text and "\n" not in text and len(text) < 300


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        SHARD.columns = 5  # type: ignore[misc]


class Unread(LocalBucket):
    """A bucket whose listing must be enough."""

    def get(self, key: str, *, want_crc: int | None = None) -> bytes:
        raise AssertionError(f"{key} was read")


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def test_a_file_is_whole_with_its_size_and_checksum(bucket: LocalBucket) -> None:
    file = FileRef.of(bucket.put("a/b.webp", b"abc"), crc32c(b"abc"))
    assert (file.key, file.size) == ("a/b.webp", 3)
    assert file.is_whole_in(bucket, bucket.stat(file.key))


@pytest.mark.parametrize("spoiled", [b"", b"ab", b"abd", b"abcd"])
def test_a_damaged_file_is_not_whole(bucket: LocalBucket, spoiled: bytes) -> None:
    file = FileRef.of(bucket.put("a/b.webp", b"abc"), crc32c(b"abc"))
    bucket.put("a/b.webp", spoiled, mode="overwrite")
    assert not file.is_whole_in(bucket, bucket.stat(file.key))


def test_a_missing_file_is_not_whole(bucket: LocalBucket) -> None:
    file = FileRef.of(bucket.put("a/b.webp", b"abc"), crc32c(b"abc"))
    listed = bucket.stat(file.key)
    bucket.delete(file.key)
    assert not file.is_whole_in(bucket, None)
    assert not file.is_whole_in(bucket, listed)


def test_a_listed_checksum_is_believed_without_reading(tmp_path: Path) -> None:
    bucket = Unread(tmp_path / "bucket")
    listed: ObjectInfo = replace(bucket.put("a/b.webp", b"abc"), crc32c=crc32c(b"abc"))
    assert FileRef.of(listed, crc32c(b"abc")).is_whole_in(bucket, listed)
    assert not FileRef.of(listed, 5).is_whole_in(bucket, listed)


def test_a_file_is_read_again_if_that_is_requested(bucket: LocalBucket) -> None:
    listed = replace(bucket.put("a/b.webp", b"abc"), crc32c=crc32c(b"abc"))
    file = FileRef.of(listed, crc32c(b"abc"))
    assert file.is_whole_in(bucket, listed, reread=True)
    bucket.put("a/b.webp", b"abd", mode="overwrite")
    assert file.is_whole_in(bucket, listed)
    assert not file.is_whole_in(bucket, listed, reread=True)
