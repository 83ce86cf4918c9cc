"""Reads what `show` shows for a key: statistics of a layer or set, a report, or a record."""

from typing import TypeVar

from pydantic import Field, ValidationError

from diamond_cutter.flows.attribution_summary import ReportSummary, summary_of
from diamond_cutter.flows.cli.key_lookup import is_there, keys_meant, keys_named, nothing_there
from diamond_cutter.flows.cli.layer_statistics import LayerReport, report_layer
from diamond_cutter.flows.compare_summary import CompareSummary, summary_of_compare
from diamond_cutter.flows.cut_summary import CutSummary, summary_of_cut
from diamond_cutter.flows.errors import RequestError
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, Corrupt, NotFound
from diamond_cutter.storage.sets.executions import RunExecution, executions_of
from diamond_cutter.storage.sets.layout import (
    card_key,
    escape,
    gallery_key,
    graph_key,
    index_key,
    is_run_execution,
    is_run_record,
    is_shard_record,
    is_spritemap_record,
    mixes_key,
    photos_folder,
    preset_key,
    recipe_key,
    record_beside,
    set_folder,
)
from diamond_cutter.storage.sets.records import (
    PhotoActivations,
    RunRecord,
    ShardRecord,
    SpritemapRecord,
)
from diamond_cutter.storage.sets.report_keys import report_key
from diamond_cutter.storage.sets.sprite_set import is_whole
from diamond_cutter.tasks.compare_report.contents import CompareReportRecord
from diamond_cutter.tasks.cut_report.contents import CutReportRecord
from diamond_cutter.tasks.gathering.contents import layer_names, set_names
from diamond_cutter.tasks.importing.stored import bundle_remedy, graph_is_whole, read_card
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.stored_reports import find_report, report_kind
from diamond_cutter.tasks.tuning.preset import Preset, read_preset

_LISTED = 10

_Parsed = TypeVar("_Parsed", RenderRecipe, ModelCard)


class SetReport(FrozenModel):
    """The statistics of a sprite set, layer by layer."""

    key: str
    model: str
    recipe: str
    layers: tuple[LayerReport, ...]
    runs: tuple[str, ...] = Field(default=(), description="keys of the complete runs")


class ShownRecord(FrozenModel):
    """A record, and whether the file that it commits is whole."""

    key: str
    record: (
        ShardRecord
        | SpritemapRecord
        | RunRecord
        | RunExecution
        | PhotoActivations
        | Preset
        | RenderRecipe
        | ModelCard
    )
    file_is_whole: bool | None = Field(default=None, description="null if it commits no file")
    executions: tuple[RunExecution, ...] = Field(
        default=(), description="of a run, the oldest first"
    )


Shown = LayerReport | SetReport | ReportSummary | CutSummary | CompareSummary | ShownRecord


def show(bucket: Bucket, given: str) -> Shown:
    """Return the layer, set, report or record of a key.

    Args:
        bucket: the bucket with the key.
        given: a key, with or without `sprites/`, its URL or path, or an unambiguous short name.

    Raises:
        RequestError: the key does not exist (names the most similar ones), or is ambiguous.
        Corrupt: the record is unreadable.
    """
    keys = keys_meant(bucket, given)
    for key in (*keys, *(f"sprites/{key}" for key in keys)):
        found = _shown(bucket, key)
        if found is not None:
            return found
    named = (
        []
        if is_there(bucket, keys[0])
        else sorted({key for name in keys for key in keys_named(bucket, name)})
    )
    if len(named) > 1:
        listed = ", ".join(map(repr, named[:_LISTED])) + (
            f" and {len(named) - _LISTED} more" if len(named) > _LISTED else ""
        )
        raise RequestError(
            f"{given!r} is ambiguous in {bucket.url}: found {len(named)} keys: {listed}. Give one "
            "of these keys."
        )
    found = _shown(bucket, named[0]) if named else None
    if found is None:
        raise RequestError(nothing_there(bucket, given, keys[0]))
    return found


def _shown(bucket: Bucket, key: str) -> Shown | None:
    return (
        _record(bucket, key)
        or _committed_by(bucket, key)
        or _folder(bucket, key)
        or _report(bucket, key)
    )


