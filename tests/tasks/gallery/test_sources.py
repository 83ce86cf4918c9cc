"""What a gallery shows of a layer is what its sound spritemaps hold."""

import dataclasses
from pathlib import Path

import pytest

from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import layer_folder, spritemap_record_key
from diamond_cutter.storage.sets.records import FileRef, SpritemapRecord
from diamond_cutter.tasks.gallery.sources import (
    LayerSource,
    lossless_places,
    read_source,
    read_sources,
)
from diamond_cutter.tasks.gathering.contents import read_settings
from diamond_cutter.tasks.rendering.subjects import Mix, Mixes, Term, group_label
from tests.flows.made_up_set import RECIPE, made_up_card, put_mixes, put_shard
from tests.tasks.gallery.made_up_gallery import MODEL, publish, put_layer, scores

CARD = made_up_card()
TERM = Term(layer="stem", channels=(1,), weights=(1.0,))


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def source_of(bucket: LocalBucket, layer: str = "stem") -> LayerSource:
    return read_source(bucket, MODEL, RECIPE.key, layer, CARD)


def shown(source: LayerSource) -> list[tuple[int, int, int, int]]:
    return [
        (sprite.scores.channel, sprite.scores.variant, sprite.spritemap, sprite.cell)
        for sprite in source.sprites
    ]


def replace(bucket: LocalBucket, record: SpritemapRecord, **changes: object) -> None:
    key = spritemap_record_key(MODEL, RECIPE.key, record.layer, "all")
    bucket.put(key, record.model_copy(update=changes).to_bytes(), mode="overwrite")


def test_layers_come_in_network_order_and_mixes_behind_them(bucket: LocalBucket) -> None:
    mixes = put_mixes(bucket).name
    for layer in (mixes, "unknown", "block_0", "stem"):
        put_layer(bucket, layer, [scores(0), scores(1)])
    sources = list(read_sources(bucket, MODEL, RECIPE.key, CARD))
    assert [source.layer for source in sources] == ["stem", "block_0", mixes, "unknown"]
    assert [source.known is None for source in sources] == [False, False, True, True]
    assert sources[2].labels == ("stem and block", "[red]層\x1b[31m")


def test_parts_are_put_together_and_the_largest_is_shown(bucket: LocalBucket) -> None:
    put_layer(bucket, "stem", [scores(channel) for channel in (0, 1, 2)], part="00000-00002")
    put_layer(bucket, "stem", [scores(channel) for channel in (2, 7)], part="00002-00007.01234567")
    assert shown(source_of(bucket)) == [(0, 0, 0, 0), (1, 0, 0, 1), (2, 0, 0, 2), (7, 0, 1, 1)]
    put_layer(bucket, "stem", [scores(channel) for channel in range(8)])
    assert len(source_of(bucket).spritemaps) == 1
    assert shown(source_of(bucket)) == [(channel, 0, 0, channel) for channel in range(8)]


def test_variants_stand_behind_each_other(bucket: LocalBucket) -> None:
    put_layer(bucket, "stem", [scores(3), scores(3, variant=1), scores(1), scores(1, variant=1)])
    assert shown(source_of(bucket)) == [(1, 0, 0, 2), (1, 1, 0, 3), (3, 0, 0, 0), (3, 1, 0, 1)]


@pytest.mark.parametrize(
    "changes",
    [
        {"cell_px": 0},
        {"columns": 0},
        {"columns": -1},
        {"rows": 9},
        {"sprites": ()},
        {"layer": "block_0"},
        {"model": "other@01234567"},
    ],
)
def test_a_record_that_makes_no_sense_is_not_shown(
    bucket: LocalBucket, changes: dict[str, object]
) -> None:
    record = put_layer(bucket, "stem", [scores(0), scores(1)])
    key = spritemap_record_key(MODEL, RECIPE.key, "stem", "all")
    bucket.put(key, record.model_copy(update=changes).to_bytes(), mode="overwrite")
    assert source_of(bucket).sprites == ()
    assert list(read_sources(bucket, MODEL, RECIPE.key, CARD)) == []


