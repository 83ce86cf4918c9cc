"""The files of a gallery: what they are called, and what is in them."""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.layout import (
    gallery_layer_key,
    is_mixes,
    report_folder,
    set_folder,
)
from diamond_cutter.storage.sets.records import Attempt, Flag, SpritemapRecord
from diamond_cutter.tasks.gallery import neighbours
from diamond_cutter.tasks.gallery.pages import set_page
from diamond_cutter.tasks.gallery.sources import LayerSource, lossless_places
from diamond_cutter.tasks.gallery.thumbnails import thumbnails
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.reporting.contents import ReportContents

Score = Literal[
    "objective",
    "highest_activation",
    "specificity",
    "photo_ratio",
    "contrast",
    "saturation",
    "checkerboard",
]
_PREVIEW_PX, _PREVIEWED = 64, 16


class Shown(FrozenModel):
    """What the gallery's script reads; files are named as seen from the set's folder."""


class ShownSheet(Shown):
    """A picture that holds sprites in cells, row by row."""

    file: str
    columns: int
    cell_px: int


class ShownLayer(Shown):
    """A layer, or mixes, on the gallery's first page."""

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
    """A report that shows these sprites: what they do in somebody's images."""

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


class LayerNumbers(Shown):
    """All sprites of a layer, a column for each thing that is known of them."""

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
    """Return the page that a set's gallery begins with; `reports` are those that show its
    sprites.
    """
    shown = ShownSet(
        model=model,
        recipe=recipe,
        # A spectrum is hundreds of numbers; what is different at single layers is shown there.
        settings=settings.model_dump(mode="json", exclude={"spectrum", "layers"})
        if settings
        else {},
        layers=tuple(_shown_layer(model, recipe, settings, source) for source in sources),
        reports=tuple(map(_shown_report, reports)),
    )
    return set_page(shown.model_dump(mode="json"))


def layer_keys(model: str, recipe: str, source: LayerSource) -> tuple[str, str]:
    """Return the keys of the files that a gallery holds of a layer: its numbers and its preview."""
    return (
        gallery_layer_key(model, recipe, source.layer, source.content, "js"),
        gallery_layer_key(model, recipe, source.layer, source.content, "webp"),
    )


def layer_record_key(model: str, recipe: str, source: LayerSource) -> str:
    """Return the key of the record of these files."""
    return gallery_layer_key(model, recipe, source.layer, source.content, "json")


def layer_files(bucket: Bucket, model: str, recipe: str, source: LayerSource) -> dict[str, bytes]:
    """Return the files that a gallery holds of a layer, by their keys.

    Raises:
        Corrupt, NotFound: a spritemap is not what its record says.
    """
    pictures = thumbnails(bucket, source, _PREVIEW_PX)
    numbers = _layer_numbers(bucket, model, recipe, source, pictures)
    files = (as_script(source.layer, numbers), _preview(source, pictures))
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
        flags={flag: flags[flag] for flag in get_args(Flag) if flags[flag]},
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


def _layer_numbers(
    bucket: Bucket, model: str, recipe: str, source: LayerSource, pictures: np.ndarray | None
) -> LayerNumbers:
    sprites = [sprite.scores for sprite in source.sprites]
    labels = tuple(
        source.labels[sprite.channel] if sprite.channel < len(source.labels) else ""
        for sprite in sprites
    )
    places, folder = lossless_places(bucket, source), set_folder(model, recipe)
    found = [places.get((sprite.channel, sprite.variant)) for sprite in sprites]
    shards = {place.record_key: place.shard for place in found if place}
    order = {key: number for number, key in enumerate(shards)}
    alike, likeness = _neighbours(pictures)
    return LayerNumbers(
        channels=tuple(sprite.channel for sprite in sprites),
        variants=tuple(sprite.variant for sprite in sprites),
        labels=labels if any(labels) else (),
        scores={
            score: tuple(_rounded(getattr(sprite, score)) for sprite in sprites)
            for score in get_args(Score)
        },
        flags=tuple(sprite.flags for sprite in sprites),
        rungs=tuple(sprite.rung for sprite in sprites),
        spritemaps=tuple(sprite.spritemap for sprite in source.sprites),
        cells=tuple(sprite.cell for sprite in source.sprites),
        shards=tuple(
            ShownSheet(
                file=shard.file.key.removeprefix(folder),
                columns=shard.columns,
                cell_px=shard.cell_px,
            )
            for shard in shards.values()
        ),
        shard_of=tuple(order[place.record_key] if place else None for place in found),
        shard_cells=tuple(place.cell if place else 0 for place in found),
        neighbours=alike,
        likeness=likeness,
    )


def _neighbours(
    pictures: np.ndarray | None,
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[float, ...], ...]]:
    if pictures is None:
        return (), ()
    step = _PREVIEW_PX // neighbours.SIDE_PX
    count, side = len(pictures), neighbours.SIDE_PX
    small = pictures.reshape(count, side, step, side, step, 3).mean(axis=(2, 4), dtype=np.float32)
    alike, likeness = neighbours.nearest(small)
    return tuple(map(tuple, alike.tolist())), tuple(
        tuple(round(value, 3) for value in row) for row in likeness.tolist()
    )


def _preview(source: LayerSource, pictures: np.ndarray | None) -> bytes:
    """Return a strip of some sprites, evenly from all of the layer's that have no flag, if there
    are such.
    """
    sound = [
        number for number, sprite in enumerate(source.sprites) if not sprite.scores.flags
    ] or range(len(source.sprites))
    chosen = _evenly(sound, _PREVIEWED)
    strip = np.full((_PREVIEW_PX, len(chosen) * _PREVIEW_PX, 3), 128, np.uint8)
    if pictures is not None:
        strip = np.concatenate([pictures[number] for number in chosen], axis=1)
    buffer = io.BytesIO()
    Image.fromarray(strip).save(buffer, "WEBP", quality=80, method=4)
    return buffer.getvalue()


def _evenly(numbers: Sequence[int], count: int) -> list[int]:
    if len(numbers) <= count:
        return list(numbers)
    return [numbers[place * len(numbers) // count] for place in range(count)]


def _sheet(folder: str, record: SpritemapRecord) -> ShownSheet:
    return ShownSheet(
        file=record.file.key.removeprefix(folder), columns=record.columns, cell_px=record.cell_px
    )


def _rounded(value: float | None) -> float | None:
    """Return a score in four digits, None if it is not finite: JSON has no such number."""
    return float(f"{value:.4g}") if value is not None and np.isfinite(value) else None
