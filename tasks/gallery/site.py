"""Build the files of a gallery: its page, and the data and preview of each layer."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.layout import gallery_layer_key, is_mixes, set_folder
from diamond_cutter.storage.sets.records import (
    FLAGS,
    SCORES,
    Attempt,
    Flag,
    Score,
    ShardRecord,
    SpritemapRecord,
)
from diamond_cutter.storage.sets.report_keys import report_folder
from diamond_cutter.tasks.gallery.pages import set_page
from diamond_cutter.tasks.gallery.pictures import neighbours, preview, thumbnails
from diamond_cutter.tasks.gallery.sources import LayerSource, lossless_places
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.reporting.contents import ReportContents
from diamond_cutter.tasks.reporting.layer_contents import short


class Shown(FrozenModel):
    """The base of the data of the gallery's script; files are relative to the set's folder."""


class ShownSheet(Shown):
    """A picture that holds sprites in cells, row by row."""

    file: str
    columns: int
    cell_px: int


class ShownLayer(Shown):
    """A layer or mixes, on the gallery's first page."""

    name: str
    mixes: bool
    kind: str | None
    channels: int | None
    height: int | None
    width: int | None
    sprites: int
    flagged: int
    flags: dict[Flag, int]
    settings: dict[str, Any]
    spritemaps: tuple[ShownSheet, ...]
    numbers: str
    preview: str


class ShownReport(Shown):
    """A report that shows these sprites."""

    dataset: str
    folder: str
    explained: str
    layers: dict[str, str]


class ShownSet(Shown):
    """A sprite set, on the gallery's first page."""

    model: str
    recipe: str
    settings: dict[str, Any]
    layers: tuple[ShownLayer, ...]
    reports: tuple[ShownReport, ...]


class SpriteColumns(Shown):
    """The sprites of a layer, one column for each property."""

    channels: tuple[int, ...]
    variants: tuple[int, ...]
    labels: tuple[str, ...]
    scores: dict[Score, tuple[float | None, ...]]
    flags: tuple[tuple[Flag, ...], ...]
    rungs: tuple[Attempt, ...]
    spritemaps: tuple[int, ...]
    cells: tuple[int, ...]
    shards: tuple[ShownSheet, ...]
    shard_of: tuple[int | None, ...]
    shard_cells: tuple[int, ...]
    neighbours: tuple[tuple[int, ...], ...]
    likeness: tuple[tuple[float, ...], ...]


def index_page(
    model: str,
    recipe: str,
    settings: RenderRecipe | None,
    sources: Iterable[LayerSource],
    reports: Iterable[ReportContents] = (),
) -> bytes:
    """Return the first page of a set's gallery; `reports` show the sprites of the set."""
    shown = ShownSet(
        model=model,
        recipe=recipe,
        # A spectrum is hundreds of numbers, and each layer shows its own settings.
        settings=settings.model_dump(mode="json", exclude={"spectrum", "layers"})
        if settings
        else {},
        layers=tuple(_shown_layer(model, recipe, settings, source) for source in sources),
        reports=tuple(map(_shown_report, reports)),
    )
    return set_page(shown.model_dump(mode="json"))


def layer_keys(model: str, recipe: str, source: LayerSource) -> tuple[str, str]:
    """Return the keys of a layer's files in the gallery: its data and its preview."""
    return (
        gallery_layer_key(model, recipe, source.layer, source.content, "js"),
        gallery_layer_key(model, recipe, source.layer, source.content, "webp"),
    )


def layer_record_key(model: str, recipe: str, source: LayerSource) -> str:
    """Return the key of the record of a layer's files."""
    return gallery_layer_key(model, recipe, source.layer, source.content, "json")


