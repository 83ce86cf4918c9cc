"""Read the sprites of a layer from its records: which cells of which spritemaps hold them."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import get_args

from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.storage import BadKey, Bucket
from diamond_cutter.storage.sets.layout import layer_folder, record_beside
from diamond_cutter.storage.sets.records import FileRef, ShardRecord, SpritemapRecord, SpriteScores
from diamond_cutter.storage.sets.sprite_set import LayerShards, SpritePlace, read_record
from diamond_cutter.tasks.gathering.contents import (
    channel_labels,
    known_layer,
    layer_names,
    spritemap_records,
)
from diamond_cutter.tasks.sheets import ImageFormat

# Raise this number if the same records result in other files.
_FORMAT = 1


@dataclass(frozen=True)
class ShownSprite:
    """A sprite, and the cell of its layer's spritemap that holds its picture."""

    scores: SpriteScores
    spritemap: int
    cell: int


@dataclass(frozen=True)
class LayerSource:
    """The sprites of a layer or of mixes, in the order of channels and variants."""

    layer: str
    known: LayerCard | None
    labels: tuple[str, ...]
    spritemaps: tuple[SpritemapRecord, ...]
    sprites: tuple[ShownSprite, ...]

    @property
    def content(self) -> bytes:
        """Return the data that determine the layer's files."""
        records = [record.model_dump(mode="json") for record in self.spritemaps]
        return json.dumps([_FORMAT, self.layer, self.labels, records]).encode()


def read_sources(
    bucket: Bucket, model: str, recipe: str, card: ModelCard | None
) -> Iterator[LayerSource]:
    """Yield the layers of a set with spritemaps in forward order, then mixes."""
    for layer in layer_names(bucket, model, recipe, card):
        source = read_source(bucket, model, recipe, layer, card)
        if source.sprites:
            yield source


def read_source(
    bucket: Bucket, model: str, recipe: str, layer: str, card: ModelCard | None
) -> LayerSource:
    """Return the sprites of a layer; of duplicates, the largest spritemap counts."""
    listed = {
        info.key: info.size
        for info in bucket.list(layer_folder(model, recipe, layer) + "spritemap.")
    }
    records = [
        record
        for record in spritemap_records(bucket, model, recipe, layer)
        if (record.model, record.recipe, record.layer) == (model, recipe, layer)
        and listed.get(record.file.key) == record.file.size
        and _can_be_shown(record)
    ]
    spritemaps: list[SpritemapRecord] = []
    shown: dict[tuple[int, int], ShownSprite] = {}
    for record in sorted(records, key=lambda record: (-len(record.sprites), record.file.key)):
        new = [
            ShownSprite(scores, len(spritemaps), cell)
            for cell, scores in enumerate(record.sprites)
            if (scores.channel, scores.variant) not in shown
        ]
        if new:
            spritemaps.append(record)
            shown |= {(sprite.scores.channel, sprite.scores.variant): sprite for sprite in new}
    labels = channel_labels(bucket, model, recipe, layer, card)
    ordered = tuple(sprite for _, sprite in sorted(shown.items()))
    return LayerSource(layer, known_layer(card, layer), labels, tuple(spritemaps), ordered)


def lossless_places(bucket: Bucket, source: LayerSource) -> dict[tuple[int, int], SpritePlace]:
    """Return the cells of the spritemaps' shards, by channel and variant."""
    places: dict[tuple[int, int], SpritePlace] = {}
    for record in source.spritemaps:
        sound = {
            key: shard for file in record.shards for key, shard in _shard_of(bucket, record, file)
        }
        places = LayerShards(sound).places() | places
    return places


def _shard_of(
    bucket: Bucket, spritemap: SpritemapRecord, file: FileRef
) -> Iterator[tuple[str, ShardRecord]]:
    """Yield the key and the record of a shard, unless the record is missing or was replaced."""
    key = record_beside(file.key) if _lies_beside(file, spritemap.file) else None
    try:
        shard = read_record(bucket, key, ShardRecord) if key else None
    except BadKey:
        return
    if key and shard and shard.file == file and shard.cell_px > 0 and shard.columns > 0:
        yield key, shard


def _can_be_shown(record: SpritemapRecord) -> bool:
    """Tell whether a record is consistent, because anybody may have written to the bucket."""
    return (
        record.cell_px > 0
        and record.columns > 0
        and bool(record.sprites)
        and record.rows == math.ceil(len(record.sprites) / record.columns)
        and _is_picture(record.file)
    )


def _lies_beside(file: FileRef, other: FileRef) -> bool:
    return _is_picture(file) and PurePosixPath(file.key).parent == PurePosixPath(other.key).parent


def _is_picture(file: FileRef) -> bool:
    return PurePosixPath(file.key).suffix[1:] in get_args(ImageFormat)
