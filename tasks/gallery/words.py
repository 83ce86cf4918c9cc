"""Build the index of words that the search of a gallery loads: one file for all layers of a set."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

from diamond_cutter.storage import BadKey, Bucket, Corrupt, NotFound
from diamond_cutter.storage.sets.layout import gallery_asset_key, set_folder
from diamond_cutter.tasks.attribution.words import LEAST_DEVIATIONS
from diamond_cutter.tasks.gallery.contents import LayerWords, SetWords
from diamond_cutter.tasks.gallery.sources import LayerSource, SetSource
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.reporting.contents import ReportContents
from diamond_cutter.tasks.reporting.page_data import ChannelNumbers, LayerNumbers
from diamond_cutter.tasks.reporting.pages import from_script
from diamond_cutter.tasks.reporting.stored import folder_of

# Raise this number if the same sources result in another index.
_FORMAT = 1
_NAME = "words"


def words_key(source: SetSource, suffix: str = "js") -> str:
    """Return the key of a set's index, named by the hash of its sources; `json` of its record."""
    sources = [
        _FORMAT,
        [hashlib.sha256(layer.content).hexdigest() for layer in _finished(source)],
        sorted(
            f"{folder_of(report)}{layer.numbers}"
            for report in source.reports
            for layer in report.layers
        ),
    ]
    folder = set_folder(source.model, source.recipe)
    return gallery_asset_key(folder, json.dumps(sources).encode(), suffix)


def words_file(bucket: Bucket, source: SetSource) -> bytes:
    """Return the index of a set as a script; reports with unreadable files are skipped."""
    found = tuple(_layer_words(bucket, layer, source.reports) for layer in _finished(source))
    return as_script(_NAME, SetWords(layers=found))


def _finished(source: SetSource) -> Iterator[LayerSource]:
    # The words of layers in progress would change with every shard.
    return (layer for layer in source.layers if not layer.in_progress)


def _layer_words(
    bucket: Bucket, source: LayerSource, reports: Sequence[ReportContents]
) -> LayerWords:
    scores = [sprite.scores for sprite in source.sprites]
    labels = tuple(
        source.labels[one.channel] if one.channel < len(source.labels) else "" for one in scores
    )
    said = _said(bucket, source.layer, reports)
    known = {place: said[one.channel] for place, one in enumerate(scores) if said.get(one.channel)}
    return LayerWords(
        layer=source.layer,
        channels=tuple(one.channel for one in scores),
        variants=tuple(one.variant for one in scores),
        spritemaps=tuple(sprite.spritemap for sprite in source.sprites),
        cells=tuple(sprite.cell for sprite in source.sprites),
        flagged=tuple(place for place, one in enumerate(scores) if one.flags),
        labels=labels if any(labels) else (),
        words={
            place: tuple(dict.fromkeys(of.words for of in reported))
            for place, reported in known.items()
        },
        classes={
            place: notable
            for place, reported in known.items()
            if (notable := _notable_classes(reported))
        },
    )


def _notable_classes(said: Sequence[ChannelNumbers]) -> tuple[tuple[str, float], ...]:
    """Return the classes that stand out in any report, the highest first."""
    values = {
        (name, value) for of in said for name, value in of.classes if value >= LEAST_DEVIATIONS
    }
    return tuple(sorted(values, key=lambda entry: (-entry[1], entry[0])))


def _said(
    bucket: Bucket, layer: str, reports: Sequence[ReportContents]
) -> dict[int, list[ChannelNumbers]]:
    """Return what reports say of a layer's channels, by channel."""
    said: dict[int, list[ChannelNumbers]] = defaultdict(list)
    for report in reports:
        for known in report.layers:
            if known.name == layer:
                for numbers in _channels(bucket, f"{folder_of(report)}{known.numbers}"):
                    said[numbers.channel].append(numbers)
    return said


def _channels(bucket: Bucket, key: str) -> tuple[ChannelNumbers, ...]:
    try:
        _, data = from_script(bucket.get(key))
    except (BadKey, NotFound, Corrupt):
        return ()
    return data.channels if isinstance(data, LayerNumbers) else ()