@pytest.mark.parametrize(
    "key",
    [
        "index.html",
        "models/secret.png",
        "../../etc/passwd",
        "sprites/other/set/stem/spritemap.all.png",
    ],
)
def test_only_pictures_of_the_layers_own_folder_are_shown(bucket: LocalBucket, key: str) -> None:
    record = put_layer(bucket, "stem", [scores(0), scores(1)])
    replace(bucket, record, file=record.file.model_copy(update={"key": key}))
    assert source_of(bucket).sprites == ()


def test_a_spritemap_that_is_gone_or_cut_short_is_not_shown(
    bucket: LocalBucket, tmp_path: Path
) -> None:
    record = put_layer(bucket, "stem", [scores(0), scores(1)])
    (tmp_path / "bucket" / record.file.key).write_bytes(b"short")
    assert source_of(bucket).sprites == ()
    bucket.delete(record.file.key)
    assert source_of(bucket).sprites == ()


def test_lossless_cells_are_those_the_spritemap_was_gathered_from(bucket: LocalBucket) -> None:
    put_layer(bucket, "stem", [scores(9), scores(2)])
    places = lossless_places(bucket, source_of(bucket))
    assert {key: place.cell for key, place in places.items()} == {(2, 0): 1, (9, 0): 0}
    assert places[2, 0].shard.file.key.startswith(
        layer_folder(MODEL, RECIPE.key, "stem") + "00002-00009."
    )


@pytest.mark.parametrize(
    "key",
    [
        "../../secret.webp",
        "sprites/a/b/other/00000-00001.0123456789abcdef.webp",
        "index.html",
        layer_folder(MODEL, RECIPE.key, "stem") + "<é>.0123456789abcdef.webp",
        layer_folder(MODEL, RECIPE.key, "stem") + "/00000-00001.0123456789abcdef.webp",
    ],
)
def test_a_shard_elsewhere_is_none_of_the_layers(bucket: LocalBucket, key: str) -> None:
    record = put_layer(bucket, "stem", [scores(0), scores(1)])
    replace(bucket, record, shards=(FileRef(key=key, size=1, crc32c=1),))
    assert lossless_places(bucket, source_of(bucket)) == {}


def test_what_the_files_are_made_of_changes_with_the_records_only(bucket: LocalBucket) -> None:
    record = put_layer(bucket, "stem", [scores(0), scores(1)])
    before = source_of(bucket).content
    put_layer(bucket, "block_0", [scores(0)])
    assert source_of(bucket).content == before
    replace(bucket, record, sprites=(scores(0), scores(1, photo_ratio=0.5)))
    assert source_of(bucket).content != before


def test_a_recipe_is_the_one_that_the_set_is_named_after(bucket: LocalBucket) -> None:
    assert read_settings(bucket, MODEL, RECIPE.key) is None
    publish(bucket)
    assert read_settings(bucket, MODEL, RECIPE.key) == RECIPE
    assert read_settings(bucket, MODEL, "other@01234567") is None


def test_shards_without_a_spritemap_are_shown_from_themselves(bucket: LocalBucket) -> None:
    put_layer(bucket, "stem", [scores(channel) for channel in (0, 1)], part="00000-00001")
    put_shard(bucket, "stem", (1, 2))
    source = source_of(bucket)
    assert source.in_progress and len(source.spritemaps) == len(source.loose) == 1
    assert [(channel, place) for channel, _, place, _ in shown(source)] == [(0, 0), (1, 0), (2, 1)]
    assert source.content == replace_loose(source).content  # a layer in progress adds no files


def replace_loose(source: LayerSource) -> LayerSource:
    return dataclasses.replace(source, loose=(), sprites=source.sprites[:2])


def test_the_mixes_of_a_report_are_known_by_their_labels(bucket: LocalBucket) -> None:
    groups = Mixes(
        mixes=tuple(Mix(label=group_label("stem", number), terms=(TERM,)) for number in range(2))
    )
    elsewhere = Mix(label=group_label("block_0", 0), terms=(TERM,))
    assert groups.are_groups and not elsewhere.is_group
    assert not Mix(label="stem:1", terms=(TERM,)).is_group
