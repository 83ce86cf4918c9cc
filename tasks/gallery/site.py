"""Build the files of a gallery: its page, and the data and preview of each layer."""

import math
from collections import Counter

import numpy as np
import numpy.typing as npt

from diamond_cutter.storage import Bucket, Corrupt
from diamond_cutter.storage.sets.layout import gallery_layer_key, is_mixes, set_folder
from diamond_cutter.storage.sets.records import FLAGS, SCORES, ShardRecord, SpritemapRecord
from diamond_cutter.storage.sets.sprite_set import SpritePlace
from diamond_cutter.tasks.gallery.about import about_set, network
from diamond_cutter.tasks.gallery.contents import (
    ShownLayer,
    ShownReport,
    ShownSet,
    ShownSheet,
    ShownSprites,
    SpriteColumns,
)
from diamond_cutter.tasks.gallery.groups import reports_of
from diamond_cutter.tasks.gallery.pages import set_page
from diamond_cutter.tasks.gallery.pictures import neighbours, preview, thumbnails
from diamond_cutter.tasks.gallery.sources import LayerSource, SetSource, lossless_places
from diamond_cutter.tasks.pages.scripts import as_script, read_script
from diamond_cutter.tasks.reporting.contents import ReportContents
from diamond_cutter.tasks.reporting.layer_contents import short
from diamond_cutter.tasks.reporting.stored import folder_of

# The name under which a page takes the data.
_DATA = "sprites"


def index_page(shown: ShownSet) -> bytes:
    """Return the first page of a set's gallery."""
    return set_page(shown.model_dump(mode="json"))


def shown_set(source: SetSource, words: str = "") -> ShownSet:
    """Return the data of the first page of a set's gallery.

    Args:
        source: the set.
        words: the key of its index of words; empty without one.
    """
    settings, folder = source.settings, set_folder(source.model, source.recipe)
    return ShownSet(
        model=source.model,
        recipe=source.recipe,
        # A spectrum is hundreds of numbers, and each layer shows its own settings.
        settings=settings.model_dump(mode="json", exclude={"spectrum", "layers"})
        if settings
        else {},
        layers=tuple(_shown_layer(source, layer) for layer in source.layers),
        reports=tuple(map(_shown_report, source.reports)),
        network=network(source.card),
        about=about_set(source),
        words=words.removeprefix(folder),
        failures=source.failures,
        in_progress=source.in_progress,
    )


def data_script(shown: ShownSet) -> bytes:
    """Return the script that hands the sprites of a set to pages that are open."""
    names = ShownSprites.model_fields
    return as_script(_DATA, ShownSprites(**{name: getattr(shown, name) for name in names}))


def is_data_script(script: bytes) -> bool:
    """Tell whether a script is one that `data_script` returns."""
    try:
        name, data = read_script(script)
        return script == as_script(_DATA, ShownSprites.model_validate(data)) and name == _DATA
    except (Corrupt, ValueError):
        return False


def layer_keys(model: str, recipe: str, source: LayerSource) -> tuple[str, ...]:
    """Return the keys of a layer's files in the gallery: its data and its preview.

    A layer in progress has none, because its data is in the page.
    """
    if source.in_progress:
        return ()
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
    places = lossless_places(bucket, source)
    numbers = _sprite_columns(set_folder(model, recipe), source, places, pictures)
    files = (as_script(source.layer, numbers), preview(source, pictures))
    return dict(zip(layer_keys(model, recipe, source), files, strict=True))


def _shown_layer(of: SetSource, source: LayerSource) -> ShownLayer:
    known, settings, folder = source.known, of.settings, set_folder(of.model, of.recipe)
    flags = Counter(flag for sprite in source.sprites for flag in sprite.scores.flags)
    files = [key.removeprefix(folder) for key in layer_keys(of.model, of.recipe, source)]
    different = settings.layers.get(source.layer) if settings else None
    mixes = known is None and is_mixes(source.layer)
    return ShownLayer(
        name=source.layer,
        mixes=mixes,
        kind=known.kind if known else None,
        channels=known.channels if known else len(source.labels) or None if mixes else None,
        height=known.height if known else None,
        width=known.width if known else None,
        sprites=len(source.sprites),
        flagged=sum(bool(sprite.scores.flags) for sprite in source.sprites),
        flags={flag: flags[flag] for flag in FLAGS if flags[flag]},
        settings=different.model_dump(mode="json", exclude_none=True) if different else {},
        spritemaps=tuple(_sheet(folder, record) for record in source.pictures),
        numbers=files[0] if files else "",
        preview=files[1] if files else "",
        rendered=len(source.rendered),
        groups=bool(source.mixes and source.mixes.are_groups),
        reports=reports_of(source, of.reports),
        inline=_inline(folder, source) if source.in_progress else None,
    )


def _shown_report(contents: ReportContents) -> ShownReport:
    return ShownReport(
        dataset=contents.dataset,
        folder="../../../" + folder_of(contents),
        explained=contents.explanation(),
        layers={layer.name: layer.numbers for layer in contents.layers},
        mixed=bool(contents.sets and contents.sets[0].mixes_questions),
    )


def _inline(folder: str, source: LayerSource) -> SpriteColumns:
    """Return the sprites of a layer in progress, without what would need their pictures."""
    return _sprite_columns(folder, source, {}, None)


def _sprite_columns(
    folder: str,
    source: LayerSource,
    places: dict[tuple[int, int], SpritePlace],
    pictures: npt.NDArray[np.uint8] | None,
) -> SpriteColumns:
    sprites = [sprite.scores for sprite in source.sprites]
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
