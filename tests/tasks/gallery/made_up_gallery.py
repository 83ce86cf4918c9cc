"""Layers of coloured cells, so that a test can tell which sprite it sees."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from PIL import Image

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, crc32c
from diamond_cutter.storage.sets.layout import (
    recipe_key,
    run_record_key,
    shard_record_key,
    spritemap_record_key,
)
from diamond_cutter.storage.sets.records import (
    FileRef,
    RunRecord,
    ShardRecord,
    SpritemapRecord,
    SpriteScores,
)
from diamond_cutter.storage.sets.sprite_set import put_fingerprinted
from diamond_cutter.tasks.gallery.task import publish_gallery
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.sheets import compose, encode_lossless, shard_columns, spritemap_shape
from tests.flows.made_up_set import RECIPE, made_up_card, put_bundle
from tests.storage.shard_records import shard_record

MODEL = made_up_card().key
FAILURE = "block_0 channels 32-39: the process was killed"


def scores(channel: int, **known: object) -> SpriteScores:
    """Return scores that a test need not name."""
    plain = {
        "objective": float(channel),
        "highest_activation": 1.0,
        "contrast": 0.25,
        "saturation": 0.125,
        "checkerboard": 0.5,
    }
    return SpriteScores.model_validate({"channel": channel, **plain, **known})


def colour_of(sprite: SpriteScores) -> tuple[int, int, int]:
    """Return the colour of a made-up sprite's cell."""
    return (sprite.channel * 37 % 256, sprite.channel * 91 % 256, 200 if sprite.variant else 40)


def put_layer(
    bucket: Bucket,
    layer: str,
    sprites: Sequence[SpriteScores],
    *,
    part: str = "all",
    cell_px: int = 32,
    recipe: RenderRecipe = RECIPE,
) -> SpritemapRecord:
    """Keep a shard and a spritemap of the sprites, a square of another colour each."""
    cells = [np.full((cell_px, cell_px, 3), colour_of(sprite), np.uint8) for sprite in sprites]
    shard = _put_shard(bucket, layer, sprites, cells, cell_px, recipe)
    columns, rows = spritemap_shape(len(cells))
    key = spritemap_record_key(MODEL, recipe.key, layer, part)
    record = SpritemapRecord(
        model=MODEL,
        recipe=recipe.key,
        layer=layer,
        cell_px=cell_px,
        columns=columns,
        rows=rows,
        sprites=tuple(sprites),
        shards=(shard,),
        file=put_picture(bucket, key, compose(enumerate(cells), len(cells), columns, cell_px)),
    )
    bucket.put(key, record.to_bytes(), mode="overwrite")
    return record


def put_picture(bucket: Bucket, record_key: str, picture: np.ndarray) -> FileRef:
    """Keep a spritemap's picture as PNG, whose colours stay what they are."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return put_fingerprinted(
        bucket, record_key, buffer.getvalue(), "png", crc32c(buffer.getvalue())
    )


def publish(bucket: Bucket, recipe: RenderRecipe = RECIPE, card: ModelCard | None = None) -> str:
    """Keep the model and the recipe, publish the set's gallery, and return the key of its page."""
    put_bundle(bucket)
    bucket.put(recipe_key(MODEL, recipe.key), recipe.to_bytes())
    key: str = publish_gallery.fn(bucket.url, card or made_up_card(), recipe.key)
    return key


def put_failed_run(bucket: Bucket, name: str, age_h: int = 0, **known: Any) -> None:
    """Keep the record of a run that could not render channels 32 to 39 of `block_0`."""
    values: dict[str, Any] = {
        "selection": {"block_0": range(40)},
        "failed": {"block_0": range(32, 40)},
        "failures": (FAILURE,),
        **known,
    }
    record = RunRecord(
        model=MODEL,
        recipe=RECIPE.key,
        shards=(),
        spritemaps=(),
        sprites=0,
        flagged={},
        finished=datetime.now(UTC) - timedelta(hours=age_h),
        **values,
    )
    bucket.put(run_record_key(MODEL, RECIPE.key, name), record.to_bytes())


def _put_shard(
    bucket: Bucket,
    layer: str,
    sprites: Sequence[SpriteScores],
    cells: list[np.ndarray],
    cell_px: int,
    recipe: RenderRecipe,
) -> FileRef:
    channels = sorted({sprite.channel for sprite in sprites})
    key, columns = (
        shard_record_key(MODEL, recipe.key, layer, channels),
        shard_columns(len(cells), cell_px),
    )
    data = encode_lossless(compose(enumerate(cells), len(cells), columns, cell_px))
    file = put_fingerprinted(bucket, key, data, "webp", crc32c(data))
    record: ShardRecord = shard_record(channels, file, cell_px=cell_px, columns=columns)
    said = {"model": MODEL, "recipe": recipe.key, "layer": layer, "sprites": tuple(sprites)}
    bucket.put(key, record.model_copy(update=said).to_bytes(), mode="overwrite")
    return file
