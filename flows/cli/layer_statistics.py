"""Statistics of a layer's sprites: flags, rungs, distributions of scores, extreme channels."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import get_args

import numpy as np
from pydantic import Field

from diamond_cutter.flows.cli.listing import channel_count
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.layout import layer_folder
from diamond_cutter.storage.sets.records import (
    FLAGS,
    SCORES,
    Attempt,
    Flag,
    Rung,
    Score,
    SpriteScores,
)
from diamond_cutter.storage.sets.sprite_set import read_layer
from diamond_cutter.tasks.gathering.contents import channel_labels, spritemap_records

ATTEMPTS: tuple[Attempt, ...] = ("first", *get_args(Rung), "none")
_BINS = 16
_EXTREMES = 5


class Distribution(FrozenModel):
    """The distribution of one score over the sprites of a layer that have it."""

    score: Score
    sprites: int
    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float
    histogram: tuple[int, ...] = Field(
        description="sprites in each of 16 equal parts from the minimum to the maximum"
    )


class ChannelScores(FrozenModel):
    """The scores of the best sprite of a channel."""

    label: str | None = Field(description="the name of the mix or the class, if it is one")
    scores: SpriteScores


class LayerReport(FrozenModel):
    """The statistics of a layer's sprites."""

    key: str
    layer: str = Field(description="the name of the layer, or of mixes")
    sprites: int
    channels_done: int = Field(description="number of channels, or mixes, with sprites")
    channels: int | None = Field(description="number of all channels or mixes, if known")
    damaged_shards: int = Field(description="number of damaged shards, which are ignored")
    flagged: int = Field(description="number of sprites with any flag")
    flags: dict[Flag, int]
    rungs: dict[Attempt, int] = Field(
        description="sprites by the attempt that produced them; none: every attempt failed"
    )
    distributions: tuple[Distribution, ...]
    weakest: tuple[ChannelScores, ...] = Field(
        description="the channels with the lowest objectives, lowest first"
    )
    strongest: tuple[ChannelScores, ...] = Field(
        description="the channels with the highest objectives, highest first"
    )

    def median(self, score: Score) -> float | None:
        """Return the median of a score, or None if no sprite has it."""
        return next((found.median for found in self.distributions if found.score == score), None)


def report_layer(
    bucket: Bucket, model: str, recipe: str, layer: str, card: ModelCard | None
) -> LayerReport:
    """Return the statistics of a layer's sprites; `layer` may be the name of mixes."""
    shards = read_layer(bucket, model, recipe, layer)
    places = shards.places().values()
    # Only spritemaps have ratios to photos that were added after the shard.
    gathered = (
        sprite
        for record in spritemap_records(bucket, model, recipe, layer)
        for sprite in record.sprites
    )
    sprites = _with_ratios_of(gathered, [place.scores for place in places])
    best = _strongest_first(sprites)
    labels = channel_labels(bucket, model, recipe, layer, card)
    lines = [
        ChannelScores(
            label=labels[scores.channel] if scores.channel < len(labels) else None, scores=scores
        )
        for scores in best
    ]
    flags = Counter(flag for sprite in sprites for flag in sprite.flags)
    rungs = Counter(sprite.rung for sprite in sprites)
    return LayerReport(
        key=layer_folder(model, recipe, layer),
        layer=layer,
        sprites=len(sprites),
        channels_done=len(shards.channels()),
        channels=channel_count(bucket, model, recipe, layer, card),
        damaged_shards=len(shards.damaged),
        flagged=sum(bool(sprite.flags) for sprite in sprites),
        flags={flag: flags[flag] for flag in FLAGS},
        rungs={attempt: rungs[attempt] for attempt in ATTEMPTS if rungs[attempt]},
        distributions=tuple(
            found for score in SCORES if (found := distribution(score, sprites)) is not None
        ),
        weakest=tuple(lines[: -_EXTREMES - 1 : -1]),
        strongest=tuple(lines[:_EXTREMES]),
    )


def distribution(score: Score, sprites: Iterable[SpriteScores]) -> Distribution | None:
    """Return the distribution of a score over sprites, or None if no sprite has it."""
    given = (getattr(sprite, score) for sprite in sprites)
    values = np.array([value for value in given if value is not None and math.isfinite(value)])
    if not len(values):
        return None
    minimum, lower, median, upper, maximum = np.percentile(values, [0, 25, 50, 75, 100]).tolist()
    span = (maximum - minimum) or 1.0
    parts = np.minimum((values - minimum) / span * _BINS, _BINS - 1).astype(int)
    return Distribution(
        score=score,
        sprites=len(values),
        minimum=minimum,
        lower_quartile=lower,
        median=median,
        upper_quartile=upper,
        maximum=maximum,
        histogram=tuple(np.bincount(parts, minlength=_BINS).tolist()),
    )


def _with_ratios_of(
    gathered: Iterable[SpriteScores], sprites: Sequence[SpriteScores]
) -> list[SpriteScores]:
    compared = {
        sprite.model_copy(update={"photo_ratio": None}): sprite
        for sprite in gathered
        if sprite.photo_ratio is not None
    }
    return [compared.get(sprite, sprite) for sprite in sprites]


def _strongest_first(sprites: Iterable[SpriteScores]) -> list[SpriteScores]:
    """Return the best sprite of each channel, highest objective first, values not finite last."""
    best: dict[int, SpriteScores] = {}
    for sprite in sprites:
        best[sprite.channel] = max(best.get(sprite.channel, sprite), sprite, key=_objective)
    return sorted(best.values(), key=lambda sprite: (-_objective(sprite), sprite.channel))


def _objective(sprite: SpriteScores) -> float:
    return (
        sprite.objective
        if sprite.objective is not None and math.isfinite(sprite.objective)
        else -math.inf
    )
