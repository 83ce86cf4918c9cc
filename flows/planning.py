"""The plan of a run: shards with the missing channels, and shards to copy from other sets."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from diamond_cutter.flows.channel_selection import Selection, select
from diamond_cutter.flows.request_fields import AUTO
from diamond_cutter.flows.run_scope import cards_with_sets
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, Token
from diamond_cutter.storage.sets.layout import run_record_key
from diamond_cutter.storage.sets.records import RunRecord
from diamond_cutter.storage.sets.sprite_set import channels_missing, read_record
from diamond_cutter.storage.sets.survey import survey_set
from diamond_cutter.tasks.gathering.adoption import Adoptable, find_adoptable
from diamond_cutter.tasks.gathering.index import indexed_shards
from diamond_cutter.tasks.rendering.presets import preset_for
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.shard import SHARD_CHANNELS, ShardJob
from diamond_cutter.tasks.rendering.subjects import Channels, Mixes
from diamond_cutter.tasks.tuning.preset import read_preset


@dataclass(frozen=True)
class LayerPlan:
    """One layer of a run, or the mixes that are rendered instead.

    subjects: the channels or mixes of the sprites.
    channels: the requested channels, or the numbers of the mixes.
    out_of: the number of channels of the layer, or of mixes.
    variants: sprites per channel or mix.
    shards: the channels to render, shard by shard.
    damaged: the reasons why records are ignored, by key.
    adoptable: shards of other sets to copy instead of rendering.
    adopted: the number of requested sprites in these.
    postponed: channels that are missing, but that this run does not render.
    """

    subjects: Channels | Mixes
    channels: tuple[int, ...]
    out_of: int
    variants: int
    shards: tuple[tuple[int, ...], ...]
    damaged: Mapping[str, str]
    adoptable: tuple[Adoptable, ...] = ()
    adopted: int = 0
    postponed: tuple[int, ...] = ()

    @property
    def layer(self) -> str:
        """Return the name of the layer, or of the mixes."""
        return self.subjects.name

    @property
    def done(self) -> int:
        """Return the number of sprites in the set, or in other sets to copy from."""
        return (len(self.channels) - len(self.postponed)) * self.variants - self.to_do

    @property
    def to_do(self) -> int:
        """Return the number of sprites to render."""
        return sum(map(len, self.shards)) * self.variants


@dataclass(frozen=True)
class RunPlan:
    """All layers of a run, in forward order, or its mixes.

    gathered: the versions of the records of spritemaps and runs in the set, by key.
    """

    card: ModelCard
    layers: tuple[LayerPlan, ...]
    gathered: Mapping[str, Token] = field(default_factory=dict)

    @property
    def to_do(self) -> int:
        """Return the number of sprites to render."""
        return sum(layer.to_do for layer in self.layers)

    @property
    def done(self) -> int:
        """Return the number of sprites that need no rendering."""
        return sum(layer.done for layer in self.layers)

    @property
    def adoptable(self) -> tuple[Adoptable, ...]:
        """Return the shards to copy from other sets."""
        return tuple(shard for layer in self.layers for shard in layer.adoptable)

    @property
    def adopted(self) -> int:
        """Return the number of requested sprites to copy from other sets."""
        return sum(layer.adopted for layer in self.layers)

    @property
    def shard_count(self) -> int:
        """Return the number of shards to render."""
        return sum(len(layer.shards) for layer in self.layers)

    @property
    def selection_id(self) -> str:
        """Return the hash that names the requested channels."""
        return selection_id({layer.layer: layer.channels for layer in self.layers})


def only_failed(bucket: Bucket, plan: RunPlan, recipe: RenderRecipe) -> RunPlan:
    """Return a plan that renders only what failed in the last run of the same selection."""
    key = run_record_key(plan.card.key, recipe.key, plan.selection_id)
    record = read_record(bucket, key, RunRecord)
    failed = record.failed if record else {}
    # Records of earlier versions name the failed parts only in sentences.
    unknown = record is not None and record.failures and not failed

    def narrowed(layer: LayerPlan) -> LayerPlan:
        missing = {channel for shard in layer.shards for channel in shard}
        again = missing if unknown else missing.intersection(failed.get(layer.layer, ()))
        kept = (tuple(filter(again.__contains__, shard)) for shard in layer.shards)
        return replace(
            layer,
            shards=tuple(shard for shard in kept if shard),
            postponed=tuple(sorted(missing - again)),
        )

    return replace(plan, layers=tuple(map(narrowed, plan.layers)))


def selection_id(asked: Mapping[str, Sequence[int]]) -> str:
    """Return the hash that names the requested channels of a run, given by layer."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]


def settle_recipe(bucket: Bucket, card: ModelCard, request: SpritesRequest) -> SpritesRequest:
    """Replace the recipe `auto`: by the preset of the model if it was tuned.

    Otherwise by the named recipe that suits the size of the model's images.

    Raises:
        BadPreset: the preset is unreadable.
    """
    if request.recipe.name != AUTO:
        return request
    preset = read_preset(bucket, card.key)
    recipe = preset.recipe if preset else suited_recipe(card)
    return request.model_copy(update={"recipe": recipe})


def suited_recipe(card: ModelCard) -> RenderRecipe:
    """Return the recipe `auto` of a model that was not tuned: it suits the size of its images."""
    return RenderRecipe(name=preset_for(card.image.height, card.image.width))


def plan_run(
    bucket: Bucket, card: ModelCard, request: SpritesRequest, *, adopting: bool = True
) -> RunPlan:
    """Return the plan of a request.

    Args:
        bucket: the bucket with the sprites.
        card: of the model.
        request: the request, with its recipe settled.
        adopting: also look for missing sprites in other sets, of any model.

    Raises:
        UnknownLayer, RequestError: a layer or channel does not exist.
    """
    selections = select(card, request)
    recipe = request.recipe
    survey = survey_set(bucket, card.key, recipe.key, indexed_shards(bucket, card.key, recipe.key))
    missing = {
        subjects: channels_missing(numbers, survey.of(subjects.name).owners())
        for subjects, numbers, _ in selections
    }
    adoptable = (
        find_adoptable(bucket, card, recipe, missing, partial(cards_with_sets, bucket))
        if adopting
        else {}
    )

    def planned(selection: Selection) -> LayerPlan:
        name = selection.subjects.name
        return _plan_layer(
            recipe,
            selection,
            missing[selection.subjects],
            adoptable.get(name, ()),
            survey.of(name).damaged,
        )

    return RunPlan(card, tuple(map(planned, selections)), survey.gathered)


def shard_jobs(
    plan: RunPlan, request: SpritesRequest, photos: Mapping[str, str] | None = None
) -> Iterator[ShardJob]:
    """Yield the shards to render, layer by layer.

    Args:
        plan: of the run.
        request: of the run.
        photos: by layer, the key of the record of its highest activations on the user's photos.
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
