"""Finds out what a key of a bucket is of, and shows it: a layer's sprites in numbers, a set's, or
what a record says.
"""

import os
from typing import TypeVar
from urllib.parse import unquote

from pydantic import Field, ValidationError

from diamond_cutter.flows.attribution_summary import ReportSummary, summary_of
from diamond_cutter.flows.cli.layer_statistics import LayerReport, report_layer
from diamond_cutter.flows.cli.short_names import keys_named
from diamond_cutter.flows.errors import RequestError
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import BadKey, Bucket, Corrupt, NotFound
from diamond_cutter.storage.sets.layout import (
    card_key,
    escape,
    gallery_key,
    graph_key,
    index_key,
    is_run_record,
    is_shard_record,
    is_spritemap_record,
    mixes_key,
    photos_folder,
    preset_key,
    recipe_key,
    record_beside,
    report_key,
    set_folder,
)
from diamond_cutter.storage.sets.records import (
    PhotoActivations,
    RunRecord,
    ShardRecord,
    SpritemapRecord,
)
from diamond_cutter.storage.sets.sprite_set import is_whole
from diamond_cutter.tasks.gathering.contents import layer_names, set_names
from diamond_cutter.tasks.importing.stored import bundle_remedy, graph_is_whole, read_card
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.reporting.contents import ReportRecord
from diamond_cutter.tasks.reporting.stored import find_report
from diamond_cutter.tasks.tuning.preset import Preset, read_preset

_LISTED = 10

_Parsed = TypeVar("_Parsed", RenderRecipe, ModelCard)


class SetReport(FrozenModel):
    """A sprite set in numbers, layer by layer."""

    key: str
    model: str
    recipe: str
    layers: tuple[LayerReport, ...]


class ShownRecord(FrozenModel):
    """What a record says, and whether the file that it commits is as it says."""

    key: str
    record: (
        ShardRecord
        | SpritemapRecord
        | RunRecord
        | PhotoActivations
        | Preset
        | RenderRecipe
        | ModelCard
    )
    file_is_whole: bool | None = Field(default=None, description="none if it commits no file")


Shown = LayerReport | SetReport | ReportSummary | ShownRecord


def show(bucket: Bucket, given: str) -> Shown:
    """Return what lies under a key: a folder of a layer or a set, a record, or a file that a record
    commits.

    Args:
        bucket: where.
        given: the key, with or without `sprites/` before it, a layer by its folder or by its name;
            or the key's URL or path; or a short name that only one thing in the bucket has, such as
            that of a layer.

    Raises:
        RequestError: nothing has the key, or several things have the short name.
        Corrupt: the record cannot be read.
    """
    keys = _keys_meant(bucket, given)
    for key in (*keys, *(f"sprites/{key}" for key in keys)):
        found = _shown(bucket, key)
        if found is not None:
            return found
    named = (
        []
        if _is_there(bucket, keys[0])
        else sorted({key for name in keys for key in keys_named(bucket, name)})
    )
    if len(named) > 1:
        listed = ", ".join(map(repr, named[:_LISTED])) + (
            f" and {len(named) - _LISTED} more" if len(named) > _LISTED else ""
        )
        raise RequestError(
            f"{given!r} is the name of {len(named)} things in {bucket.url}: {listed}; give one of "
            "these keys"
        )
    found = _shown(bucket, named[0]) if named else None
    if found is None:
        raise RequestError(_nothing_there(bucket, given, keys[0]))
    return found


def _shown(bucket: Bucket, key: str) -> Shown | None:
    return (
        _record(bucket, key)
        or _committed_by(bucket, key)
        or _folder(bucket, key)
        or _report(bucket, key)
    )


def _keys_meant(bucket: Bucket, given: str) -> list[str]:
    """Return the keys that a text may mean: what is behind the bucket's URL, or behind its folder,
    and the text itself.
    """
    folder = unquote(bucket.url.removeprefix("file://"), errors="surrogateescape")
    places = ((bucket.url, given), (folder, os.path.abspath(given)))
    behind = (text.removeprefix(start) for start, text in places if text.startswith(f"{start}/"))
    return [key.strip("/") for key in (*behind, given)]


