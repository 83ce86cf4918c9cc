"""Renders the shards of a plan, and gathers each layer's spritemap after its last shard."""

import itertools
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prefect.futures import PrefectFuture

from diamond_cutter.errors import first_line
from diamond_cutter.flows.artifacts import RunArtifacts
from diamond_cutter.flows.planning import LayerPlan, RunPlan, shard_jobs
from diamond_cutter.flows.progress import Progress
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.flows.task_futures import FutureQueue, error_of
from diamond_cutter.storage.sets.records import Attempt, Flag, PhotoActivations, SpritemapRecord
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.gathering.task import gather_spritemap, publish_index
from diamond_cutter.tasks.photos.activations import activations_key
from diamond_cutter.tasks.rendering.shard import ShardJob
from diamond_cutter.tasks.rendering.task import render_shard

INDEXED_TOGETHER = 256  # shards

Photos = Mapping[str, PhotoActivations]


@dataclass
class Outcome:
    """The shards and spritemaps of a run so far."""

    photos: Photos = field(default_factory=dict)
    spritemaps: dict[str, SpritemapRecord] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)
    rendered: int = 0
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


class SpritesRendering:
    """One run: its shards in flight, its layers that wait for shards, and its outcome."""

    def __init__(
        self,
        plan: RunPlan,
        request: SpritesRequest,
        photos: Photos,
        slots: DeviceSlots,
        progress: Progress,
        artifacts: RunArtifacts,
    ) -> None:
        self._plan, self._request, self._photos = plan, request, photos
        self._slots, self._progress, self._artifacts = slots, progress, artifacts
        self._outcome, self._started, self._not_indexed = Outcome(photos), time.monotonic(), 0
        self._layers = {layer.layer: layer for layer in plan.layers}
        self._shards_left = Counter({layer.layer: len(layer.shards) for layer in plan.layers})

    def run(self, shards_in_flight: int) -> Outcome:
        """Render and gather everything in the plan, and return the outcome."""
        records = {layer: activations_key(record) for layer, record in self._photos.items()}
        jobs = shard_jobs(self._plan, self._request, records)
        futures = FutureQueue[ShardJob | LayerPlan](jobs, self._submit, shards_in_flight)
        for layer in self._plan.layers:
            if not layer.shards:
                futures.add(layer)
        for job, future in futures:
            if isinstance(job, LayerPlan):
                self._note_spritemap(job, future)
                if self._not_indexed >= INDEXED_TOGETHER and not futures.is_empty:
                    # In a run of days, readers and restarts need not read all records.
                    publish_run_index(self._plan, self._request, self._photos)
                    self._not_indexed = 0
            else:
                self._note_shard(job, future)
                if self._is_ready(job.name):
                    futures.add(self._layers[job.name])
        return self._outcome

    def _is_ready(self, layer: str) -> bool:
        return self._shards_left[layer] == 0 and layer not in self._outcome.failures

    def _submit(self, job: ShardJob | LayerPlan) -> PrefectFuture[Any]:
        return self._gather(job) if isinstance(job, LayerPlan) else self._render(job)

    def _render(self, job: ShardJob) -> PrefectFuture[Any]:
        count = self._progress.of_part(job.name, job.sprites)
        return render_shard.submit(job, self._slots, self._request.shard_timeout_s, count)

    def _gather(self, layer: LayerPlan) -> PrefectFuture[Any]:
        return gather_spritemap.submit(
            self._request.bucket,
            self._plan.card,
            self._request.recipe.key,
            layer.layer,
            layer.channels,
            self._request.spritemap_format,
            _highest(self._photos, layer.layer),
            layer.out_of,
        )

    def _note_shard(self, job: ShardJob, future: PrefectFuture[Any]) -> None:
        outcome, error = self._outcome, error_of(future)
        if error is None:
            outcome.rendered += job.sprites
        else:
            outcome.failed += job.sprites
            outcome.failures.setdefault(job.name, []).append(
                f"{job.title}: {first_line(error, limit=None)}"
            )
        outcome.render_seconds = time.monotonic() - self._started
        self._shards_left[job.name] -= 1

    def _note_spritemap(self, layer: LayerPlan, future: PrefectFuture[Any]) -> None:
        outcome, error = self._outcome, error_of(future)
        if error is None:
            outcome.spritemaps[layer.layer] = future.result()
        else:
            failure = f"spritemap of {layer.layer}: {first_line(error, limit=None)}"
            outcome.failures.setdefault(layer.layer, []).append(failure)
        self._artifacts.layer_done(len(outcome.spritemaps))
        self._not_indexed += len(layer.shards)


def publish_run_index(plan: RunPlan, request: SpritesRequest, photos: Photos) -> None:
    """Publish the index of the run's set, with the photos' highest activations."""
    highest = {layer: _highest(photos, layer) for layer in photos}
    publish_index(request.bucket, plan.card, request.recipe.key, highest)


def _highest(photos: Photos, layer: str) -> dict[int, float]:
    return dict(enumerate(photos[layer].highest)) if layer in photos else {}
