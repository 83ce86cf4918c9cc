"""What is in a bucket, and what is wrong with it."""

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from diamond_cutter.flows.cli.listing import list_sets
from diamond_cutter.flows.verification import verify
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import (
    card_key,
    mixes_key,
    photo_activations_key,
    preset_key,
)
from diamond_cutter.storage.sets.records import PhotoActivations
from diamond_cutter.tasks.tuning.preset import Preset, add_layer
from tests.flows.made_up_set import RECIPE, finish, made_up_card, put_bundle, put_mixes, put_shard
from tests.storage.shard_records import scores
from tests.tasks.tuning.test_preset import tuning

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
    layers = [
        (layer.layer, layer.sprites, layer.channels_done, layer.channels) for layer in listed.layers
    ]
    assert layers == [("stem", 32, 32, 32), ("block_0", 2, 2, 80)]
    assert [len(layer.spritemaps) for layer in listed.layers] == [1, 1]
    assert listed.bytes == sum(info.size for info in bucket.list(SET))


def test_a_whole_bucket_has_no_problems(bucket: LocalBucket) -> None:
    assert verify(bucket).problems == ()
    assert verify(bucket).records == 8  # the bundle, two shards, two spritemaps, recipe, run, index


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"rubbish", None]
)
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
def test_damage_is_found(
    bucket: LocalBucket,
    tmp_path: Path,
    ending: str,
    named: str,
    damage: Callable[[bytes], bytes] | None,
) -> None:
    (path,) = (tmp_path / "bucket").rglob(ending)
    (expected,) = (
        str(found.relative_to(tmp_path / "bucket")) for found in (tmp_path / "bucket").rglob(named)
    )
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    found = {problem.key for problem in verify(bucket).problems}
    # Nothing names these two: without them a run has not ended, or its spritemap is not gathered
    # yet.
    unnamed = damage is None and ending in ("runs/*.json", "stem/spritemap.all.json")
    if damage is None and ending == "stem/00000-00031.json":
        assert any("/runs/" in key for key in found)
    else:
        assert found == (set() if unnamed else {expected})


def change_index(bucket: Path, **fields: object) -> None:
    """Change the first row of the index, as a version may have written it that kept no record of
    the index.
    """
    (path,) = bucket.rglob("index.parquet")
    path.with_name("index.parquet.json").unlink()
    table = pd.read_parquet(io.BytesIO(path.read_bytes()))
    for name, value in fields.items():
        table.loc[0, name] = value
    table.to_parquet(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"objective": 99.0},
        {"checkerboard": 0.75, "flag_checkerboard": True},
        {"rung": "seed"},
        {"cell": 7},
    ],
)
def test_an_index_that_contradicts_the_records_is_found(
    bucket: LocalBucket, tmp_path: Path, fields: dict[str, object]
) -> None:
    change_index(tmp_path / "bucket", **fields)
    assert [(problem.key, problem.problem[:43]) for problem in verify(bucket).problems] == [
        (SET + "index.parquet", "The index contradicts the records of 1 spri")
    ]


def test_an_index_may_compare_with_photos_that_came_after_the_shards(
    bucket: LocalBucket, tmp_path: Path
) -> None:
    change_index(tmp_path / "bucket", photo_ratio=0.75)
    assert verify(bucket).problems == ()


def test_an_index_may_not_contradict_a_ratio_that_the_record_has(tmp_path: Path) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    put_bundle(bucket)
    put_shard(bucket, "stem", (0,), scores=[scores(0).model_copy(update={"photo_ratio": 0.5})])
    finish(bucket, ("stem",))
    assert verify(bucket).problems == ()
    change_index(tmp_path / "bucket", photo_ratio=0.75)
    assert [problem.key for problem in verify(bucket).problems] == [SET + "index.parquet"]


def test_variants_are_counted_as_sprites_of_their_channel(tmp_path: Path) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    put_bundle(bucket)
    put_shard(bucket, "stem", (0, 3), variants=3)
    finish(bucket, ("stem",))
    (layer,) = list_sets(bucket)[0].layers
    assert (layer.sprites, layer.channels_done, layer.channels) == (6, 2, 32)
    assert verify(bucket).problems == ()


