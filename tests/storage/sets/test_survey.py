"""How far a set is, from one listing, and without reading what its index knows."""

from dataclasses import replace
from pathlib import Path

import pytest

from diamond_cutter.storage import GcsBucket, LocalBucket, crc32c
from diamond_cutter.storage.bucket import Bucket
from diamond_cutter.storage.sets.layout import (
    run_record_key,
    set_folder,
    shard_record_key,
    spritemap_record_key,
)
from diamond_cutter.storage.sets.records import FileRef, SpritemapRecord
from diamond_cutter.storage.sets.sprite_set import put_fingerprinted
from diamond_cutter.storage.sets.survey import SurveyedShard, SurveyedSprite, survey_set
from tests.storage.gcs_server import GcsServer
from tests.storage.shard_records import LAYER, MODEL, RECIPE, shard_record


@pytest.fixture(params=["local", "gs"])
def bucket(request: pytest.FixtureRequest, gcs_place: GcsServer, tmp_path: Path) -> Bucket:
    return LocalBucket(tmp_path / "bucket") if request.param == "local" else GcsBucket("place")


def put_shard(bucket: Bucket, channels: range, variants: int = 1) -> str:
    key = shard_record_key(MODEL, RECIPE, LAYER, channels)
    data = b"picture of %s" % str(channels).encode()
    record = shard_record(
        channels, put_fingerprinted(bucket, key, data, "webp", crc32c(data)), variants=variants
    )
    bucket.put(key, record.to_bytes())
    return key


def known_of(bucket: Bucket) -> dict[str, SurveyedShard]:
    """Return what an index would know."""
    return dict(survey_set(bucket, MODEL, RECIPE, {}).of(LAYER).shards)


def test_a_set_that_is_not_there(bucket: Bucket) -> None:
    survey = survey_set(bucket, MODEL, RECIPE, {})
    assert (survey.layers, survey.runs, survey.size, survey.updated) == ({}, 0, 0, None)
    assert survey.of(LAYER).owners() == {} and survey.of(LAYER).sprites() == []


def test_what_is_there_is_counted_once(bucket: Bucket) -> None:
    first, second = (
        put_shard(bucket, range(4), variants=2),
        put_shard(bucket, range(2, 6), variants=2),
    )
    bucket.put(run_record_key(MODEL, RECIPE, "01234567"), b"{}")
    survey = survey_set(bucket, MODEL, RECIPE, {})
    layer = survey.of(LAYER)
    assert layer.owners() == {0: first, 1: first, 2: first, 3: first, 4: second, 5: second}
    assert sorted((sprite.channel, sprite.variant) for sprite in layer.sprites()) == [
        (channel, variant) for channel in range(6) for variant in range(2)
    ]
    assert list(survey.layers) == [LAYER]
    assert survey.runs == 1 and survey.size == sum(
        info.size for info in bucket.list(set_folder(MODEL, RECIPE))
    )
    assert layer.damaged == {} and layer.size == survey.size - 2


def test_what_the_index_knows_is_not_read(gcs_place: GcsServer) -> None:
    bucket = GcsBucket("place")
    keys = [put_shard(bucket, range(first, first + 4)) for first in range(0, 40, 4)]
    known = known_of(bucket)
    del known[keys[3]]
    gcs_place.seen.clear()
    survey = survey_set(bucket, MODEL, RECIPE, known)
    assert sorted(survey.of(LAYER).owners()) == list(range(40))
    assert [seen.kind for seen in gcs_place.seen] == ["list", "media"]


def test_what_the_index_knows_of_another_version_is_read_again(bucket: Bucket) -> None:
    key = put_shard(bucket, range(4))
    known = known_of(bucket)
    flagged = tuple(sprite._replace(flagged=True) for sprite in known[key].sprites)
    old = {key: replace(known[key], record_crc32c=known[key].record_crc32c ^ 1, sprites=flagged)}
    assert survey_set(bucket, MODEL, RECIPE, old).of(LAYER).shards == known
    same = {key: replace(known[key], sprites=flagged)}
    assert survey_set(bucket, MODEL, RECIPE, same).of(LAYER).sprites() == [
        SurveyedSprite(channel, 0, True) for channel in range(4)
    ]


@pytest.mark.parametrize("through_index", [False, True])
@pytest.mark.parametrize("damage", ["file gone", "file changed", "record is rubbish"])
def test_damage_is_told(bucket: Bucket, damage: str, through_index: bool) -> None:
    sound, key = put_shard(bucket, range(4, 8)), put_shard(bucket, range(4))
    known = known_of(bucket) if through_index else {}
    file = next(
        info.key for info in bucket.list(key.removesuffix("json")) if info.key.endswith("webp")
    )
    if damage == "file gone":
        bucket.delete(file)
    elif damage == "file changed":
        bucket.put(file, b"picture of nothing", mode="overwrite")
    else:
        bucket.put(key, b"{}", mode="overwrite")
    layer = survey_set(bucket, MODEL, RECIPE, known).of(LAYER)
    assert list(layer.shards) == [sound] and list(layer.damaged) == [key]
    assert ("cannot be read" if damage == "record is rubbish" else file) in layer.damaged[key]


def test_of_several_spritemaps_the_record_tells_which(bucket: Bucket) -> None:
    key = spritemap_record_key(MODEL, RECIPE, LAYER, "all")
    file = put_fingerprinted(bucket, key, b"one", "webp", crc32c(b"one"))
    record = SpritemapRecord(
        model=MODEL,
        recipe=RECIPE,
        layer=LAYER,
        cell_px=8,
        columns=1,
        rows=1,
        sprites=(),
        shards=(),
        file=file,
    )
    bucket.put(key, record.to_bytes())
    assert survey_set(bucket, MODEL, RECIPE, {}).of(LAYER).spritemaps == (file.key,)
    put_fingerprinted(bucket, key, b"left over", "png", crc32c(b"left over"))
    assert survey_set(bucket, MODEL, RECIPE, {}).of(LAYER).spritemaps == (file.key,)
    bucket.put(key, b"rubbish", mode="overwrite")
    assert survey_set(bucket, MODEL, RECIPE, {}).of(LAYER).spritemaps == ()


def test_a_file_of_another_size_is_seen_without_reading_it(gcs_place: GcsServer) -> None:
    bucket = GcsBucket("place")
    key = put_shard(bucket, range(4))
    known = known_of(bucket)
    wrong = {
        key: replace(
            known[key], file=FileRef(key=known[key].file.key, size=1, crc32c=known[key].file.crc32c)
        )
    }
    gcs_place.seen.clear()
    assert list(survey_set(bucket, MODEL, RECIPE, wrong).of(LAYER).damaged) == [key]
    assert [seen.kind for seen in gcs_place.seen] == ["list"]
