"""Sprites of a model whose last layers were trained again: only changed layers are rendered."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import set_folder
from diamond_cutter.storage.sets.records import ShardRecord
from diamond_cutter.storage.sets.sprite_set import read_layer
from diamond_cutter.tasks.gathering.adoption import Adoptable
from diamond_cutter.tasks.gathering.task import adopt_shards
from diamond_cutter.tasks.importing.stored import keep_bundle
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from tests.flows.conftest import SMALL, Command
from tests.toy_network import CHANNELS, LAYERS, toy_bundle, toy_weights

pytestmark = pytest.mark.prefect

RECIPE = RenderRecipe(size_px=32, steps=4, ladder=(), input_sides=1)
RENDERED = LAYERS[:3]
SHARED, CHANGED = RENDERED[:2], RENDERED[2:]
IN_SHARED, IN_CHANGED = (sum(CHANNELS[name] for name in names) for names in (SHARED, CHANGED))


def shards(folder: Path, model: Bundle) -> dict[str, tuple[str, ShardRecord, bytes]]:
    """Return the key and the record of the only shard of each layer, with its picture."""
    bucket, found = LocalBucket(folder), dict[str, tuple[str, ShardRecord, bytes]]()
    for layer in RENDERED:
        for key, record in read_layer(bucket, model.card.key, RECIPE.key, layer).sound.items():
            assert layer not in found
            found[layer] = key, record, bucket.get(record.file.key)
    return found


def adopt_one_and_end(url: str, model: str, recipe: RenderRecipe, found: list[Adoptable]) -> bool:
    """Copy one shard, as a run that is interrupted between two copies."""
    adopt_shards(url, model, recipe, found[:1])
    raise KeyboardInterrupt


def spoil(folder: Path, old: Bundle) -> None:
    """Let the record of one shared layer lie about its hash, and damage the other's picture."""
    (key, record, _), (_, other, picture) = (shards(folder, old)[layer] for layer in SHARED)
    lie = record.model_copy(update={"layer_sha256": "1" * 64})
    (folder / key).write_bytes(lie.to_bytes())
    (folder / other.file.key).write_bytes(picture[: len(picture) // 2])


def test_only_changed_layers_are_rendered_and_the_copies_equal_fresh_sprites(
    toy: Bundle, at_once: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(name: str, folder: Path, *arguments: str) -> dict[str, Any]:
        done = at_once(name, *arguments, "--bucket", str(folder), "--json")
        assert done.returncode == 0, done.stderr
        printed: dict[str, Any] = json.loads(done.stdout)
        return printed

    # The names of nodes differ as well, and they do not count.
    weights = {**toy_weights(), "third/kernel": toy_weights(seed=1)["third/kernel"]}
    trained = toy_bundle(weights, name="trained", scope="copy")
    bucket, of_all = tmp_path / "bucket", ("--layers", *RENDERED, *SMALL)
    for bundle in (toy, trained):
        keep_bundle(str(bucket), bundle)
    assert command("sprites", bucket, "toy", *of_all)["rendered"] == IN_SHARED + IN_CHANGED
    old = shards(bucket, toy)
    spoiled = Path(shutil.copytree(bucket, tmp_path / "spoiled"))
    spoil(spoiled, toy)

    planned = command("plan", bucket, "trained", *of_all)
    counts = ("sprites_done", "sprites_adopted", "sprites_to_do")
    assert [planned[count] for count in counts] == [IN_SHARED, IN_SHARED, IN_CHANGED]
    with monkeypatch.context() as patched:
        patched.setattr("diamond_cutter.flows.sprites.adopt_shards", adopt_one_and_end)
        assert at_once("sprites", "trained", *of_all, "--bucket", str(bucket)).returncode == 130
    assert list(shards(bucket, trained)) == [SHARED[0]]
    summary = command("sprites", bucket, "trained", *of_all)
    assert (summary["rendered"], summary["reused"]) == (IN_CHANGED, IN_SHARED)
    assert command("sprites", bucket, "trained", *of_all)["rendered"] == 0

    # What is spoiled is rendered, and pixels and scores are those of the copies.
    fresh = command("sprites", spoiled, "trained", "--layers", *SHARED, *SMALL)
    assert (fresh["rendered"], fresh["reused"]) == (IN_SHARED, 0)
    new, rendered = shards(bucket, trained), shards(spoiled, trained)
    for layer in SHARED:
        (_, copy, picture), (_, record, drawn) = new[layer], rendered[layer]
        assert picture == drawn and copy.sprites == record.sprites
        assert (copy.adopted_from, record.adopted_from) == (old[layer][0], None)
    assert all(new[layer][1].adopted_from is None for layer in CHANGED)
    folder = bucket / set_folder(trained.card.key, RECIPE.key)
    assert len(list(folder.rglob("0*.webp"))) == len(RENDERED)
    assert (folder / "index.html").exists() and (folder / "index.parquet").exists()

    command("verify", bucket, "--deep")
    assert command("gc", bucket)["leftovers"] == []
    # The copies stay when the other model's sprites are removed.
    command("rm", bucket, f"{toy.card.key}/{RECIPE.key}", "--yes")
    assert command("sprites", bucket, "trained", *of_all)["rendered"] == 0
    command("verify", bucket, "--deep")


def test_of_layers_that_models_of_one_run_share_one_is_rendered_and_the_other_copied(
    toy: Bundle, at_once: Command, tmp_path: Path
) -> None:
    weights = {**toy_weights(), "third/kernel": toy_weights(seed=1)["third/kernel"]}
    trained = toy_bundle(weights, name="trained", scope="copy")
    for bundle in (toy, trained):
        keep_bundle(str(tmp_path), bundle)
    options = ("--layers", SHARED[0], *CHANGED, *SMALL, "--bucket", str(tmp_path), "--json")
    done = at_once("sprites", "toy", "trained", *options)
    assert done.returncode == 0, done.stderr
    summaries = {
        model["model"].partition("@")[0]: model for model in json.loads(done.stdout)["models"]
    }
    assert (summaries["toy"]["rendered"], summaries["toy"]["reused"]) == (
        CHANNELS[SHARED[0]] + IN_CHANGED,
        0,
    )
    assert (summaries["trained"]["rendered"], summaries["trained"]["reused"]) == (
        IN_CHANGED,
        CHANNELS[SHARED[0]],
    )
    bucket = LocalBucket(tmp_path)
    first, copy = (
        read_layer(bucket, model.card.key, RECIPE.key, SHARED[0]).sound for model in (toy, trained)
    )
    assert [record.adopted_from for record in copy.values()] == list(first)
    assert not list(bucket.list("claims/"))
