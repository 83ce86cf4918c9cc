"""What a run would do: the channels asked for, less those that the bucket's records cover, cut into shards."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flows.request import SpritesRequest, select
from model_inventory.card import ModelCard
from storage import Bucket
from storage.sprite_set import channels_missing, read_layer
from tasks.rendering.task import SHARD_CHANNELS, ShardJob


@dataclass(frozen=True)
class LayerPlan:
    """One layer of a run."""

    layer: str
    channels: tuple[int, ...]
    done: int
    shards: tuple[tuple[int, ...], ...]
    damaged: Mapping[str, str]

    @property
    def to_do(self) -> int:
        """Return how many sprites are to be rendered."""
        return sum(map(len, self.shards))


@dataclass(frozen=True)
class RunPlan:
    """All layers of a run, in forward order."""

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
        asked = {layer.layer: layer.channels for layer in self.layers}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]


def plan_run(bucket: Bucket, card: ModelCard, request: SpritesRequest) -> RunPlan:
    """Return what the request asks for and what of it is missing.

    Raises:
        UnknownLayer, RequestError: what is asked for does not exist.
    """
    layers = select(card, request)
    return RunPlan(card, tuple(_plan_layer(bucket, card, request, layer, channels) for layer, channels in layers.items()))


def shard_jobs(plan: RunPlan, request: SpritesRequest) -> Iterator[ShardJob]:
    """Yield the shards to render, layer by layer."""
    for layer in plan.layers:
        for channels in layer.shards:
            yield ShardJob(
                bucket=request.bucket,
                model=plan.card.key,
                layer=layer.layer,
                channels=channels,
                recipe=request.recipe,
                batch_size=request.batch_size,
            )


def _plan_layer(bucket: Bucket, card: ModelCard, request: SpritesRequest, layer: str, channels: tuple[int, ...]) -> LayerPlan:
    shards = read_layer(bucket, card.key, request.recipe.key, layer)
    missing = channels_missing(channels, shards)
    return LayerPlan(
        layer=layer,
        channels=channels,
        done=len(channels) - len(missing),
        shards=tuple(missing[first : first + SHARD_CHANNELS] for first in range(0, len(missing), SHARD_CHANNELS)),
        damaged=shards.damaged,
    )
