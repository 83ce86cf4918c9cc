"""Renders the shards of a run, and gathers each layer's spritemap after its last shard."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture

from diamond_cutter.errors import first_line
from diamond_cutter.flows.early_galleries import EarlyGalleries
from diamond_cutter.flows.events.pictures import say_first_picture
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
from diamond_cutter.flows.planning import LayerPlan
from diamond_cutter.flows.request_fields import LOCAL
from diamond_cutter.flows.run_scope import may_start, places, tasks_in_flight
from diamond_cutter.flows.shared_shards import SUBMITTED_AT_MOST
from diamond_cutter.flows.shared_work import SharedWork
from diamond_cutter.flows.task_futures import FutureQueue, TaskLost, error_of
from diamond_cutter.storage import Bucket, Token
from diamond_cutter.storage.sets.layout import gallery_key
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.gathering.adoption import Adoptable
from diamond_cutter.tasks.gathering.task import adopt_shard, gather_spritemap
from diamond_cutter.tasks.rendering.shard import ShardJob
from diamond_cutter.tasks.rendering.subjects import sha256_of
from diamond_cutter.tasks.rendering.task import render_shard
from diamond_cutter.tasks.rendering.work import ShardOutcome
from diamond_cutter.tasks.retrying import RETRIED

_RETURNED = {
    "claimed": "another run is at work on it",
    "gone": "the shard to copy is not in the bucket any more",
}


class _Gathering(NamedTuple):
    """A layer whose spritemap is gathered."""

    run: ModelRun
    layer: LayerPlan
    lost: Token | None
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
        self._all, self._slots, self._progress = runs, slots, progress
        self._started = time.monotonic()
        self._counts: dict[str, PartProgress] = {}
        self._bucket, self._has_picture = bucket, False
        self._early = EarlyGalleries(bucket)
        self._on_cluster = runs[0].request.runner != LOCAL
        self._work = SharedWork(bucket, runs, _seed(), self._note_found)
        self._shards = self._work.shards
        self._futures = FutureQueue[ShardJob | _Gathering](
            self._work, self._submit, self._limit, self._watch, may_start, self._done
        )

    def run(self, finish: Callable[[ModelRun, Token | None], bool]) -> None:
        """Render and gather everything.

        Args:
            finish: publishes a model when it is complete, as in `SharedWork.finish_models`. Models
                that are incomplete when the budget of the run is used up are published at the end.
        """
        self._finish = finish
        self._start_gatherings()
        for job, future in self._futures:
            if isinstance(job, _Gathering):
                self._note_spritemap(job, future)
            else:
                self._note_shard(job, future)
            self._work.finish_models(finish)
        self._work.finish_models(finish)
        for run in self._work.runs.values():
            finish(run, None)
        self._work.end()

    def _limit(self) -> int:
        return min(places(), tasks_in_flight()) if self._shards.are_scarce else tasks_in_flight()

    def _done(self) -> str:
        done = sum(run.outcome.rendered + run.outcome.found for run in self._all)
        return f"{done} of {sum(run.plan.to_do for run in self._all)} sprites"

    def _start_gatherings(self) -> None:
        for run, layer, lost in self._work.layers_to_gather():
            gathering = _Gathering(run, layer, lost, time.monotonic())
            publish(StepStarted(step=gathering.step))
            self._futures.add(gathering)

    def _watch(self) -> None:
        """Submit tasks again that a cluster has lost, and start what other runs have left."""
        if self._on_cluster:
            for job in self._shards.lost():
                self._futures.abandon(job)
                self._take_again(job, "its task was lost")
        self._shards.watch_others()
        self._start_gatherings()
        self._work.finish_models(self._finish)

    def _submit(self, job: ShardJob | _Gathering) -> PrefectFuture[Any]:
        return self._gather(job) if isinstance(job, _Gathering) else self._render(job)

    def _render(self, job: ShardJob) -> PrefectFuture[Any]:
        publish(PartStarted(part=_part(job)))
        count = self._progress.of_shard(_part(job))
        self._counts[job.record_key] = count
        request, lost = self._run_of(job).request, self._shards.lost_claim(job)
        origin = self._shards.origin_of(job)
        if origin is not None:
            card = self._run_of(job).plan.card
            # The size is an estimate for plans.
            shard = Adoptable(job.name, sha256_of(card, job.subjects), job.numbers, 0, origin)
            return adopt_shard.submit(request.bucket, job.model, job.recipe, shard, lost)
        # On this machine, the next shard waits for a device. On a cluster, it waits elsewhere.
        then = self._shards.likely_after(job, places()) if self._on_cluster else None
        return render_shard.submit(job, self._slots, request.shard_timeout_s, count, lost, then)

    def _gather(self, gathering: _Gathering) -> PrefectFuture[Any]:
        run, layer, request = gathering.run, gathering.layer, gathering.run.request
        return gather_spritemap.submit(
            request.bucket,
            run.plan.card,
            request.recipe.key,
            layer.layer,
            layer.channels,
            request.spritemap_format,
            run.highest(layer.layer),
            layer.out_of,
            gathering.lost,
        )

    def _run_of(self, job: ShardJob) -> ModelRun:
        return self._work.runs[job.model]

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
            self._shards.ended(job, how="failed")
            self._fail(job, first_line(error, limit=None), int(RETRIED["retries"]))
            return
        done: ShardOutcome = future.result()
        seconds = done.work.seconds if done.work is not None else 0.0
        self._shards.ended(job, how=done.how, seconds=seconds)
        if done.how in _RETURNED:
            publish(PartReturned(part=_part(job), problem=_RETURNED[done.how]))
            return
        self._counts.pop(job.record_key).complete()
        if done.how == "rendered":
            outcome.rendered += job.sprites
        else:
            outcome.found += job.sprites
        publish(ShardDone(part=_part(job), outcome=done))
        if done.work is not None and not self._has_picture:
            self._has_picture = True
            self._say_first_picture(job, done.work.picture)
        self._early.shard_done(self._run_of(job))
        self._end(job)
        self._start_gatherings()

    def _say_first_picture(self, job: ShardJob, picture: str) -> None:
        if sum(run.plan.to_do for run in self._all) > job.sprites:  # otherwise the run is over
            gallery = gallery_key(job.model, job.recipe.key)
            say_first_picture(self._bucket, job.model, job.name, job.sprites, picture, gallery)

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
            self._work.add_layer(run, layer)

    def _note_spritemap(self, gathering: _Gathering, future: PrefectFuture[Any]) -> None:
        run, layer, _, since = gathering
        error = error_of(future)
        publish(StepDone(step=gathering.step, seconds=round(time.monotonic() - since, 3)))
        if error is None:
            record = future.result()
            if record is None:
                self._work.return_layer(run, layer)
                return
            run.outcome.spritemaps[layer.layer] = record
            flagged = sum(bool(sprite.flags) for sprite in record.sprites)
            model, sprites = run.plan.card.key, len(record.sprites)
            publish(LayerDone(model=model, layer=layer.layer, sprites=sprites, flagged=flagged))
        else:
            problem = f"spritemap of {layer.layer}: {first_line(error, limit=None)}"
            run.fail(layer.layer, problem)
            publish(TaskFailed(problem=problem))
        run.spritemap_done(layer)


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
