"""Looks at what is in a bucket: which sprite sets, how far they are, whether every record is backed
by whole files.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

import pandas as pd
from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, Corrupt, NotFound
from diamond_cutter.storage.sets.layout import (
    index_key,
    is_mixes,
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
from diamond_cutter.storage.sets.sprite_set import LayerShards, is_whole, read_layer
from diamond_cutter.storage.sets.survey import LayerSurvey, survey_set
from diamond_cutter.storage.sets.views import Finding, check_view
from diamond_cutter.tasks.gallery.stored import gallery_checks
from diamond_cutter.tasks.gathering.contents import (
    in_forward_order,
    known_layer,
    layer_names,
    read_mixes,
    read_settings,
    set_names,
)
from diamond_cutter.tasks.gathering.index import indexed_shards, read_table, sprite_table
from diamond_cutter.tasks.importing.stored import bundle_damage, bundle_remedy, read_card
from diamond_cutter.tasks.reporting.stored import ReportListing, list_reports, report_checks
from diamond_cutter.tasks.tuning.preset import BadPreset, read_preset

_SPRITE = ["layer", "channel", "variant"]


class LayerListing(FrozenModel):
    """One layer of a sprite set."""

    layer: str = Field(description="its name, or that of mixes")
    sprites: int
    channels_done: int = Field(description="channels, or mixes, that have sprites")
    channels: int | None = Field(description="how many there are, if that is known")
    flagged: int
    damaged_shards: int = Field(description="those that do not count")
    spritemaps: tuple[str, ...]
    bytes: int
    updated: datetime | None = Field(description="when something of it was last written")


class SetListing(FrozenModel):
    """One sprite set: a model's sprites by one recipe."""

    model: str
    recipe: str
    layers: tuple[LayerListing, ...]
    runs: int = Field(description="selections that were rendered to the end")
    bytes: int
    updated: datetime | None = Field(description="when something was last written")


class BucketListing(FrozenModel):
    """What is in a bucket, beside models."""

    sets: tuple[SetListing, ...]
    reports: tuple[ReportListing, ...]


class Problem(FrozenModel):
    """A file that is not what it should be."""

    key: str
    problem: str


class Verification(FrozenModel):
    """What `verify` found."""

    records: int = Field(
        description="how many records, and pages with what they load, were checked"
    )
    problems: tuple[Problem, ...]
    unchecked: tuple[str, ...] = Field(
        default=(),
        description="published files that only look sound: they are older than the checksums of "
        "such files",
    )


def list_bucket(bucket: Bucket) -> BucketListing:
    """Return the sprite sets and the reports in a bucket."""
    return BucketListing(sets=tuple(list_sets(bucket)), reports=tuple(list_reports(bucket)))


def list_sets(bucket: Bucket) -> list[SetListing]:
    """Return the sprite sets in a bucket, with their layers in forward order, mixes behind them."""
    return [_list_set(bucket, model, recipe) for model, recipe in set_names(bucket)]