def layer_files(bucket: Bucket, model: str, recipe: str, source: LayerSource) -> dict[str, bytes]:
    """Return the files of a layer in the gallery, by key.

    Raises:
        Corrupt, NotFound: a spritemap is missing or differs from its record.
    """
    pictures = thumbnails(bucket, source)
    numbers = _sprite_columns(bucket, model, recipe, source, pictures)
    files = (as_script(source.layer, numbers), preview(source, pictures))
    return dict(zip(layer_keys(model, recipe, source), files, strict=True))


def _shown_layer(
    model: str, recipe: str, settings: RenderRecipe | None, source: LayerSource
) -> ShownLayer:
    known, folder = source.known, set_folder(model, recipe)
    flags = Counter(flag for sprite in source.sprites for flag in sprite.scores.flags)
    numbers, preview = (key.removeprefix(folder) for key in layer_keys(model, recipe, source))
    different = settings.layers.get(source.layer) if settings else None
    mixes = known is None and is_mixes(source.layer)
    return ShownLayer(
        name=source.layer,
        mixes=mixes,
        kind=known.kind if known else None,
        channels=known.channels
        if known
        else len(source.labels)
        if mixes and source.labels
        else None,
        height=known.height if known else None,
        width=known.width if known else None,
        sprites=len(source.sprites),
        flagged=sum(bool(sprite.scores.flags) for sprite in source.sprites),
        flags={flag: flags[flag] for flag in FLAGS if flags[flag]},
        settings=different.model_dump(mode="json", exclude_none=True) if different else {},
        spritemaps=tuple(_sheet(folder, record) for record in source.spritemaps),
        numbers=numbers,
        preview=preview,
    )


def _shown_report(contents: ReportContents) -> ShownReport:
    return ShownReport(
        dataset=contents.dataset,
        folder="../../../" + report_folder(contents.dataset, contents.model, contents.report),
        explained=contents.explanation(),
        layers={layer.name: layer.numbers for layer in contents.layers},
    )


def _sprite_columns(
    bucket: Bucket,
    model: str,
    recipe: str,
    source: LayerSource,
    pictures: npt.NDArray[np.uint8] | None,
) -> SpriteColumns:
    sprites = [sprite.scores for sprite in source.sprites]
    places, folder = lossless_places(bucket, source), set_folder(model, recipe)
    found = [places.get((sprite.channel, sprite.variant)) for sprite in sprites]
    shards = {place.record_key: place.shard for place in found if place}
    order = {key: number for number, key in enumerate(shards)}
    alike, likeness = neighbours(pictures)
    return SpriteColumns(
        channels=tuple(sprite.channel for sprite in sprites),
        variants=tuple(sprite.variant for sprite in sprites),
        labels=_labels(source),
        scores={
            score: tuple(_rounded(getattr(sprite, score)) for sprite in sprites) for score in SCORES
        },
        flags=tuple(sprite.flags for sprite in sprites),
        rungs=tuple(sprite.rung for sprite in sprites),
        spritemaps=tuple(sprite.spritemap for sprite in source.sprites),
        cells=tuple(sprite.cell for sprite in source.sprites),
        shards=tuple(_sheet(folder, shard) for shard in shards.values()),
        shard_of=tuple(order[place.record_key] if place else None for place in found),
        shard_cells=tuple(place.cell if place else 0 for place in found),
        neighbours=alike,
        likeness=likeness,
    )


def _labels(source: LayerSource) -> tuple[str, ...]:
    """Return the label of each sprite, or nothing if no sprite has one."""
    channels = (sprite.scores.channel for sprite in source.sprites)
    labels = tuple(
        source.labels[channel] if channel < len(source.labels) else "" for channel in channels
    )
    return labels if any(labels) else ()


def _sheet(folder: str, record: SpritemapRecord | ShardRecord) -> ShownSheet:
    return ShownSheet(
        file=record.file.key.removeprefix(folder), columns=record.columns, cell_px=record.cell_px
    )


def _rounded(value: float | None) -> float | None:
    """Return a score with four digits, or None for infinite numbers, which JSON lacks."""
    return short(value) if value is not None and math.isfinite(value) else None
