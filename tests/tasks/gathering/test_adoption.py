"""Sprites are copied from sets that draw a layer alike, of the same model or of another with an
equal layer. They are copied as a whole or not at all, and the record says where they come from.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, GcsBucket, LocalBucket, crc32c
from diamond_cutter.storage.sets.layout import (
    card_key,
    fingerprinted,
    layer_folder,
    recipe_key,
    shard_record_key,
)
from diamond_cutter.storage.sets.records import FileRef, ShardRecord
from diamond_cutter.storage.sets.sprite_set import put_fingerprinted, read_layer
from diamond_cutter.tasks.gathering.adoption import Adoptable, adopt, find_adoptable
from diamond_cutter.tasks.gathering.contents import models_with_sets
from diamond_cutter.tasks.gathering.task import publish_index
from diamond_cutter.tasks.importing.stored import read_card
from diamond_cutter.tasks.rendering.recipe import LayerSettings, RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Channels, Mix, Mixes, Term, sha256_of
from diamond_cutter.tasks.sheets import encode_lossless
from tests.flows.made_up_set import RECIPE, made_up_card, put_bundle, put_mixes, put_shard
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


def changed_card(model: str = "retrained", layer: str = "block_0", **changes: Any) -> ModelCard:
    """Return the card of another model, in which one layer differs: by its hash if not told."""
    layers = tuple(
        each.model_copy(update=changes or {"sha256": "1" * 64}) if each.name == layer else each
        for each in CARD.layers
    )
    return CARD.model_copy(update={"name": model, "graph_sha256": "1" * 64, "layers": layers})


OTHER = changed_card()


@pytest.fixture(params=["local", "gs"])
def bucket(request: pytest.FixtureRequest, gcs_place: GcsServer, tmp_path: Path) -> Bucket:
    return LocalBucket(tmp_path / "bucket") if request.param == "local" else GcsBucket("place")


def put(
    bucket: Bucket,
    recipe: RenderRecipe,
    layer: str,
    channels: Sequence[int],
    model: str = CARD.key,
    **more: Any,
) -> str:
    """Keep a shard of a set, and the set's recipe."""
    bucket.put(recipe_key(model, recipe.key), recipe.to_bytes())
    return put_shard(bucket, layer, channels, recipe=recipe, model=model, **more)


def found(
    bucket: Bucket,
    recipe: RenderRecipe,
    subjects: Channels | Mixes = STEM,
    missing: Sequence[int] = range(32),
    card: ModelCard = CARD,
) -> list[Adoptable]:
    wanted = {subjects: tuple(missing)}

    def others() -> list[ModelCard | None]:
        return [read_card(bucket, model) for model in models_with_sets(bucket)]

    return find_adoptable(bucket, card, recipe, wanted, others)[subjects.name]


def changed_record(bucket: Bucket, key: str, **changes: Any) -> ShardRecord:
    """Replace a record by one that says something else."""
    record = ShardRecord.from_bytes(bucket.get(key), key).model_copy(update=changes)
    bucket.put(key, record.to_bytes(), mode="overwrite")
    return record


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


def test_an_equal_layer_of_another_model_is_adopted_and_no_other(bucket: Bucket) -> None:
    put_bundle(bucket)
    key = put(bucket, RECIPE, "stem", range(8))
    put(bucket, RECIPE, "block_0", range(8))
    source = changed_record(bucket, key, photos="models/made-up/photos")
    scores = tuple(each.model_copy(update={"photo_ratio": 2.0}) for each in source.sprites)
    changed_record(bucket, key, sprites=scores)
    assert found(bucket, RECIPE, BLOCK, card=OTHER) == []
    (shard,) = found(bucket, RECIPE, card=OTHER)
    assert shard.record == key and adopt(bucket, OTHER.key, RECIPE, shard)
    (ours,) = read_layer(bucket, OTHER.key, RECIPE.key, "stem").sound.values()
    # The ratios compare with photos that were measured for the other model.
    said = {"model": OTHER.key, "file": ours.file, "adopted_from": key, "photos": None}
    assert ours == source.model_copy(update=said)
    assert bucket.get(ours.file.key) == bucket.get(source.file.key)
    assert [len(found(bucket, recipe, card=OTHER)) for recipe in (TUNED, AGAIN)] == [1, 0]