def verify(bucket: Bucket, *, deep: bool = False) -> Verification:
    """Check every record in a bucket, the checksum of every file that a record names, and every
    page with the files that it loads.

    Args:
        bucket: where.
        deep: read every file, also where the bucket knows its checksum.
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


def channel_count(
    bucket: Bucket, model: str, recipe: str, layer: str, card: ModelCard | None
) -> int | None:
    """Return how many channels a layer has, or how many mixes there are, or None where neither is
    known.
    """
    known = known_layer(card, layer)
    if known is not None or not is_mixes(layer):
        return known.channels if known else None
    mixes = read_mixes(bucket, model, recipe, layer)
    return len(mixes.mixes) if mixes else None


def _list_set(bucket: Bucket, model: str, recipe: str) -> SetListing:
    survey = survey_set(bucket, model, recipe, indexed_shards(bucket, model, recipe))
    card = read_card(bucket, model)
    return SetListing(
        model=model,
        recipe=recipe,
        layers=tuple(
            _list_layer(survey.of(name), name, channel_count(bucket, model, recipe, name, card))
            for name in in_forward_order(survey.layers, card)
        ),
        runs=survey.runs,
        bytes=survey.size,
        updated=survey.updated,
    )


def _list_layer(there: LayerSurvey, layer: str, channels: int | None) -> LayerListing:
    sprites = there.sprites()
    return LayerListing(
        layer=layer,
        sprites=len(sprites),
        channels_done=len(there.owners()),
        channels=channels,
        flagged=sum(sprite.flagged for sprite in sprites),
        damaged_shards=len(there.damaged),
        spritemaps=there.spritemaps,
        bytes=there.size,
        updated=there.updated,
    )


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
    """Yield, for each record, what is wrong with it, or None."""
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
        committed = any(True for _ in bucket.list(set_folder(model, recipe) + "runs/"))
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
        problem="The record is of other photos, or of another layer, than its key says; remove it.",
    )


def _check_spritemap(
    bucket: Bucket, found: SpritemapRecord | Problem, reread: bool
) -> Problem | None:
    if isinstance(found, Problem) or is_whole(bucket, found.file, reread=reread):
        return found if isinstance(found, Problem) else None
    return Problem(
        key=found.file.key,
        problem="The spritemap is missing or is not what its record says; the next run gathers it "
        "anew.",
    )


def _check_mixes(bucket: Bucket, model: str, recipe: str, name: str) -> Problem | None:
    if read_mixes(bucket, model, recipe, name) is not None:
        return None
    why = (
        "The mixes are missing or are not those that the folder is named after; the next run of "
        "them writes them anew."
    )
    return Problem(key=mixes_key(model, recipe, name), problem=why)


def check_runs(bucket: Bucket, model: str, recipe: str) -> Iterator[Problem | None]:
    """Yield, for the record of each run of a set, what is wrong with it, or None."""
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
            f"{len(gone)} records that the run made are missing, the first is {first}; the same "
            "run again makes them anew."
        )
        yield Problem(key=key, problem=why) if gone else None


def check_recipe(bucket: Bucket, model: str, recipe: str) -> Problem | None:
    """Return what is wrong with the recipe of a set, or None."""
    key = recipe_key(model, recipe)
    if read_settings(bucket, model, recipe) is not None:
        return None
    return Problem(
        key=key, problem="The recipe is missing or is not what it was; the next run writes it anew."
    )


def _check_index(
    bucket: Bucket, model: str, recipe: str, layers: Mapping[str, LayerShards], *, committed: bool
) -> Problem | Finding | None:
    key = index_key(model, recipe)
    # An index without a record of its content is still compared with what the records of its
    # sprites say.
    found = check_view(bucket, key, due=committed, judge=lambda data: True)
    try:
        wrong = (
            0 if found else _contradictions(read_table(bucket, key), sprite_table(layers, layers))
        )
    except NotFound:
        return None  # a run that has not finished has none yet
    except (Corrupt, KeyError):
        return Problem(key=key, problem="The index cannot be read; the next run writes it anew.")
    if wrong:
        return Problem(
            key=key,
            problem=f"The index contradicts the records of {wrong} sprites; the next run writes "
            "it anew.",
        )
    return found


def _contradictions(index: pd.DataFrame, records: pd.DataFrame) -> int:
    """Count the sprites of which the index says what no record does; it may lack some until the run
    that adds them has ended.
    """
    known = index.merge(records[_SPRITE])
    # Photos that came after a shard are only in the index.
    ratios = records[[*_SPRITE, "photo_ratio"]].merge(
        known[[*_SPRITE, "photo_ratio"]], on=_SPRITE, suffixes=("", "_in_index")
    )
    said = records.drop(columns="photo_ratio").merge(ratios, on=_SPRITE)
    said["photo_ratio"] = said["photo_ratio"].fillna(said.pop("photo_ratio_in_index"))
    return len(known) - len(known.merge(said, on=list(records.columns)))
