"""Checks the records of a bucket, the files that they name, and the published pages."""

from collections.abc import Iterator, Mapping

import pandas as pd
from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket, Corrupt, NotFound
from diamond_cutter.storage.sets.executions import RunExecution
from diamond_cutter.storage.sets.layout import (
    index_key,
    is_mixes,
    is_run_execution,
    is_run_record,
    is_spritemap_record,
    layer_folder,
    mixes_key,
    photo_activations_key,
    photos_folder,
    preset_key,
    recipe_key,
    set_folder,
)
from diamond_cutter.storage.sets.records import PhotoActivations, RunRecord, SpritemapRecord
from diamond_cutter.storage.sets.sprite_set import (
    LayerShards,
    is_whole,
    read_layer,
    read_record,
)
from diamond_cutter.storage.sets.views import Finding, check_view
from diamond_cutter.tasks.gallery.stored import gallery_checks
from diamond_cutter.tasks.gathering.contents import (
    layer_names,
    read_mixes,
    read_settings,
    set_names,
)
from diamond_cutter.tasks.gathering.index import read_table, sprite_table
from diamond_cutter.tasks.importing.stored import bundle_damage, bundle_remedy, read_card
from diamond_cutter.tasks.stored_reports import report_checks
from diamond_cutter.tasks.tuning.preset import BadPreset, read_preset

_SPRITE = ["layer", "channel", "variant"]


class Problem(FrozenModel):
    """A missing, damaged or contradictory file."""

    key: str
    problem: str


class Verification(FrozenModel):
    """The result of `verify`."""

    records: int = Field(description="number of checked records, and of pages with their files")
    problems: tuple[Problem, ...]
    unchecked: tuple[str, ...] = Field(
        default=(),
        description="published files without a checksum, from an earlier version",
    )


def verify(bucket: Bucket, *, deep: bool = False) -> Verification:
    """Check every record in a bucket, the checksum of every file, and every published page.

    Args:
        bucket: the bucket to check.
        deep: read every file, even if the bucket stores its checksum.
    """
    records = 0
    problems: list[Problem] = []
    unchecked: list[str] = []
    for found in _checks(bucket, reread=deep):
        records += 1
        if isinstance(found, Problem):
            problems.append(found)
        elif found is not None and found.problem is not None:
            problems.append(Problem(key=found.key, problem=found.problem))
        elif found is not None:
            unchecked.append(found.key)
    return Verification(records=records, problems=tuple(problems), unchecked=tuple(unchecked))


def _spritemaps(
    bucket: Bucket, model: str, recipe: str, layer: str
) -> Iterator[SpritemapRecord | Problem]:
    for info in bucket.list(layer_folder(model, recipe, layer) + "spritemap."):
        if is_spritemap_record(info.key):
            try:
                yield SpritemapRecord.from_bytes(bucket.get(info.key), info.key)
            except Corrupt as error:
                yield Problem(key=info.key, problem=str(error))


def _checks(bucket: Bucket, *, reread: bool) -> Iterator[Problem | Finding | None]:
    """Yield the problem of each record, or None."""
    for folder in bucket.folders("models/"):
        model = folder.split("/")[1]
        yield _check_bundle(bucket, model, reread)
        if bucket.stat(preset_key(model)) is not None:
            yield _check_preset(bucket, model)
        yield from (_check_photos(bucket, info.key) for info in bucket.list(photos_folder(model)))
    for model, recipe in set_names(bucket):
        card = read_card(bucket, model)
        layers = {
            layer: read_layer(bucket, model, recipe, layer, reread=reread)
            for layer in layer_names(bucket, model, recipe, card)
        }
        for layer, shards in layers.items():
            yield from (Problem(key=key, problem=why) for key, why in shards.damaged.items())
            yield from (None for _ in shards.sound)
            yield from (
                _check_spritemap(bucket, found, reread)
                for found in _spritemaps(bucket, model, recipe, layer)
            )
            if is_mixes(layer) and not (card and any(known.name == layer for known in card.layers)):
                yield _check_mixes(bucket, model, recipe, layer)
        yield check_recipe(bucket, model, recipe)
        yield from check_runs(bucket, model, recipe)
        in_runs = bucket.list(set_folder(model, recipe) + "runs/")
        committed = any(is_run_record(info.key) for info in in_runs)
        yield _check_index(bucket, model, recipe, layers, committed=committed)
        yield from gallery_checks(bucket, model, recipe, committed=committed, reread=reread)
    yield from report_checks(bucket, reread=reread)