def with_mixes(bucket: LocalBucket) -> str:
    """Add sprites of two mixes to the set, and return the mixes' name."""
    name = put_mixes(bucket).name
    put_shard(bucket, name, (0, 1))
    finish(bucket, ("stem", "block_0", name))
    return name


def test_mixes_are_listed_behind_the_layers(bucket: LocalBucket) -> None:
    name = with_mixes(bucket)
    layers = [(layer.layer, layer.sprites, layer.channels) for layer in list_sets(bucket)[0].layers]
    assert layers == [("stem", 32, 32), ("block_0", 2, 80), (name, 2, 2)]
    assert verify(bucket).problems == ()
    assert verify(bucket).records == 11  # as before, and the mixes, their shard, their spritemap


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:40], lambda data: b"", lambda data: data.replace(b"0.5", b"0.75"), None],
)
def test_mixes_that_are_not_those_of_their_folder_are_found(
    bucket: LocalBucket, tmp_path: Path, damage: Callable[[bytes], bytes] | None
) -> None:
    name = with_mixes(bucket)
    path = tmp_path / "bucket" / mixes_key(made_up_card().key, RECIPE.key, name)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    assert [problem.key for problem in verify(bucket).problems] == [f"{SET}{name}/mixes.json"]
    assert [layer.channels for layer in list_sets(bucket)[0].layers] == [32, 80, None]


def test_a_layer_may_be_named_like_mixes(tmp_path: Path) -> None:
    bucket, card = LocalBucket(tmp_path / "bucket"), made_up_card()
    named = card.model_copy(
        update={"layers": (card.layers[0].model_copy(update={"name": "mixes.0123abcd"}),)}
    )
    put_bundle(bucket)
    bucket.put(card_key(card.key), named.model_dump_json().encode(), mode="overwrite")
    put_shard(bucket, "mixes.0123abcd", (0, 1))
    finish(bucket, ())
    assert verify(bucket).problems == ()
    assert [layer.channels for layer in list_sets(bucket)[0].layers] == [32]


@pytest.mark.parametrize("folder", ["=FF", "=61bc", "runs.2", "a"])
def test_folders_that_no_run_has_made_do_no_harm(bucket: LocalBucket, folder: str) -> None:
    bucket.put(f"{SET}{folder}/notes.txt", b"mine")
    assert verify(bucket).problems == ()
    listed = {layer.layer: layer.sprites for layer in list_sets(bucket)[0].layers}
    assert listed in ({"stem": 32, "block_0": 2}, {"stem": 32, "block_0": 2, folder: 0})


def test_records_of_photos_are_checked(bucket: LocalBucket) -> None:
    model = made_up_card().key
    record = PhotoActivations(
        model=model, layer="stem", photos="holiday@01234567", images=3, highest=(1.0,) * 32
    )
    key = photo_activations_key(model, record.photos, "stem", pre_activation=False)
    bucket.put(key, record.to_bytes())
    assert (verify(bucket).problems, verify(bucket).records) == ((), 9)
    other = photo_activations_key(model, record.photos, "block_0", pre_activation=False)
    bucket.put(other, record.to_bytes())
    bucket.put(key, b"{}", mode="overwrite")
    assert [problem.key for problem in verify(bucket).problems] == [other, key]


def test_presets_are_checked(bucket: LocalBucket) -> None:
    model = made_up_card().key
    key = preset_key(model)
    add_layer(bucket, model, RECIPE, None, tuning("stem"))
    assert (verify(bucket).problems, verify(bucket).records) == ((), 9)
    for damage, word in (
        (b"", "cannot be read"),
        (b"{}", "cannot be read"),
        (bucket.get(key)[:-9], "cannot be read"),
        (bucket.get(key).replace(b'"scale": null', b'"scale": []'), "cannot be read"),
        (
            Preset(model="other@01234567", start=RECIPE, budget_s=None).to_bytes(),
            "it is the preset of other@01234567",
        ),
    ):
        bucket.put(key, damage, mode="overwrite")
        (problem,) = verify(bucket).problems
        assert problem.key == key and word in problem.problem
    # As the problem says, tuning mends it.
    add_layer(bucket, model, RECIPE, None, tuning("stem"))
    assert verify(bucket).problems == ()


def test_an_index_may_lack_what_a_run_that_has_not_ended_has_added(bucket: LocalBucket) -> None:
    put_shard(bucket, "block_0", (7,))
    assert verify(bucket).problems == ()
