"""Runs of `sprites` in virtual time: their requests are real, and rendering only takes time.

A run consists of a flow and of threads that work on its tasks. On a cluster, each worker is a
thread with a device of its own. A plain run has one device, and two threads, because it submits one
task more than it has devices. What decides which run renders, gathers and publishes what is the
real code: `SharedWork`, `claim` with its renewals, `read_record`, `put_fingerprinted` and `commit`.
The requests that gathering and publishing take themselves are counted, but not sent.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from benchmarks.simulation import Simulation
from benchmarks.stand_in_records import commit_run, commit_shard, commit_spritemap, read_bundle
from benchmarks.virtual_time import Process, Signal
from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.flows.planning import LayerPlan
from diamond_cutter.flows.shared_work import SharedWork
from diamond_cutter.storage import Token
from diamond_cutter.storage.sets.claims import claim
from diamond_cutter.storage.sets.records import RunRecord, ShardRecord, SpritemapRecord
from diamond_cutter.storage.sets.sprite_set import is_whole, read_record
from diamond_cutter.tasks.rendering.shard import ShardJob

# How often a flow asks for shards if no task ends, as in flows/task_futures.py.
_ASK_AGAIN_S = 1.0
# A device's process keeps two models, as `read_bundle` does.
_MODELS_KEPT = 2
# Of the index and the gallery: two listings, the spritemap with its record, three files.
_REQUESTS_OF_A_LAYER = 7


class _Device:
    """A device's process, with the models that it has read.

    layer: the model and the name of the layer of its last shard.
    foreseen: the same of the shard that it was told to prepare.
    """

    def __init__(self) -> None:
        self.models: deque[str] = deque(maxlen=_MODELS_KEPT)
        self.layer: tuple[str, str] | None = None
        self.foreseen: tuple[str, str] | None = None


class _SimulatedModel(ModelRun):
    """A model in a simulated run. Publishing its index only takes requests."""

    def publish_index(self) -> None:
        """Do nothing."""


class SimulatedRun:
    """A run: its flow, and the threads and devices that its tasks use."""

    def __init__(
        self,
        simulation: Simulation,
        models: Sequence[ModelRun],
        *,
        seed: str,
        devices: int,
        on_cluster: bool,
    ) -> None:
        self._simulation, self._places, self._on_cluster = simulation, devices, on_cluster
        artifacts: Any = SimpleNamespace(layer_done=lambda layers: None)
        self._models = [
            _SimulatedModel(model.request, model.plan, {}, artifacts) for model in models
        ]
        self._seed = seed
        # As flows/run_scope.py says.
        self._in_flight_at_most = devices + max(1, devices // 4)
        self._threads = devices if on_cluster else self._in_flight_at_most
        self._free = deque(_Device() for _ in range(devices))
        self._submitted: deque[tuple[ShardJob, Token | None, ShardJob | None]] = deque()
        self._ended: deque[Callable[[], object]] = deque()
        self._on_submitted, self._on_ended, self._on_free = Signal(), Signal(), Signal()
        self._in_flight = self._gathering = self._waits = 0
        times = simulation.times
        self._task_s = times.dask_task if on_cluster else times.local_task

    def start(self) -> None:
        """Start the flow and its threads."""
        self._simulation.clock.start(self._flow())
        for _ in range(self._threads):
            self._simulation.clock.start(self._thread())

    def _flow(self) -> Process:
        clock = self._simulation.clock
        self._work = yield from self._charged("looks", self._begun)
        while (yield from self._fill()) or self._in_flight or self._gathering or self._ended:
            if self._on_cluster:
                yield from self._charged("looks", lambda: list(self._work.shards.lost()))
            yield from self._charged("looks", self._work.shards.watch_others)
            layers = yield from self._charged("looks", lambda: list(self._work.layers_to_gather()))
            for layer in layers:
                self._gathering += 1
                clock.start(self._gather(*layer))
            yield from self._publish()
            if not self._ended:
                self._waits += 1
                clock.after(_ASK_AGAIN_S, partial(self._ask_again, self._waits))
                yield self._on_ended
            if self._ended:
                self._ended.popleft()()
        self._simulation.record.ends.append(clock.now)

    def _begun(self) -> SharedWork:
        return SharedWork(self._simulation.bucket, self._models, self._seed, self._found)

    def _found(self, job: ShardJob) -> None:
        run = self._work.runs[job.model]
        layer = run.shard_done(job.name)
        if layer is not None:
            self._work.add_layer(run, layer)

    def _shard_ended(self, job: ShardJob, how: str, seconds: float) -> None:
        self._in_flight -= 1
        self._work.shards.ended(job, how=how, seconds=seconds)
        if how != "claimed":
            self._found(job)

    def _ask_again(self, wait: int) -> None:
        """End a wait of the flow, if it has not ended."""
        if wait == self._waits:
            self._simulation.clock.fire(self._on_ended)

    def _fill(self) -> Process:
        """Submit shards up to the limit, and return whether there may be more of them."""
        record, clock = self._simulation.record, self._simulation.clock
        while self._in_flight < self._limit():
            job = yield from self._charged("looks", lambda: next(self._work, "end"))
            if job is None or job == "end":
                if self._in_flight < self._places:
                    record.first_without = min(record.first_without, clock.now)
                return job is None
            shards = self._work.shards
            then = shards.likely_after(job, self._places) if self._on_cluster else None
            self._submitted.append((job, shards.lost_claim(job), then))
            self._in_flight += 1
            record.flow_s += self._task_s
            yield self._task_s
            clock.fire(self._on_submitted, everyone=False)
        return True

    def _limit(self) -> int:
        return self._places if self._work.shards.are_scarce else self._in_flight_at_most

    def _publish(self) -> Process:
        """Publish the models that are complete, unless another run does."""
        seconds = 0.0
        blocks = []

        def finish(run: ModelRun, lost: Token | None) -> bool:
            nonlocal seconds
            if run.committed is not None:
                return True
            bucket, counted = self._simulation.bucket, self._simulation.counted
            block = claim(bucket, run.key, lost)
            is_ours, passed = counted("claims", block.__enter__)
            seconds += passed
            if is_ours:
                read = partial(read_record, bucket, run.key, RunRecord)
                published, passed = counted("publishing", read)
                seconds += passed
                if published is not None:
                    seconds += counted("claims", lambda: block.__exit__(None, None, None))[1]
                    return True
                blocks.append((run, block))
            return bool(is_ours)

        self._work.finish_models(finish)
        yield seconds
        for run, block in blocks:
            shards = sum(len(layer.shards) for layer in run.plan.layers)
            requests = 2 * shards + _REQUESTS_OF_A_LAYER * len(run.plan.layers)
            yield self._simulation.estimated("publishing", requests)
            put = partial(commit_run, self._simulation.bucket, run)
            yield self._simulation.counted("publishing", put)[1]
            yield self._simulation.counted("claims", lambda: block.__exit__(None, None, None))[1]  # noqa: B023

    def _gather(self, run: ModelRun, layer: LayerPlan, lost: Token | None) -> Process:
        """Do what the task `gather_spritemap` does."""
        simulation, key = self._simulation, run.spritemap_key(layer)
        read = partial(read_record, simulation.bucket, key, SpritemapRecord)
        block = claim(simulation.bucket, key, lost)
        stored, seconds = simulation.counted("gathering", read)
        yield seconds
        is_ours = True
        if stored is not None:
            # The listing, the records of the shards, and the picture's metadata.
            yield simulation.estimated("gathering", 2 + len(layer.shards))
        else:
            is_ours, seconds = simulation.counted("claims", block.__enter__)
            yield seconds
            if is_ours:
                yield from self._gather_claimed(run, layer, read)
            yield simulation.counted("claims", lambda: block.__exit__(None, None, None))[1]
        self._gathering -= 1
        ended = run.spritemap_done if is_ours else partial(self._work.return_layer, run)
        self._ended.append(partial(ended, layer))
        simulation.clock.fire(self._on_ended)

    def _gather_claimed(
        self, run: ModelRun, layer: LayerPlan, read: Callable[[], SpritemapRecord | None]
    ) -> Process:
        """Gather a spritemap, unless another run has just done so."""
        simulation = self._simulation
        stored, seconds = simulation.counted("gathering", read)
        yield seconds
        # The listing, the records of the shards, and their pictures.
        yield simulation.estimated("gathering", 1 + (1 if stored else 2) * len(layer.shards))
        if stored is None:
            put = partial(commit_spritemap, simulation.bucket, run, layer)
            yield simulation.counted("gathering", put)[1]

    def _charged(self, what: str, call: Callable[[], Any]) -> Any:
        """Call something in the flow, and let its requests and its processor time pass."""
        started = time.thread_time()
        result, seconds = self._simulation.counted(what, call)
        seconds += time.thread_time() - started
        self._simulation.record.flow_s += seconds
        yield seconds
        return result

    def _thread(self) -> Process:
        while True:
            while not self._submitted:
                yield self._on_submitted
            job, lost, then = self._submitted.popleft()
            how, seconds = yield from self._task(job, lost, then)
            self._ended.append(partial(self._shard_ended, job, how, seconds))
            self._simulation.clock.fire(self._on_ended)

    def _task(self, job: ShardJob, lost: Token | None, then: ShardJob | None) -> Any:
        """Do what the task `render_shard` does.

        Returns what became of the shard, and the seconds for which a device rendered it.
        """
        counted, bucket, key = self._simulation.counted, self._simulation.bucket, job.record_key
        while not self._free:
            yield self._on_free
        device = self._free.popleft()
        block = claim(bucket, key, lost)
        is_ours, seconds = counted("claims", block.__enter__)
        yield seconds
        how, render_s = "rendered" if is_ours else "claimed", 0.0
        if is_ours:
            present, seconds = counted("records", lambda: read_record(bucket, key, ShardRecord))
            yield seconds
            if present is not None:
                yield counted("records", lambda: is_whole(bucket, present.file))[1]
                how = "there"
            else:
                self._note_layer(job, device, then)
                render_s = yield from self._render(job, device, then)
        yield counted("claims", lambda: block.__exit__(None, None, None))[1]
        self._free.append(device)
        self._simulation.clock.fire(self._on_free, everyone=False)
        return how, render_s

    def _read_model(self, job: ShardJob, device: _Device) -> float:
        """Read the model of a shard if the device has not, and return the seconds of this."""
        simulation = self._simulation
        if job.model in device.models:
            return 0.0
        device.models.append(job.model)
        return simulation.counted("models", lambda: read_bundle(simulation.bucket, job))[1]

    def _note_layer(self, job: ShardJob, device: _Device, then: ShardJob | None) -> None:
        """Count whether a device begins another layer, and whether it was told which one."""
        layer, record = (job.model, job.name), self._simulation.record
        if device.layer not in (None, layer):
            record.traced += 1
            record.foreseen += device.foreseen == layer
        device.layer, device.foreseen = layer, (then.model, then.name) if then else None

    def _render(self, job: ShardJob, device: _Device, then: ShardJob | None) -> Any:
        """Occupy a device as `render_and_commit` does, and return for how many seconds."""
        simulation = self._simulation
        yield self._read_model(job, device)
        if then is not None:  # it is read meanwhile
            self._read_model(then, device)
        started, seconds = simulation.clock.now, simulation.shard_seconds()
        simulation.record.busy.append((started, started + seconds))
        yield seconds
        yield simulation.counted("records", lambda: commit_shard(simulation.bucket, job))[1]
        simulation.record.rendered[job.record_key] += 1
        return seconds
