"""Looks at what is in a bucket: which sprite sets, how far they are, whether every record is backed by whole files."""

import io
from collections.abc import Iterator

import pandas as pd
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from model_inventory.card import ModelCard
from storage import Bucket, Corrupt, NotFound
from storage.layout import (
    card_key,
    graph_key,
    index_key,
    is_run_record,
    is_spritemap_record,
    layer_folder,
    recipe_key,
    set_folder,
    unescape,
)
from storage.records import RunRecord, SpritemapRecord
from storage.sprite_set import is_whole, read_layer
from tasks.gathering.index import sprite_table
from tasks.importing.stored import graph_is_whole, read_card
from tasks.rendering.recipe import RenderRecipe


class LayerListing(BaseModel):
    """One layer of a sprite set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: str
    sprites: int
    channels: int | None
    flagged: int
    spritemaps: tuple[str, ...]


class SetListing(BaseModel):
    """One sprite set: a model's sprites by one recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    recipe: str
    layers: tuple[LayerListing, ...]
    runs: int
    bytes: int


class Problem(BaseModel):
    """A file that is not what it should be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    problem: str


class Verification(BaseModel):
    """What `verify` found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    records: int
    problems: tuple[Problem, ...]


def list_sets(bucket: Bucket) -> list[SetListing]:
    """Return the sprite sets in a bucket, with their layers in forward order."""
    return [_list_set(bucket, model, recipe) for model, recipe in _set_names(bucket)]


def verify(bucket: Bucket) -> Verification:
    """Check every record in a bucket, and the checksum of every file that a record names."""
    records = 0
    problems: list[Problem] = []
    for found in _checks(bucket):
        records += 1
        if found is not None:
            problems.append(found)
    return Verification(records=records, problems=tuple(problems))


def _set_names(bucket: Bucket) -> Iterator[tuple[str, str]]:
    for model_folder in bucket.folders("sprites/"):
        for recipe_folder in bucket.folders(model_folder):
            _, model, recipe, _ = recipe_folder.split("/")
            yield model, recipe


def _layer_names(bucket: Bucket, folder: str) -> list[str]:
    return [unescape(name) for name in (below.split("/")[3] for below in bucket.folders(folder)) if name != "runs"]


def _list_set(bucket: Bucket, model: str, recipe: str) -> SetListing:
    folder = set_folder(model, recipe)
    files = list(bucket.list(folder))
    card = read_card(bucket, model)
    order = [layer.name for layer in card.layers] if card else []
    names = sorted(_layer_names(bucket, folder), key=lambda name: (order.index(name) if name in order else len(order), name))
    return SetListing(
        model=model,
        recipe=recipe,
        layers=tuple(_list_layer(bucket, model, recipe, name, card) for name in names),
        runs=sum(is_run_record(info.key) for info in files),
        bytes=sum(info.size for info in files),
    )


def _list_layer(bucket: Bucket, model: str, recipe: str, layer: str, card: ModelCard | None) -> LayerListing:
    places = read_layer(bucket, model, recipe, layer).places()
    spritemaps = [record.file.key for record in _spritemaps(bucket, model, recipe, layer) if isinstance(record, SpritemapRecord)]
    return LayerListing(
        layer=layer,
        sprites=len(places),
        channels=next((known.channels for known in card.layers if known.name == layer), None) if card else None,
        flagged=sum(bool(place.scores.flags) for place in places.values()),
        spritemaps=tuple(spritemaps),
    )


def _spritemaps(bucket: Bucket, model: str, recipe: str, layer: str) -> Iterator[SpritemapRecord | Problem]:
    for info in bucket.list(layer_folder(model, recipe, layer) + "spritemap."):
        if is_spritemap_record(info.key):
            try:
                yield SpritemapRecord.from_bytes(bucket.get(info.key), info.key)
            except Corrupt as error:
                yield Problem(key=info.key, problem=str(error))


def _checks(bucket: Bucket) -> Iterator[Problem | None]:
    """Yield, for each record, what is wrong with it, or None."""
    for folder in bucket.folders("models/"):
        yield _check_bundle(bucket, folder.split("/")[1])
    for model, recipe in _set_names(bucket):
        for layer in _layer_names(bucket, set_folder(model, recipe)):
            shards = read_layer(bucket, model, recipe, layer)
            yield from (Problem(key=key, problem=why) for key, why in shards.damaged.items())
            yield from (None for _ in shards.sound)
            yield from (_check_spritemap(bucket, found) for found in _spritemaps(bucket, model, recipe, layer))
        yield _check_recipe(bucket, model, recipe)
        yield from _check_runs(bucket, model, recipe)
        yield _check_index(bucket, model, recipe)


def _check_bundle(bucket: Bucket, model: str) -> Problem | None:
    card = read_card(bucket, model)
    if card is None:
        return Problem(key=card_key(model), problem="The card is missing or cannot be read; the next run imports the model anew.")
    if not graph_is_whole(bucket, card):
        return Problem(key=graph_key(model), problem="The graph is not the one that its card describes; the next run imports it anew.")
    return None


def _check_spritemap(bucket: Bucket, found: SpritemapRecord | Problem) -> Problem | None:
    if isinstance(found, Problem) or is_whole(bucket, found.file):
        return found if isinstance(found, Problem) else None
    return Problem(key=found.file.key, problem="The spritemap is missing or is not what its record says; the next run gathers it anew.")


def _check_runs(bucket: Bucket, model: str, recipe: str) -> Iterator[Problem | None]:
    for info in bucket.list(set_folder(model, recipe) + "runs/"):
        try:
            record = RunRecord.from_bytes(bucket.get(info.key), info.key)
        except Corrupt as error:
            yield Problem(key=info.key, problem=str(error))
            continue
        gone = [key for key in (*record.shards, *record.spritemaps) if bucket.stat(key) is None]
        first = gone[0] if gone else ""
        why = f"{len(gone)} records that the run made are missing, the first is {first}; the same run again makes them anew."
        yield Problem(key=info.key, problem=why) if gone else None


def _check_recipe(bucket: Bucket, model: str, recipe: str) -> Problem | None:
    key = recipe_key(model, recipe)
    try:
        sound = RenderRecipe.model_validate_json(bucket.get(key)).key == recipe
    except (NotFound, ValidationError):
        sound = False
    return None if sound else Problem(key=key, problem="The recipe is missing or is not what it was; the next run writes it anew.")


def _check_index(bucket: Bucket, model: str, recipe: str) -> Problem | None:
    key = index_key(model, recipe)
    layers = {layer: read_layer(bucket, model, recipe, layer) for layer in _layer_names(bucket, set_folder(model, recipe))}
    try:
        # Not by pandas' own reader, which starts threads and loads file systems' drivers for a table of some kilobytes.
        index = pq.ParquetFile(io.BytesIO(bucket.get(key))).read(use_threads=False).to_pandas()
        wrong = _contradictions(index, sprite_table(layers, layers))
    except NotFound:
        return None  # a run that has not finished has none yet
    except Exception as error:  # whatever the Parquet reader makes of rubbish
        return Problem(key=key, problem=f"The index cannot be read ({type(error).__name__}); the next run writes it anew.")
    if wrong:
        return Problem(key=key, problem=f"The index contradicts the records of {wrong} sprites; the next run writes it anew.")
    return None


def _contradictions(index: pd.DataFrame, records: pd.DataFrame) -> int:
    """Count the sprites of which the index says what no record does; it may lack some until the run that adds them has ended."""
    known = index.merge(records[["layer", "channel"]])
    return len(known) - len(known.merge(records, on=list(records.columns)))
