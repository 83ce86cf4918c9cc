"""Read the sprites of a set from its records: which cells of which pictures hold them."""

import json
import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import get_args

from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.storage import BadKey, Bucket
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.layout import (
    is_mixes,
    is_shard_record,
    layer_folder,
    record_beside,
)
from diamond_cutter.storage.sets.records import (
    FileRef,
    ShardRecord,
    SpritemapRecord,
    SpriteScores,
    Versions,
)
from diamond_cutter.storage.sets.sprite_set import LayerShards, SpritePlace, read_record
from diamond_cutter.tasks.gallery.contents import ShownFailure
from diamond_cutter.tasks.gallery.failures import read_failures
from diamond_cutter.tasks.gathering.contents import (
    channel_labels,
    known_layer,
    layer_names,
    read_mixes,
    read_settings,
    spritemap_records,
)
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Mixes
from diamond_cutter.tasks.reporting.contents import ReportContents
from diamond_cutter.tasks.reporting.stored import reports_with
from diamond_cutter.tasks.sheets import ImageFormat

# Raise this number if the same records result in other files.
_FORMAT = 2


@dataclass(frozen=True)
class ShownSprite:
    """A sprite, and the cell that holds its picture.

    spritemap: the place of the picture among the layer's spritemaps, then its loose shards.
    """

    scores: SpriteScores
    spritemap: int
    cell: int


@dataclass(frozen=True)
class LayerSource:
    """The sprites of a layer or of mixes, in the order of channels and variants.

    loose: shards that no spritemap has yet, because a run is at work or was interrupted.
    mixes: the definition, if the layer is mixes.
    """

    layer: str
    known: LayerCard | None
    labels: tuple[str, ...]
    spritemaps: tuple[SpritemapRecord, ...]
    sprites: tuple[ShownSprite, ...]
    loose: tuple[tuple[str, ShardRecord], ...] = ()
    mixes: Mixes | None = None

    @property
    def content(self) -> bytes:
        """Return the data that determine the layer's files."""
        records = [record.model_dump(mode="json") for record in self.spritemaps]
        return json.dumps([_FORMAT, self.layer, self.labels, records]).encode()

    @property
    def pictures(self) -> tuple[SpritemapRecord | ShardRecord, ...]:
        """Return the records of the pictures: of the spritemaps, then of the loose shards."""
        return (*self.spritemaps, *(shard for _, shard in self.loose))

    @property
    def rendered(self) -> frozenset[int]:
        """Return the channels or mixes with sprites."""
        return frozenset(sprite.scores.channel for sprite in self.sprites)

    @property
    def in_progress(self) -> bool:
        """Tell whether some sprites are not in a spritemap yet."""
        return bool(self.loose)


@dataclass(frozen=True)
class SetSource:
    """What a gallery shows of a sprite set.

    failures: what runs could not render.
    at_work: whether a run is known to be at work on the set.
    """

    model: str
    recipe: str
    settings: RenderRecipe | None
    card: ModelCard | None
    layers: tuple[LayerSource, ...]
    reports: tuple[ReportContents, ...] = ()
    versions: Versions | None = None
    failures: tuple[ShownFailure, ...] = ()
    at_work: bool = False

    @property
    def in_progress(self) -> bool:
        """Tell whether more sprites may come without a new command."""
        failed = {failure.layer for failure in self.failures}
        waiting = (layer for layer in self.layers if layer.layer not in failed)
        return self.at_work or any(layer.in_progress for layer in waiting)

    def only(self, layers: Collection[LayerSource]) -> "SetSource":
        """Return the source with some of its layers only."""
        return replace(self, layers=tuple(layers))


def read_set(bucket: Bucket, model: str, recipe: str, card: ModelCard | None) -> SetSource:
    """Return what a gallery shows of a set, with the reports that show its sprites."""
    reports = tuple(reports_with(bucket, model, recipe))
    return replace(read_sprites(bucket, model, recipe, card), reports=reports)


def read_sprites(bucket: Bucket, model: str, recipe: str, card: ModelCard | None) -> SetSource:
    """Return what a gallery shows of a set, without reports."""
    layers = tuple(read_sources(bucket, model, recipe, card))
    settings = read_settings(bucket, model, recipe)
    return SetSource(
        model=model,
        recipe=recipe,
        settings=settings,
        card=card,
        layers=layers,
        versions=_versions(bucket, layers),
        failures=read_failures(
            bucket, model, recipe, layers, card, settings.variants if settings else 1
        ),
    )


