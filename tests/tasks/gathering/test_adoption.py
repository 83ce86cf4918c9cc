"""What another set's recipe draws as the set's own does is copied, whole or not at all, and says
where it comes from.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.storage import Bucket, GcsBucket, LocalBucket
from diamond_cutter.storage.sets.layout import (
    fingerprinted,
    layer_folder,
    recipe_key,
    shard_record_key,
)
from diamond_cutter.storage.sets.records import ShardRecord
from diamond_cutter.storage.sets.sprite_set import read_layer
from diamond_cutter.tasks.gathering.adoption import Adoptable, adopt, find_adoptable
from diamond_cutter.tasks.gathering.task import publish_index
from diamond_cutter.tasks.rendering.recipe import LayerSettings, RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Channels, Mixes, sha256_of
from tests.flows.made_up_set import RECIPE, made_up_card, put_mixes, put_shard
from tests.storage.gcs_server import GcsServer

CARD = made_up_card()
STEM, BLOCK = Channels(layer="stem"), Channels(layer="block_0")
TUNED = RECIPE.model_copy(
    update={
        "name": "tuned",
        "layers": {"block_0": LayerSettings(blur=0.3), "stem": LayerSettings(steps=RECIPE.steps)},
    }
)
AGAIN = TUNED.model_copy(update={"layers": {**TUNED.layers, "stem": LayerSettings(blur=0.3)}})


@pytest.fixture(params=["local", "gs"])
def bucket(request: pytest.FixtureRequest, gcs_place: GcsServer, tmp_path: Path) -> Bucket:
    return LocalBucket(tmp_path / "bucket") if request.param == "local" else GcsBucket("place")


def put(
    bucket: Bucket, recipe: RenderRecipe, layer: str, channels: Sequence[int], **more: Any
) -> str:
    """Keep a shard of a set, and the set's recipe."""
    bucket.put(recipe_key(CARD.key, recipe.key), recipe.to_bytes())
    return put_shard(bucket, layer, channels, recipe=recipe, **more)


def found(
    bucket: Bucket,
    recipe: RenderRecipe,
    subjects: Channels | Mixes = STEM,
    missing: Sequence[int] = range(32),
) -> list[Adoptable]:
    return find_adoptable(bucket, CARD, recipe, {subjects: tuple(missing)})[subjects.name]


def test_a_shard_is_copied_and_says_where_it_comes_from(bucket: Bucket) -> None:
    key = put(bucket, RECIPE, "stem", range(8))
    (shard,) = found(bucket, TUNED, missing=(3, 5, 20))
    assert (shard.record, shard.channels) == (key, tuple(range(8)))
    # A run that was killed after the picture.
    source = ShardRecord.from_bytes(bucket.get(key), key)
    ours, picture = (
        shard_record_key(CARD.key, TUNED.key, "stem", range(8)),
        bucket.get(source.file.key),
    )
    bucket.put(fingerprinted(ours, picture, "webp"), picture)
    assert adopt(bucket, CARD.key, TUNED, shard)
    record = read_layer(bucket, CARD.key, TUNED.key, "stem").sound[ours]
    assert record == source.model_copy(
        update={"recipe": TUNED.key, "file": record.file, "adopted_from": key}
    )
    assert bucket.get(record.file.key) == picture
    # Another run that does the same changes nothing, and a third set knows who rendered the shard.
    before = bucket.stat(ours)
    assert adopt(bucket, CARD.key, TUNED, shard) and bucket.stat(ours) == before
    third = TUNED.model_copy(update={"layers": {"block_0": LayerSettings(blur=0.7)}})
    bucket.put(recipe_key(CARD.key, TUNED.key), TUNED.to_bytes())
    bucket.delete(recipe_key(CARD.key, RECIPE.key))
    (shard,) = found(bucket, third)
    assert shard.record == ours and adopt(bucket, CARD.key, third, shard)
    (again,) = read_layer(bucket, CARD.key, third.key, "stem").sound.values()
    assert again.adopted_from == key


def test_only_what_is_drawn_alike_is_adopted(bucket: Bucket) -> None:
    put(bucket, TUNED, "stem", range(8))
    put(bucket, TUNED, "block_0", range(8))
    assert [
        len(found(bucket, recipe, subjects))
        for recipe in (RECIPE, AGAIN)
        for subjects in (STEM, BLOCK)
    ] == [1, 0, 0, 1]
    assert found(bucket, RECIPE, missing=()) == found(bucket, RECIPE, missing=(8, 9)) == []
    assert (
        found(bucket, RECIPE.model_copy(update={"seed": 1}))
        == found(bucket, RECIPE.model_copy(update={"pre_activation": True}))
        == []
    )
    bucket.put(recipe_key(CARD.key, TUNED.key), b"rubbish", mode="overwrite")
    assert found(bucket, RECIPE) == []


def test_mixes_are_drawn_as_the_recipe_has_it_everywhere(bucket: Bucket) -> None:
    mixes = put_mixes(bucket)
    key = put(bucket, RECIPE, mixes.name, (0, 1))
    record = ShardRecord.from_bytes(bucket.get(key), key).model_copy(
        update={"layer_sha256": sha256_of(CARD, mixes)}
    )
    bucket.put(key, record.to_bytes(), mode="overwrite")
    (shard,) = found(bucket, TUNED, mixes, (1,))
    assert adopt(bucket, CARD.key, TUNED, shard)
    assert read_layer(bucket, CARD.key, TUNED.key, mixes.name).channels() == (0, 1)


def test_what_is_damaged_or_is_not_what_it_seems_is_not_adopted(bucket: Bucket) -> None:
    key = put(bucket, RECIPE, "stem", range(8))
    (shard,) = found(bucket, TUNED)
    record = ShardRecord.from_bytes(bucket.get(key), key)
    for lie in (
        {"layer_sha256": "1" * 64},
        {"layer": "block_0"},
        {"cell_px": 16},
        {"recipe": TUNED.key},
        {"sprites": record.sprites[:2]},
    ):
        bucket.put(key, record.model_copy(update=lie).to_bytes(), mode="overwrite")
        assert not adopt(bucket, CARD.key, TUNED, shard), lie
    bucket.put(key, record.to_bytes(), mode="overwrite")
    bucket.put(record.file.key, b"rubbish", mode="overwrite")
    assert found(bucket, TUNED) == [] and not adopt(bucket, CARD.key, TUNED, shard)
    bucket.delete(key)
    assert found(bucket, TUNED) == [] and not adopt(bucket, CARD.key, TUNED, shard)
    assert not list(bucket.list(layer_folder(CARD.key, TUNED.key, "stem")))


def test_a_set_is_listed_once_and_what_its_index_knows_is_not_read(gcs_place: GcsServer) -> None:
    bucket = GcsBucket("place")
    for first in range(0, 32, 8):
        put(bucket, RECIPE, "stem", range(first, first + 8))
        put(bucket, RECIPE, "block_0", range(first, first + 8))
    publish_index.fn(bucket.url, CARD, RECIPE.key)
    gcs_place.seen.clear()
    assert len(found(bucket, TUNED)) == 4
    kinds = [seen.kind for seen in gcs_place.seen]
    # The names of the sets, then the set; its recipe and its index.
    assert (kinds.count("list"), kinds.count("media"), len(kinds)) == (2, 2, 4)
