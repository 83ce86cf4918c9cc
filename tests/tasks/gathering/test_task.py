"""A layer's spritemap and a set's index are made of what the records say, and of photos where there
are any.
"""

from pathlib import Path

import pandas as pd
import pytest

from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import layer_folder, spritemap_record_key
from diamond_cutter.storage.sets.records import SpritemapRecord
from diamond_cutter.storage.sets.sprite_set import read_record
from diamond_cutter.tasks.gathering.spritemap import SpritesMissing
from diamond_cutter.tasks.gathering.task import gather_spritemap, publish_index
from tests.flows.made_up_set import RECIPE, made_up_card, put_mixes, put_shard

CARD = made_up_card()


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def gathered(
    bucket: LocalBucket, layer: str, channels: tuple[int, ...], **options: object
) -> SpritemapRecord:
    record: SpritemapRecord = gather_spritemap.fn(
        bucket.url, CARD, RECIPE.key, layer, channels, "png", **options
    )
    return record


def test_all_variants_of_the_channels_are_gathered_in_order(bucket: LocalBucket) -> None:
    put_shard(bucket, "stem", (9, 2), variants=3)
    put_shard(bucket, "stem", (4,), variants=3)
    record = gathered(bucket, "stem", (2, 9))
    assert [(sprite.channel, sprite.variant) for sprite in record.sprites] == [
        (2, 0),
        (2, 1),
        (2, 2),
        (9, 0),
        (9, 1),
        (9, 2),
    ]
    assert (record.columns, record.rows, record.layer) == (2, 3, "stem")
    assert gathered(bucket, "stem", (2, 9)) == record


def test_channels_without_sprites_are_counted_and_named(bucket: LocalBucket) -> None:
    put_shard(bucket, "stem", (9, 2), variants=2)
    with pytest.raises(
        SpritesMissing,
        match=r"^stem lacks 2 of 3 sprites, the first of channel 3\. Run the same command",
    ):
        gathered(bucket, "stem", (2, 3, 4))


def test_a_spritemap_is_gathered_anew_when_photos_came_since(bucket: LocalBucket) -> None:
    put_shard(bucket, "stem", (2, 9))
    before = gathered(bucket, "stem", (2, 9))
    assert [sprite.photo_ratio for sprite in before.sprites] == [None, None]
    after = gathered(bucket, "stem", (2, 9), photo_highest={2: 4.0, 9: 0.0})
    assert [sprite.photo_ratio for sprite in after.sprites] == [1.5, None]
    assert after.file == before.file
    (key,) = (
        info.key
        for info in bucket.list(layer_folder(CARD.key, RECIPE.key, "stem") + "spritemap.")
        if info.key.endswith(".json")
    )
    assert read_record(bucket, key, SpritemapRecord) == after
    assert gathered(bucket, "stem", (2, 9), photo_highest={2: 4.0, 9: 0.0}) == after


def test_a_spritemap_of_all_mixes_is_named_so(bucket: LocalBucket) -> None:
    name = put_mixes(bucket).name
    put_shard(bucket, name, (0, 1))
    record = gathered(bucket, name, (0, 1), out_of=2)
    assert (
        read_record(
            bucket, spritemap_record_key(CARD.key, RECIPE.key, name, "all"), SpritemapRecord
        )
        == record
    )
    part = gathered(bucket, name, (0,), out_of=2)
    assert (
        read_record(
            bucket, spritemap_record_key(CARD.key, RECIPE.key, name, "00000-00000"), SpritemapRecord
        )
        == part
    )


def test_the_index_holds_layers_in_forward_order_and_mixes_behind_them(
    bucket: LocalBucket, tmp_path: Path
) -> None:
    name = put_mixes(bucket).name
    for layer, channels in ((name, (1, 0)), ("block_0", (3,)), ("stem", (2,))):
        put_shard(bucket, layer, channels, variants=2)
    key = publish_index.fn(bucket.url, CARD, RECIPE.key, {"block_0": {3: 4.0}})
    table = pd.read_parquet(tmp_path / "bucket" / key)
    rows = [("stem", 2), ("block_0", 3), (name, 0), (name, 1)]
    assert list(zip(table["layer"], table["channel"], table["variant"], strict=True)) == [
        (*row, variant) for row in rows for variant in (0, 1)
    ]
    assert table["photo_ratio"].dropna().to_dict() == {2: 1.5, 3: 1.5}
    publish_index.fn(bucket.url, CARD, RECIPE.key)
    assert pd.read_parquet(tmp_path / "bucket" / key)["photo_ratio"].isna().all()