def read_sources(
    bucket: Bucket, model: str, recipe: str, card: ModelCard | None
) -> Iterator[LayerSource]:
    """Yield the layers of a set with sprites in forward order, then mixes."""
    for layer in layer_names(bucket, model, recipe, card):
        source = read_source(bucket, model, recipe, layer, card)
        if source.sprites:
            yield source


def read_source(
    bucket: Bucket, model: str, recipe: str, layer: str, card: ModelCard | None
) -> LayerSource:
    """Return the sprites of a layer; of duplicates, the largest spritemap counts."""
    listed = {info.key: info.size for info in bucket.list(layer_folder(model, recipe, layer))}
    gathered = list(spritemap_records(bucket, model, recipe, layer))
    spritemaps, shown = _gathered(
        record
        for record in gathered
        if (record.model, record.recipe, record.layer) == (model, recipe, layer)
        and listed.get(record.file.key) == record.file.size
        and _can_be_shown(record)
    )
    done = {record_beside(file.key) for record in gathered for file in record.shards}
    waiting = [key for key in listed if is_shard_record(key) and key not in done]
    loose, added = _loose(
        {
            key: shard
            for key, shard in _shards(bucket, waiting)
            if (shard.model, shard.recipe, shard.layer) == (model, recipe, layer)
            and listed.get(shard.file.key) == shard.file.size
        },
        shown,
        len(spritemaps),
    )
    mixes = read_mixes(bucket, model, recipe, layer) if is_mixes(layer) else None
    return LayerSource(
        layer=layer,
        known=known_layer(card, layer),
        labels=tuple(mix.label for mix in mixes.mixes)
        if mixes
        else channel_labels(bucket, model, recipe, layer, card),
        spritemaps=spritemaps,
        sprites=tuple(sprite for _, sprite in sorted({**shown, **added}.items())),
        loose=loose,
        mixes=mixes,
    )


def lossless_places(bucket: Bucket, source: LayerSource) -> dict[tuple[int, int], SpritePlace]:
    """Return the cells of the layer's shards, by channel and variant."""
    places: dict[tuple[int, int], SpritePlace] = LayerShards(dict(source.loose)).places()
    for record in source.spritemaps:
        sound = {
            key: shard for file in record.shards for key, shard in _shard_of(bucket, record, file)
        }
        places = LayerShards(sound).places() | places
    return places


def _loose(
    shards: dict[str, ShardRecord], shown: Collection[tuple[int, int]], first: int
) -> tuple[tuple[tuple[str, ShardRecord], ...], dict[tuple[int, int], ShownSprite]]:
    """Return the shards with sprites that no spritemap has, and these sprites."""
    new = {
        member: place
        for member, place in LayerShards(shards).places().items()
        if member not in shown
    }
    keys = sorted({place.record_key for place in new.values()})
    order = {key: first + number for number, key in enumerate(keys)}
    return tuple((key, shards[key]) for key in keys), {
        member: ShownSprite(place.scores, order[place.record_key], place.cell)
        for member, place in new.items()
    }


def _shards(bucket: Bucket, keys: Collection[str]) -> Iterator[tuple[str, ShardRecord]]:
    """Yield the readable records of shards whose picture can be shown, by key."""
    records = at_once(bucket, lambda key: read_record(bucket, key, ShardRecord), keys)
    for key, record in zip(keys, records, strict=True):
        if (
            record
            and record.cell_px > 0
            and record.columns > 0
            and _is_picture(record.file)
            and record_beside(record.file.key) == key
        ):
            yield key, record


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


def _versions(bucket: Bucket, layers: Collection[LayerSource]) -> Versions | None:
    """Return the versions that rendered the first layer."""
    for layer in layers:
        for record in layer.spritemaps:
            for file in record.shards:
                for _, shard in _shard_of(bucket, record, file):
                    return shard.versions
        for _, shard in layer.loose:
            return shard.versions
    return None


def _gathered(
    records: Iterable[SpritemapRecord],
) -> tuple[tuple[SpritemapRecord, ...], dict[tuple[int, int], ShownSprite]]:
    """Return the spritemaps to show, largest first, and their sprites by channel and variant."""
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
    return tuple(spritemaps), shown


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