def _record(bucket: Bucket, key: str) -> ShownRecord | None:
    """Return the record under a key, or None if there is no record."""
    folders = key.split("/")
    if len(folders) == 3 and key in (card_key(folders[1]), graph_key(folders[1])):
        return _card(bucket, card_key(folders[1]))
    if len(folders) == 3 and key == preset_key(folders[1]) and is_there(bucket, key):
        preset = read_preset(bucket, folders[1])
        return ShownRecord(key=key, record=preset) if preset else None
    if len(folders) > 4 and key.startswith(photos_folder(folders[1])) and is_there(bucket, key):
        return ShownRecord(key=key, record=PhotoActivations.from_bytes(bucket.get(key), key))
    if folders[0] != "sprites" or len(folders) not in (4, 5) or not is_there(bucket, key):
        return None
    if len(folders) == 4:
        return (
            _recipe(bucket, key, folders[2]) if key == recipe_key(folders[1], folders[2]) else None
        )
    if is_run_record(key):
        run = RunRecord.from_bytes(bucket.get(key), key)
        return ShownRecord(key=key, record=run, executions=tuple(executions_of(bucket, key)))
    if is_run_execution(key):
        return ShownRecord(key=key, record=RunExecution.from_bytes(bucket.get(key), key))
    if not (is_shard_record(key) or is_spritemap_record(key)):
        return None
    record = (ShardRecord if is_shard_record(key) else SpritemapRecord).from_bytes(
        bucket.get(key), key
    )
    return ShownRecord(key=key, record=record, file_is_whole=is_whole(bucket, record.file))


def _card(bucket: Bucket, key: str) -> ShownRecord | None:
    if not is_there(bucket, key):
        return None
    model = key.split("/")[1]
    card = _parsed(bucket, key, ModelCard, bundle_remedy(model))
    if card.key != model:
        raise Corrupt(
            f"{key} does not match its folder: found the card of {card.key}. {bundle_remedy(model)}"
        )
    return ShownRecord(key=key, record=card, file_is_whole=graph_is_whole(bucket, card))


def _recipe(bucket: Bucket, key: str, name: str) -> ShownRecord:
    recipe = _parsed(bucket, key, RenderRecipe, "The next run writes it again.")
    if recipe.key != name:
        raise Corrupt(
            f"{key} does not match its folder: found the recipe {recipe.key}. The next run writes "
            "it again."
        )
    return ShownRecord(key=key, record=recipe)


def _committed_by(bucket: Bucket, key: str) -> ShownRecord | None:
    """Return the record that commits a file, or None if there is none."""
    beside = record_beside(key)
    shown = _record(bucket, beside) if beside else None
    if shown is None or not isinstance(shown.record, ShardRecord | SpritemapRecord):
        return None
    if shown.record.file.key != key:
        raise RequestError(
            f"{key!r} is unused: its record names {shown.record.file.key!r}. Show that file."
        )
    return shown


def _folder(bucket: Bucket, key: str) -> LayerReport | SetReport | None:
    """Return the statistics of the layer or set of a key, or None if it is of neither."""
    for model, recipe in set_names(bucket):
        folder = set_folder(model, recipe)
        if not f"{key}/".startswith(folder):
            continue
        card = read_card(bucket, model)
        layers = layer_names(bucket, model, recipe, card)
        if key in (folder.rstrip("/"), index_key(model, recipe), gallery_key(model, recipe)):
            reports = tuple(report_layer(bucket, model, recipe, layer, card) for layer in layers)
            listed = (info.key for info in bucket.list(f"{folder}runs/"))
            runs = tuple(sorted(filter(is_run_record, listed)))
            return SetReport(key=folder, model=model, recipe=recipe, layers=reports, runs=runs)
        # The name of a layer may look like the folder of another one: the folder wins.
        meant = {layer: layer for layer in layers}
        meant |= {escape(layer): layer for layer in layers}
        rest = key.removeprefix(folder)
        named = next(
            (layer for layer in layers if key == mixes_key(model, recipe, layer)), meant.get(rest)
        )
        return report_layer(bucket, model, recipe, named, card) if named is not None else None
    return None


def _report(bucket: Bucket, key: str) -> ReportSummary | CutSummary | CompareSummary | None:
    """Return the summary of the report of a key, or None if it is of none."""
    folder = find_report(bucket, key)
    if folder is None:
        return None
    try:
        data = bucket.get(report_key(folder))
        record = report_kind(folder).from_bytes(data, report_key(folder))
    except NotFound as error:
        raise RequestError(
            f"{folder} has no complete report. Run the same command again to continue, or show a "
            "report that rests on it."
        ) from error
    if isinstance(record, CutReportRecord):
        return summary_of_cut(bucket, folder, record, (), reused=True)
    if isinstance(record, CompareReportRecord):
        return summary_of_compare(bucket, folder, record, reused=True)
    return summary_of(bucket, folder, record, reused=True)


def _parsed(bucket: Bucket, key: str, kind: type[_Parsed], remedy: str) -> _Parsed:
    try:
        return kind.model_validate_json(bucket.get(key))
    except ValidationError as error:
        raise Corrupt(
            f"{key} cannot be read ({error.errors(include_url=False)[0]['msg']}). {remedy}"
        ) from error