@pytest.mark.parametrize(
    "other",
    [
        changed_card(layer="stem"),
        changed_card(layer="stem", name="conv1"),
        changed_card(layer="stem", any_size=False),
        changed_card(layer="stem", tensor="stem:1"),
        changed_card(layer="stem", channels=16),
        *(
            OTHER.model_copy(update={"image": CARD.image.model_copy(update=change)})
            for change in (
                {"value_range": ((-1.0, 1.0),)},
                {"channel_order": "bgr"},
                {"height": 64},
            )
        ),
    ],
)
def test_a_layer_that_is_computed_in_another_way_is_not_adopted(
    other: ModelCard, tmp_path: Path
) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    bucket.put(card_key(other.key), other.model_dump_json().encode())
    put(bucket, RECIPE, "stem", range(8), model=other.key)
    assert found(bucket, RECIPE) == []


def test_the_models_own_sets_come_first_and_unreadable_cards_count_as_none(
    tmp_path: Path,
) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    put_bundle(bucket)
    theirs = [put(bucket, RECIPE, "stem", channels) for channels in (range(8), range(8, 16))]
    own = put(bucket, TUNED, "stem", range(8), model=OTHER.key)
    records = [shard.record for shard in found(bucket, RECIPE, card=OTHER)]
    assert records == [own, theirs[1]]
    bucket.put(card_key(CARD.key), b"rubbish", mode="overwrite")
    assert [shard.record for shard in found(bucket, RECIPE, card=OTHER)] == [own]


def test_mixes_are_adopted_from_another_model_only_if_all_their_layers_are_equal(
    tmp_path: Path,
) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    put_bundle(bucket)
    term = Term(layer="stem", channels=(1, 2), weights=(1.0, 0.5))
    equal = Mixes(mixes=(Mix(label="in the stem", terms=(term,)),))
    for mixes in (put_mixes(bucket), equal):
        key = put(bucket, RECIPE, mixes.name, range(len(mixes.mixes)))
        changed_record(bucket, key, layer_sha256=sha256_of(CARD, mixes))
        offers = found(bucket, RECIPE, mixes, range(len(mixes.mixes)), OTHER)
        assert len(offers) == (mixes == equal)
        assert all(adopt(bucket, OTHER.key, RECIPE, shard) for shard in offers)
    assert read_layer(bucket, OTHER.key, RECIPE.key, equal.name).channels() == (0,)


def test_channels_that_the_layer_lacks_and_pictures_of_another_size_are_not_adopted(
    tmp_path: Path,
) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    put_bundle(bucket)
    assert put(bucket, RECIPE, "stem", (30, 31, 32)) and found(bucket, RECIPE, card=OTHER) == []
    key = put(bucket, RECIPE, "stem", range(8), variants=2)
    assert found(bucket, RECIPE, card=OTHER) == []
    bucket.delete(key)
    key = put(bucket, RECIPE, "stem", range(8))
    record = ShardRecord.from_bytes(bucket.get(key), key)
    whole = bucket.get(record.file.key)
    small = encode_lossless(np.zeros((32, 32, 3), np.uint8))
    for picture in (b"rubbish", small, whole[: len(whole) // 2], whole):
        file: FileRef = put_fingerprinted(bucket, key, picture, "webp", crc32c(picture))
        changed_record(bucket, key, file=file)
        (shard,) = found(bucket, RECIPE, card=OTHER)
        assert adopt(bucket, OTHER.key, RECIPE, shard) == (picture == whole)
        if picture == whole:
            changed_record(bucket, key, columns=0)
            assert not adopt(bucket, OTHER.key, RECIPE, shard)


def test_of_other_models_only_cards_are_read_until_a_layer_is_equal(gcs_place: GcsServer) -> None:
    bucket = GcsBucket("place")
    put_bundle(bucket)
    for different in (changed_card("different", "stem"), changed_card("other", "stem")):
        bucket.put(card_key(different.key), different.model_dump_json().encode())
        put(bucket, RECIPE, "stem", range(8), model=different.key)
    put(bucket, RECIPE, "stem", range(8))
    put(bucket, AGAIN, "stem", range(8))
    publish_index.fn(bucket.url, CARD, RECIPE.key)
    gcs_place.seen.clear()
    assert len(found(bucket, RECIPE, card=OTHER)) == 1
    kinds = [seen.kind for seen in gcs_place.seen]
    # The names of the model's sets, of all models, and of the equal model's sets; then one set. Of
    # files, three cards, two recipes and an index.
    assert (kinds.count("list"), kinds.count("media"), len(kinds)) == (4, 6, 10)
    # No card is read if the model's own sets have everything.
    gcs_place.seen.clear()
    assert found(bucket, TUNED, missing=range(8))
    assert [seen.kind for seen in gcs_place.seen].count("list") == 2
