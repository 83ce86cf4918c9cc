"""Renders the shards of a run, and gathers each layer's spritemap after its last shard."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture

from diamond_cutter.errors import first_line
from diamond_cutter.flows.early_galleries import EarlyGalleries
from diamond_cutter.flows.events.progress import PartProgress, Progress
from diamond_cutter.flows.events.stream import (
    LayerDone,
    Part,
    PartFailed,
    PartReturned,
    PartStarted,
    ShardDone,
    StepDone,
    StepStarted,
    TaskFailed,
    publish,
)
from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.flows.planning import LayerPlan, shard_jobs
from diamond_cutter.flows.request_fields import LOCAL
from diamond_cutter.flows.run_scope import may_start, tasks_in_flight
from diamond_cutter.flows.shared_shards import SUBMITTED_AT_MOST, SharedShards
from diamond_cutter.flows.task_futures import FutureQueue, TaskLost, error_of
from diamond_cutter.storage import Bucket
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.gathering.task import gather_spritemap
from diamond_cutter.tasks.photos.activations import activations_key
from diamond_cutter.tasks.rendering.shard import ShardJob
from diamond_cutter.tasks.rendering.task import render_shard
from diamond_cutter.tasks.rendering.work import ShardOutcome
from diamond_cutter.tasks.retrying import RETRIED


class _Gathering(NamedTuple):
    """A layer whose spritemap is gathered."""

    run: ModelRun
    layer: LayerPlan
    since: float

    @property
    def step(self) -> str:
        """Return the name that people see."""
        return f"gathering the spritemap of {self.layer.layer}"


class SpritesRendering:
    """The shards in flight, and the layers that wait for shards."""

    def __init__(
        self, bucket: Bucket, runs: Sequence[ModelRun], slots: DeviceSlots, progress: Progress
    ) -> None:
        self._all, self._runs = runs, {run.plan.card.key: run for run in runs}
        self._slots, self._progress, self._started = slots, progress, time.monotonic()
        self._counts: dict[str, PartProgress] = {}
        self._early = EarlyGalleries(bucket)
        self._on_cluster = runs[0].request.runner != LOCAL
        jobs = [job for run in runs for job in _jobs(run)]
        damaged = {key for run in runs for layer in run.plan.layers for key in layer.damaged}
        self._shards = SharedShards(bucket, jobs, _seed(), damaged, self._note_found)
        self._futures = FutureQueue[ShardJob | _Gathering](
            self._shards, self._submit, tasks_in_flight, self._watch, may_start, self._done
        )

    def run(self) -> Iterator[ModelRun]:
        """Render and gather everything, and yield each model when it is complete.

        Models that are incomplete when the budget of the run is used up are yielded at the end.
        """
        for run in self._runs.values():
            for layer in run.plan.layers:
                if not layer.shards and not layer.postponed:
                    self._add_gathering(run, layer)
        for job, future in self._futures:
            if isinstance(job, _Gathering):
                self._note_spritemap(job, future)
            else:
                self._note_shard(job, future)
            yield from self._completed()
        yield from self._completed()
        yield from self._runs.values()

    def _done(self) -> str:
        done = sum(run.outcome.rendered + run.outcome.found for run in self._all)
        return f"{done} of {sum(run.plan.to_do for run in self._all)} sprites"

    def _completed(self) -> Iterator[ModelRun]:
        for model in [model for model, run in self._runs.items() if run.is_complete]:
            yield self._runs.pop(model)

    def _watch(self) -> None:
        """Submit tasks again that a cluster has lost."""
        if self._on_cluster:
            for job in self._shards.lost():
                self._futures.abandon(job)
                self._take_again(job, "its task was lost")

    def _submit(self, job: ShardJob | _Gathering) -> PrefectFuture[Any]:
        return (
            self._gather(job.run, job.layer) if isinstance(job, _Gathering) else self._render(job)
        )

    def _render(self, job: ShardJob) -> PrefectFuture[Any]:
        publish(PartStarted(part=_part(job)))
        count = self._progress.of_shard(_part(job))
        self._counts[job.record_key] = count
        timeout_s, lost = self._run_of(job).request.shard_timeout_s, self._shards.lost_claim(job)
        return render_shard.submit(job, self._slots, timeout_s, count, lost)

    def _gather(self, run: ModelRun, layer: LayerPlan) -> PrefectFuture[Any]:
        request = run.request
        return gather_spritemap.submit(
            request.bucket,
            run.plan.card,
            request.recipe.key,
            layer.layer,
            layer.channels,
            request.spritemap_format,
            run.highest(layer.layer),
            layer.out_of,
        )

    def _run_of(self, job: ShardJob) -> ModelRun:
        return self._runs[job.model]

    def _note_found(self, job: ShardJob) -> None:
        """Note a shard that another run has rendered."""
        publish(PartStarted(part=_part(job)))
        self._progress.of_shard(_part(job)).complete()
        self._run_of(job).outcome.found += job.sprites
        publish(ShardDone(part=_part(job), outcome=ShardOutcome(how="there")))
        self._end(job)

    def _note_shard(self, job: ShardJob, future: PrefectFuture[Any]) -> None:
        outcome, error = self._run_of(job).outcome, error_of(future)
        outcome.render_seconds = time.monotonic() - self._started
        if isinstance(error, TaskLost):
            self._take_again(job, first_line(error))
            return
        if error is not None:
            self._shards.ended(job)
            self._fail(job, first_line(error, limit=None), int(RETRIED["retries"]))
            return
        done: ShardOutcome = future.result()
        self._shards.ended(job, claimed=done.how == "claimed")
        if done.how == "claimed":
            publish(PartReturned(part=_part(job), problem="another run is at work on it"))
            return
        self._counts.pop(job.record_key).complete()
        if done.how == "rendered":
            outcome.rendered += job.sprites
        else:
            outcome.found += job.sprites
        publish(ShardDone(part=_part(job), outcome=done))
        self._early.shard_done(self._run_of(job))
        self._end(job)

    def _take_again(self, job: ShardJob, problem: str) -> None:
        if self._shards.take_again(job):
            publish(PartReturned(part=_part(job), problem=problem))
        else:
            problem = f"{problem}, for the {SUBMITTED_AT_MOST}rd time"
            self._fail(job, problem, SUBMITTED_AT_MOST - 1)

    def _fail(self, job: ShardJob, problem: str, retries: int) -> None:
        run = self._run_of(job)
        run.outcome.failed += job.sprites
        publish(PartFailed(part=_part(job), problem=problem, retries=retries))
        run.fail(job.name, f"{job.title}: {problem}", job.numbers)
        self._end(job)

    def _end(self, job: ShardJob) -> None:
        run = self._run_of(job)
        layer = run.shard_done(job.name)
        if layer is not None:
            self._add_gathering(run, layer)

    def _add_gathering(self, run: ModelRun, layer: LayerPlan) -> None:
        gathering = _Gathering(run, layer, time.monotonic())
        publish(StepStarted(step=gathering.step))
        self._futures.add(gathering)

    def _note_spritemap(self, gathering: _Gathering, future: PrefectFuture[Any]) -> None:
        run, layer, since = gathering
        error = error_of(future)
        publish(StepDone(step=gathering.step, seconds=round(time.monotonic() - since, 3)))
        if error is None:
            run.outcome.spritemaps[layer.layer] = record = future.result()
            flagged = sum(bool(sprite.flags) for sprite in record.sprites)
            model, sprites = run.plan.card.key, len(record.sprites)
            publish(LayerDone(model=model, layer=layer.layer, sprites=sprites, flagged=flagged))
        else:
            problem = f"spritemap of {layer.layer}: {first_line(error, limit=None)}"
            run.fail(layer.layer, problem)
            publish(TaskFailed(problem=problem))
        run.spritemap_done(layer)


def _jobs(run: ModelRun) -> Iterator[ShardJob]:
    records = {layer: activations_key(record) for layer, record in run.photos.items()}
    return shard_jobs(run.plan, run.request, records)


def _part(job: ShardJob) -> Part:
    """Return a shard as a part of the work."""
    first, last = job.numbers[0], job.numbers[-1]
    return Part(
        kind="shard",
        title=job.title,
        items=job.sprites,
        model=job.model,
        layer=job.name,
        channels=f"{first}-{last}" if last > first else str(first),
    )


def _seed() -> str:
    """Return a text that differs from run to run."""
    context = FlowRunContext.get()
    return str(context.flow_run.id) if context and context.flow_run else ""
