"""What a run would do: the channels asked for, less those that the bucket's records cover, cut into shards."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flows.request import AUTO, Selection, SpritesRequest, select
from model_inventory.card import ModelCard
from storage import Bucket
from storage.set_survey import LayerSurvey, survey_set
from storage.sprite_set import channels_missing
from tasks.gathering.index import indexed_shards
from tasks.rendering.recipe import RenderRecipe
from tasks.rendering.subjects import Channels, Mixes
from tasks.rendering.task import SHARD_CHANNELS, ShardJob
from tasks.tuning.preset import read_preset


@dataclass(frozen=True)
class LayerPlan:
    """One layer of a run, or the mixes that are rendered instead.

    subjects: what the sprites are of.
    channels: those that are asked for, or the mixes' numbers.
    out_of: how many the layer has, or how many mixes there are.
    variants: how many sprites each of them has.
    shards: those of them that are to be rendered, cut into shards.
    damaged: why records that are there do not count, by their keys.
    """

    subjects: Channels | Mixes
    channels: tuple[int, ...]
    out_of: int
    variants: int
    shards: tuple[tuple[int, ...], ...]
    damaged: Mapping[str, str]

    @property
    def layer(self) -> str:
        """Return the layer's name, or that of the mixes."""
        return self.subjects.name

    @property
    def done(self) -> int:
        """Return how many sprites are there."""
        return len(self.channels) * self.variants - self.to_do

    @property
    def to_do(self) -> int:
        """Return how many sprites are to be rendered."""
        return sum(map(len, self.shards)) * self.variants


@dataclass(frozen=True)
class RunPlan:
    """All layers of a run, in forward order, or its mixes."""

    card: ModelCard
    layers: tuple[LayerPlan, ...]

    @property
    def to_do(self) -> int:
        """Return how many sprites are to be rendered."""
        return sum(layer.to_do for layer in self.layers)

    @property
    def done(self) -> int:
        """Return how many sprites are there."""
        return sum(layer.done for layer in self.layers)

    @property
    def shard_count(self) -> int:
        """Return how many shards are to be rendered."""
        return sum(len(layer.shards) for layer in self.layers)

    @property
    def selection_id(self) -> str:
        """Return the hash that names what was asked for."""
        return selection_id({layer.layer: layer.channels for layer in self.layers})


def selection_id(asked: Mapping[str, Sequence[int]]) -> str:
    """Return the hash that names the channels that a run was asked for, by layer."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]


def settle_recipe(bucket: Bucket, card: ModelCard, request: SpritesRequest) -> SpritesRequest:
    """Return the request with the recipe that `auto` stands for: the model's preset if it was tuned, or else fast."""
    if request.recipe.name != AUTO:
        return request
    preset = read_preset(bucket, card.key)
    return request.model_copy(update={"recipe": preset.recipe if preset else RenderRecipe()})


def plan_run(bucket: Bucket, card: ModelCard, request: SpritesRequest) -> RunPlan:
    """Return what the request asks for and what of it is missing.

    Raises:
        UnknownLayer, RequestError: what is asked for does not exist.
    """
    selections = select(card, request)
    recipe = request.recipe.key
    survey = survey_set(bucket, card.key, recipe, indexed_shards(bucket, card.key, recipe))
    return RunPlan(card, tuple(_plan_layer(request, selection, survey.of(selection.subjects.name)) for selection in selections))


def shard_jobs(plan: RunPlan, request: SpritesRequest, photos: Mapping[str, str] | None = None) -> Iterator[ShardJob]:
    """Yield the shards to render, layer by layer.

    Args:
        plan: the run's.
        request: what was asked for.
        photos: the key of the record of what the user's photos do to a layer, by layer.
    """
    for layer in plan.layers:
        for numbers in layer.shards:
            yield ShardJob(
                bucket=request.bucket,
                model=plan.card.key,
                subjects=layer.subjects,
                numbers=numbers,
                recipe=request.recipe,
                batch_size=request.batch_size,
                photos=(photos or {}).get(layer.layer),
            )


def _plan_layer(request: SpritesRequest, selection: Selection, there: LayerSurvey) -> LayerPlan:
    recipe = request.recipe
    missing = channels_missing(selection.numbers, there.owners())
    at_once = recipe.subjects_in(SHARD_CHANNELS)
    return LayerPlan(
        subjects=selection.subjects,
        channels=selection.numbers,
        out_of=selection.out_of,
        variants=recipe.variants,
        shards=tuple(missing[first : first + at_once] for first in range(0, len(missing), at_once)),
        damaged=there.damaged,
    )
