"""One model in a run of `sprites`: what is requested, planned and done."""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from diamond_cutter.flows.artifacts import RunArtifacts
from diamond_cutter.flows.planning import LayerPlan, RunPlan
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.claims import claim
from diamond_cutter.storage.sets.layout import index_key, run_record_key, spritemap_record_key
from diamond_cutter.storage.sets.records import (
    Attempt,
    Flag,
    PhotoActivations,
    RunRecord,
    SpritemapRecord,
)
from diamond_cutter.tasks.gathering.spritemap import part_name
from diamond_cutter.tasks.gathering.task import publish_index

INDEXED_TOGETHER = 256  # shards

Photos = Mapping[str, PhotoActivations]


@dataclass
class Outcome:
    """The shards and spritemaps of a model so far.

    found: the number of sprites that other runs have rendered meanwhile.
    failed_channels: the channels that could not be rendered, by layer.
    """

    spritemaps: dict[str, SpritemapRecord] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)
    failed_channels: dict[str, set[int]] = field(default_factory=dict)
    rendered: int = 0
    found: int = 0
    failed: int = 0
    render_seconds: float = 0.0

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return a sentence for each failed shard or spritemap."""
        return tuple(itertools.chain.from_iterable(self.failures.values()))

    @property
    def flagged(self) -> dict[Flag, int]:
        """Return the number of sprites with each flag in the spritemaps."""
        flags = Counter(
            flag
            for record in self.spritemaps.values()
            for sprite in record.sprites
            for flag in sprite.flags
        )
        return dict(sorted(flags.items()))

    @property
    def rungs(self) -> dict[Attempt, int]:
        """Return the number of sprites that each rung saved; `none` if every attempt failed."""
        rungs = Counter(
            sprite.rung
            for record in self.spritemaps.values()
            for sprite in record.sprites
            if sprite.rung != "first"
        )
        return dict(sorted(rungs.items()))


@dataclass
class ModelRun:
    """A model in a run.

    request: for this model alone, with its recipe settled.
    photos: the highest activations on the user's photos by layer; empty without photos.
    shards_left: the number of shards by layer that have not ended.
    layers_left: the layers whose spritemaps are not gathered yet.
    gathered_elsewhere: the layers whose spritemaps another run has gathered.
    committed: the record of another run of the same request that has published the model.
    """

    request: SpritesRequest
    plan: RunPlan
    photos: Photos
    artifacts: RunArtifacts
    outcome: Outcome = field(default_factory=Outcome)
    gathered_elsewhere: set[str] = field(default_factory=set)
    committed: RunRecord | None = None

    def __post_init__(self) -> None:
        """Count what is left to do."""
        self.layers = {layer.layer: layer for layer in self.plan.layers}
        self.shards_left = Counter({layer.layer: len(layer.shards) for layer in self.plan.layers})
        self.layers_left = set(self.layers)
        self._gathered, self._index_due = 0, INDEXED_TOGETHER

    @property
    def key(self) -> str:
        """Return the key of the record that commits the run of this model."""
        model, recipe = self.plan.card.key, self.request.recipe.key
        return run_record_key(model, recipe, self.plan.selection_id)

    def spritemap_key(self, layer: LayerPlan) -> str:
        """Return the key of the record of a layer's spritemap."""
        return spritemap_record_key(
            self.plan.card.key,
            self.request.recipe.key,
            layer.layer,
            part_name(layer.channels, layer.out_of),
        )

    @property
    def may_adopt(self) -> bool:
        """Tell whether spritemaps of other runs count: those of other photos differ."""
        return self.request.photos is None

    @property
    def may_adopt_run(self) -> bool:
        """Tell whether another run's record may be the result of this run: it failed at nothing."""
        return self.may_adopt and self.is_complete and not self.outcome.failures

    @property
    def has_shards_left(self) -> bool:
        """Tell whether some shards have not ended."""
        return any(self.shards_left.values())

    def highest(self, layer: str) -> dict[int, float]:
        """Return the highest activation of each channel of a layer on the user's photos."""
        return dict(enumerate(self.photos[layer].highest)) if layer in self.photos else {}

    def fail(self, layer: str, sentence: str, channels: Iterable[int] = ()) -> None:
        """Note that a part of a layer failed; its spritemap is then not gathered."""
        self.outcome.failures.setdefault(layer, []).append(sentence)
        if channels:
            self.outcome.failed_channels.setdefault(layer, set()).update(channels)

    def shard_done(self, layer: str) -> LayerPlan | None:
        """Note that a shard of a layer has ended; return the layer if it can be gathered."""
        self.shards_left[layer] -= 1
        if self.shards_left[layer] or self.layers[layer].postponed:
            return None
        if layer in self.outcome.failures:
            self.layers_left.discard(layer)
            return None
        return self.layers[layer]

    def spritemap_done(self, layer: LayerPlan) -> None:
        """Note that a layer has ended; publish the index in a run of days.

        Readers and restarts then need not read all records. Each index reads all records so far, so
        each comes after twice as many shards as the last one.
        """
        self.layers_left.discard(layer.layer)
        self.artifacts.layer_done(len(self.outcome.spritemaps) + len(self.gathered_elsewhere))
        if layer.layer in self.gathered_elsewhere:
            return  # the run that gathered it publishes the index
        self._gathered += len(layer.shards)
        if self._gathered >= self._index_due and not self.is_complete:
            key = index_key(self.plan.card.key, self.request.recipe.key)
            with claim(open_bucket(self.request.bucket), key) as is_ours:
                if is_ours:
                    self.publish_index()
            self._index_due = 2 * self._gathered

    @property
    def left(self) -> int:
        """Return the number of sprites that were neither rendered nor tried."""
        postponed = sum(len(layer.postponed) * layer.variants for layer in self.plan.layers)
        outcome = self.outcome
        return self.plan.to_do + postponed - outcome.rendered - outcome.found - outcome.failed

    @property
    def is_complete(self) -> bool:
        """Tell whether all layers have ended."""
        return not self.layers_left

    def publish_index(self) -> None:
        """Publish the index of the set, with the photos' highest activations."""
        highest = {layer: self.highest(layer) for layer in self.photos}
        publish_index(self.request.bucket, self.plan.card, self.request.recipe.key, highest)