def _check_bundle(bucket: Bucket, model: str, reread: bool) -> Problem | None:
    damage = bundle_damage(bucket, model, reread=reread)
    return Problem(key=damage[0], problem=f"{damage[1]} {bundle_remedy(model)}") if damage else None


def _check_preset(bucket: Bucket, model: str) -> Problem | None:
    try:
        read_preset(bucket, model)
    except BadPreset as error:
        return Problem(key=preset_key(model), problem=str(error))
    return None


def _check_photos(bucket: Bucket, key: str) -> Problem | None:
    try:
        record = PhotoActivations.from_bytes(bucket.get(key), key)
    except Corrupt as error:
        return Problem(key=key, problem=str(error))
    if key == photo_activations_key(
        record.model, record.photos, record.layer, pre_activation=record.pre_activation
    ):
        return None
    return Problem(
        key=key,
        problem="The record does not match its key: it has other photos or another layer. Remove "
        "it.",
    )


def _check_spritemap(
    bucket: Bucket, found: SpritemapRecord | Problem, reread: bool
) -> Problem | None:
    if isinstance(found, Problem) or is_whole(bucket, found.file, reread=reread):
        return found if isinstance(found, Problem) else None
    return Problem(
        key=found.file.key,
        problem="The spritemap is missing or damaged. The next run gathers it again.",
    )


def _check_mixes(bucket: Bucket, model: str, recipe: str, name: str) -> Problem | None:
    if read_mixes(bucket, model, recipe, name) is not None:
        return None
    why = "The mixes are missing or do not match their folder. Their next run writes them again."
    return Problem(key=mixes_key(model, recipe, name), problem=why)


def check_runs(bucket: Bucket, model: str, recipe: str) -> Iterator[Problem | None]:
    """Yield the problem of each record of a run or of an execution of a set, or None."""
    listed = {info.key for info in bucket.list(set_folder(model, recipe))}
    for key in sorted(filter(is_run_record, listed)):
        try:
            record = RunRecord.from_bytes(bucket.get(key), key)
        except Corrupt as error:
            yield Problem(key=key, problem=str(error))
            continue
        gone = [each for each in (*record.shards, *record.spritemaps) if each not in listed]
        first = gone[0] if gone else ""
        why = (
            f"{len(gone)} records of the run are missing, the first is {first}. Run the same "
            "command to create them again."
        )
        yield Problem(key=key, problem=why) if gone else None
    yield from (_check_execution(bucket, key) for key in sorted(filter(is_run_execution, listed)))


def _check_execution(bucket: Bucket, key: str) -> Problem | None:
    if read_record(bucket, key, RunExecution) is not None:
        return None
    return Problem(
        key=key,
        problem="The times of this run are unreadable, and cannot be found out again. Remove them.",
    )


def check_recipe(bucket: Bucket, model: str, recipe: str) -> Problem | None:
    """Return the problem of the recipe of a set, or None."""
    key = recipe_key(model, recipe)
    if read_settings(bucket, model, recipe) is not None:
        return None
    return Problem(
        key=key, problem="The recipe is missing or was changed. The next run writes it again."
    )


def _check_index(
    bucket: Bucket, model: str, recipe: str, layers: Mapping[str, LayerShards], *, committed: bool
) -> Problem | Finding | None:
    key = index_key(model, recipe)
    # An index without a checksum is still compared with the records of its sprites.
    found = check_view(bucket, key, due=committed, judge=lambda data: True)
    try:
        wrong = (
            0 if found else _contradictions(read_table(bucket, key), sprite_table(layers, layers))
        )
    except NotFound:
        return None  # an unfinished run has no index yet
    except (Corrupt, KeyError):
        return Problem(key=key, problem="The index is unreadable. The next run writes it again.")
    if wrong:
        return Problem(
            key=key,
            problem=f"The index contradicts the records of {wrong} sprites. The next run writes it "
            "again.",
        )
    return found


def _contradictions(index: pd.DataFrame, records: pd.DataFrame) -> int:
    """Count the sprites that differ between index and records; the index may lack new sprites."""
    known = index.merge(records[_SPRITE])
    # Only the index has ratios to photos that were added after the shard.
    ratios = records[[*_SPRITE, "photo_ratio"]].merge(
        known[[*_SPRITE, "photo_ratio"]], on=_SPRITE, suffixes=("", "_in_index")
    )
    said = records.drop(columns="photo_ratio").merge(ratios, on=_SPRITE)
    said["photo_ratio"] = said["photo_ratio"].fillna(said.pop("photo_ratio_in_index"))
    return len(known) - len(known.merge(said, on=list(records.columns)))
