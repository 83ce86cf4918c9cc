"""Lists the sprite sets and the reports in a bucket."""

from datetime import datetime

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.layout import is_mixes
from diamond_cutter.storage.sets.survey import LayerSurvey, survey_set
from diamond_cutter.tasks.gathering.contents import (
    in_forward_order,
    known_layer,
    read_mixes,
    set_names,
)
from diamond_cutter.tasks.gathering.index import indexed_shards
from diamond_cutter.tasks.importing.stored import read_card
from diamond_cutter.tasks.stored_reports import ReportListing, list_reports

_SPRITE = ["layer", "channel", "variant"]


class LayerListing(FrozenModel):
    """One layer of a sprite set."""

    layer: str = Field(description="the name of the layer, or of mixes")
    sprites: int
    channels_done: int = Field(description="number of channels, or mixes, with sprites")
    channels: int | None = Field(description="number of all channels or mixes, if known")
    flagged: int
    damaged_shards: int = Field(description="number of damaged shards, which are ignored")
    spritemaps: tuple[str, ...]
    bytes: int
    updated: datetime | None = Field(description="time of the last write")


class SetListing(FrozenModel):
    """One sprite set: a model's sprites by one recipe."""

    model: str
    recipe: str
    layers: tuple[LayerListing, ...]
    runs: int = Field(description="number of complete runs")
    bytes: int
    updated: datetime | None = Field(description="time of the last write")


class BucketListing(FrozenModel):
    """The sprite sets and reports in a bucket."""

    sets: tuple[SetListing, ...]
    reports: tuple[ReportListing, ...]


def list_bucket(bucket: Bucket) -> BucketListing:
    """Return the sprite sets and the reports in a bucket."""
    return BucketListing(sets=tuple(list_sets(bucket)), reports=tuple(list_reports(bucket)))


def list_sets(bucket: Bucket) -> list[SetListing]:
    """Return the sprite sets in a bucket, with layers in forward order, then mixes."""
    return [_list_set(bucket, model, recipe) for model, recipe in set_names(bucket)]


def channel_count(
    bucket: Bucket, model: str, recipe: str, layer: str, card: ModelCard | None
) -> int | None:
    """Return the number of channels of a layer, or of mixes, or None if it is unknown."""
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
