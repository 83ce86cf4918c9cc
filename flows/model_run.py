"""One model in a run of `sprites`: what is requested, planned and done."""

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from diamond_cutter.flows.artifacts import RunArtifacts
from diamond_cutter.flows.planning import LayerPlan, RunPlan
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.storage.sets.records import Attempt, Flag, PhotoActivations, SpritemapRecord
from diamond_cutter.tasks.gathering.task import publish_index

INDEXED_TOGETHER = 256  # shards

Photos = Mapping[str, PhotoActivations]


@dataclass
class Outcome:
    """The shards and spritemaps of a model so far.

    found: the number of sprites that other runs have rendered meanwhile.
    """

    spritemaps: dict[str, SpritemapRecord] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)
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
    """

    request: SpritesRequest
    plan: RunPlan
    photos: Photos
    artifacts: RunArtifacts
    outcome: Outcome = field(default_factory=Outcome)

    def __post_init__(self) -> None:
        """Count what is left to do."""
        self.layers = {layer.layer: layer for layer in self.plan.layers}
        self.shards_left = Counter({layer.layer: len(layer.shards) for layer in self.plan.layers})
        self.layers_left = set(self.layers)
        self._gathered, self._index_due = 0, INDEXED_TOGETHER

    def highest(self, layer: str) -> dict[int, float]:
        """Return the highest activation of each channel of a layer on the user's photos."""
        return dict(enumerate(self.photos[layer].highest)) if layer in self.photos else {}

    def fail(self, layer: str, sentence: str) -> None:
        """Note that a part of a layer failed; its spritemap is then not gathered."""
        self.outcome.failures.setdefault(layer, []).append(sentence)

    def shard_done(self, layer: str) -> LayerPlan | None:
        """Note that a shard of a layer has ended; return the layer if it can be gathered."""
        self.shards_left[layer] -= 1
        if self.shards_left[layer]:
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
        self.artifacts.layer_done(len(self.outcome.spritemaps))
        self._gathered += len(layer.shards)
        if self._gathered >= self._index_due and not self.is_complete:
            self.publish_index()
            self._index_due = 2 * self._gathered

    @property
    def is_complete(self) -> bool:
        """Tell whether all layers have ended."""
        return not self.layers_left

    def publish_index(self) -> None:
        """Publish the index of the set, with the photos' highest activations."""
        highest = {layer: self.highest(layer) for layer in self.photos}
        publish_index(self.request.bucket, self.plan.card, self.request.recipe.key, highest)