def _record(bucket: Bucket, key: str) -> ShownRecord | None:
    """Return the record under a key, or None where nothing is, or something else."""
    folders = key.split("/")
    if len(folders) == 3 and key in (card_key(folders[1]), graph_key(folders[1])):
        return _card(bucket, card_key(folders[1]))
    if len(folders) == 3 and key == preset_key(folders[1]) and _is_there(bucket, key):
        preset = read_preset(bucket, folders[1])
        return ShownRecord(key=key, record=preset) if preset else None
    if len(folders) > 4 and key.startswith(photos_folder(folders[1])) and _is_there(bucket, key):
        return ShownRecord(key=key, record=PhotoActivations.from_bytes(bucket.get(key), key))
    if folders[0] != "sprites" or len(folders) not in (4, 5) or not _is_there(bucket, key):
        return None
    if len(folders) == 4:
        return (
            _recipe(bucket, key, folders[2]) if key == recipe_key(folders[1], folders[2]) else None
        )
    if is_run_record(key):
        return ShownRecord(key=key, record=RunRecord.from_bytes(bucket.get(key), key))
    if not (is_shard_record(key) or is_spritemap_record(key)):
        return None
    record = (ShardRecord if is_shard_record(key) else SpritemapRecord).from_bytes(
        bucket.get(key), key
    )
    return ShownRecord(key=key, record=record, file_is_whole=is_whole(bucket, record.file))


def _card(bucket: Bucket, key: str) -> ShownRecord | None:
    if not _is_there(bucket, key):
        return None
    model = key.split("/")[1]
    card = _parsed(bucket, key, ModelCard, bundle_remedy(model))
    if card.key != model:
        raise Corrupt(
            f"{key} cannot be used (it is the card of {card.key}). {bundle_remedy(model)}"
        )
    return ShownRecord(key=key, record=card, file_is_whole=graph_is_whole(bucket, card))


def _recipe(bucket: Bucket, key: str, name: str) -> ShownRecord:
    recipe = _parsed(bucket, key, RenderRecipe, "The next run writes it again.")
    if recipe.key != name:
        raise Corrupt(
            f"{key} cannot be read (it is {recipe.key}, not what its folder is named after); the "
            "next run writes it anew."
        )
    return ShownRecord(key=key, record=recipe)


def _committed_by(bucket: Bucket, key: str) -> ShownRecord | None:
    """Return the record that commits a file, or None if it is no such file."""
    beside = record_beside(key)
    shown = _record(bucket, beside) if beside else None
    if shown is None or not isinstance(shown.record, ShardRecord | SpritemapRecord):
        return None
    if shown.record.file.key != key:
        raise RequestError(
            f"{key!r} is not the file that its record names, which is {shown.record.file.key!r}; "
            "show that one"
        )
    return shown


def _folder(bucket: Bucket, key: str) -> LayerReport | SetReport | None:
    """Return what the folder of a layer or of a set holds, or None if the key is of neither."""
    for model, recipe in set_names(bucket):
        folder = set_folder(model, recipe)
        if not f"{key}/".startswith(folder):
            continue
        card = read_card(bucket, model)
        layers = layer_names(bucket, model, recipe, card)
        if key in (folder.rstrip("/"), index_key(model, recipe), gallery_key(model, recipe)):
            reports = tuple(report_layer(bucket, model, recipe, layer, card) for layer in layers)
            return SetReport(key=folder, model=model, recipe=recipe, layers=reports)
        # What is written like a folder is one, even if a layer has such a name.
        meant = {layer: layer for layer in layers}
        meant |= {escape(layer): layer for layer in layers}
        rest = key.removeprefix(folder)
        named = next(
            (layer for layer in layers if key == mixes_key(model, recipe, layer)), meant.get(rest)
        )
        return report_layer(bucket, model, recipe, named, card) if named is not None else None
    return None


def _report(bucket: Bucket, key: str) -> ReportSummary | None:
    """Return a report in short, or None if the key is of none."""
    folder = find_report(bucket, key)
    if folder is None:
        return None
    try:
        record = ReportRecord.from_bytes(bucket.get(report_key(folder)), report_key(folder))
    except NotFound as error:
        raise RequestError(
            f"the report {folder} is not complete yet; the same diamond-cutter attribute goes on "
            "with it"
        ) from error
    return summary_of(bucket, folder, record, reused=True)


def _parsed(bucket: Bucket, key: str, kind: type[_Parsed], remedy: str) -> _Parsed:
    try:
        return kind.model_validate_json(bucket.get(key))
    except ValidationError as error:
        raise Corrupt(
            f"{key} cannot be read ({error.errors(include_url=False)[0]['msg']}). {remedy}"
        ) from error


def _is_there(bucket: Bucket, key: str) -> bool:
    try:
        return bucket.stat(key) is not None
    except BadKey:
        return False


def _nothing_there(bucket: Bucket, given: str, key: str) -> str:
    if next(iter(bucket.list()), None) is None:
        return (
            f"{given!r} is not in {bucket.url}: the bucket is empty. Run `diamond-cutter sprites` "
            "to render sprites into it."
        )
    problem = (
        f"is not a record, and no record in {bucket.url} names it"
        if _is_there(bucket, key)
        else f"is not in {bucket.url}"
    )
    return f"{given!r} {problem}. Run `diamond-cutter ls` to list the sprite sets and the reports."
