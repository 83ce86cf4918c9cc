"""What a run would do: the channels asked for, less those that the bucket's records cover, cut into
shards; and what is copied.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from diamond_cutter.flows.sprites_request import AUTO, Selection, SpritesRequest, select
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.sprite_set import channels_missing
from diamond_cutter.storage.sets.survey import survey_set
from diamond_cutter.tasks.gathering.adoption import Adoptable, find_adoptable
from diamond_cutter.tasks.gathering.index import indexed_shards
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Channels, Mixes
from diamond_cutter.tasks.rendering.task import SHARD_CHANNELS, ShardJob
from diamond_cutter.tasks.tuning.preset import read_preset


@dataclass(frozen=True)
class LayerPlan:
    """One layer of a run, or the mixes that are rendered instead.

    subjects: what the sprites are of.
    channels: those that are asked for, or the mixes' numbers.
    out_of: how many the layer has, or how many mixes there are.
    variants: how many sprites each of them has.
    shards: those of them that are to be rendered, cut into shards.
    damaged: why records that are there do not count, by their keys.
    adoptable: shards of other sets that are copied instead of being rendered again.
    adopted: how many of the sprites that are asked for come from these.
    """

    subjects: Channels | Mixes
    channels: tuple[int, ...]
    out_of: int
    variants: int
    shards: tuple[tuple[int, ...], ...]
    damaged: Mapping[str, str]
    adoptable: tuple[Adoptable, ...] = ()
    adopted: int = 0

    @property
    def layer(self) -> str:
        """Return the layer's name, or that of the mixes."""
        return self.subjects.name

    @property
    def done(self) -> int:
        """Return how many sprites are there, in the set or in another one that they are copied
        from.
        """
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
    def adoptable(self) -> tuple[Adoptable, ...]:
        """Return the shards of other sets that are copied."""
        return tuple(shard for layer in self.layers for shard in layer.adoptable)

    @property
    def adopted(self) -> int:
        """Return how many of the sprites that are asked for are copied from other sets."""
        return sum(layer.adopted for layer in self.layers)

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
    """Return the request with the recipe that `auto` stands for: the model's preset if it was
    tuned, or else fast.

    Raises:
        BadPreset: the model was tuned, and the preset cannot be used.
    """
    if request.recipe.name != AUTO:
        return request
    preset = read_preset(bucket, card.key)
    return request.model_copy(update={"recipe": preset.recipe if preset else RenderRecipe()})


def plan_run(
    bucket: Bucket, card: ModelCard, request: SpritesRequest, *, adopting: bool = True
) -> RunPlan:
    """Return what the request asks for and what of it is missing.

    Args:
        bucket: where.
        card: the model's.
        request: what is asked for.
        adopting: look for missing sprites in the model's other sets, too.

    Raises:
        UnknownLayer, RequestError: what is asked for does not exist.
    """
    selections = select(card, request)
    recipe = request.recipe
    survey = survey_set(bucket, card.key, recipe.key, indexed_shards(bucket, card.key, recipe.key))
    missing = {
        subjects: channels_missing(numbers, survey.of(subjects.name).owners())
        for subjects, numbers, _ in selections
    }
    adoptable = find_adoptable(bucket, card, recipe, missing) if adopting else {}

    def planned(selection: Selection) -> LayerPlan:
        name = selection.subjects.name
        return _plan_layer(
            recipe,
            selection,
            missing[selection.subjects],
            adoptable.get(name, ()),
            survey.of(name).damaged,
        )

    return RunPlan(card, tuple(map(planned, selections)))


def shard_jobs(
    plan: RunPlan, request: SpritesRequest, photos: Mapping[str, str] | None = None
) -> Iterator[ShardJob]:
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


def _plan_layer(
    recipe: RenderRecipe,
    selection: Selection,
    missing: tuple[int, ...],
    adoptable: Sequence[Adoptable],
    damaged: Mapping[str, str],
) -> LayerPlan:
    to_render = channels_missing(
        missing, (channel for shard in adoptable for channel in shard.channels)
    )
    at_once = recipe.subjects_in(SHARD_CHANNELS)
    return LayerPlan(
        subjects=selection.subjects,
        channels=selection.numbers,
        out_of=selection.out_of,
        variants=recipe.variants,
        shards=tuple(
            to_render[first : first + at_once] for first in range(0, len(to_render), at_once)
        ),
        damaged=damaged,
        adoptable=tuple(adoptable),
        adopted=(len(missing) - len(to_render)) * recipe.variants,
    )
