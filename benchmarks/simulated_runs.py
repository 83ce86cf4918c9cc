"""Runs of `sprites` in virtual time: their requests are real, and rendering only takes time.

A run consists of a flow and of threads that work on its tasks. On a cluster, each worker is a
thread with a device of its own. A plain run has one device, and two threads, because it submits one
task more than it has devices. What decides which run renders, gathers and publishes what is the
real code: `SharedWork`, `claim` with its renewals, `read_record`, `put_fingerprinted` and `commit`.
The requests that gathering and publishing take themselves are counted, but not sent.
"""

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch

from benchmarks.virtual_time import Process, Signal, VirtualTime
from diamond_cutter.flows import shared_sets, shared_shards, shared_work
from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.flows.planning import LayerPlan
from diamond_cutter.flows.shared_shards import SharedShards
from diamond_cutter.flows.shared_work import SharedWork
from diamond_cutter.storage import Bucket, NotFound, Token, crc32c
from diamond_cutter.storage.sets import claims
from diamond_cutter.storage.sets.claims import RENEWED_EVERY_S, claim
from diamond_cutter.storage.sets.layout import card_key, graph_key
from diamond_cutter.storage.sets.records import RunRecord, ShardRecord, SpritemapRecord
from diamond_cutter.storage.sets.sprite_set import (
    commit,
    is_whole,
    put_fingerprinted,
    read_record,
)
from diamond_cutter.tasks.rendering.shard import ShardJob
from tests.storage.gcs_server import GcsServer
from tests.storage.shard_records import shard_record

_Result = TypeVar("_Result")

# How often a flow asks for shards if no task ends, as in flows/task_futures.py.
_ASK_AGAIN_S = 1.0
# A device's process keeps two models, as `read_bundle` does.
_MODELS_KEPT = 2
# Of the index and the gallery: two listings, the spritemap with its record, three files.
_REQUESTS_OF_A_LAYER = 7


@dataclass(frozen=True)
class Times:
    """What takes how long, in seconds.

    request: the shortest and the longest time of a request to the bucket.
    shards: measured times of shards, of which each shard draws one.
    spread: the share by which a shard's time differs from the drawn one at most.
    dask_task: the processor time of the flow for a task on a cluster.
    local_task: the same for a task of a plain run.
    """

    request: tuple[float, float]
    shards: tuple[float, ...]
    spread: float
    dask_task: float
    local_task: float


@dataclass
class Record:
    """What happened.

    rendered: how often each shard was rendered, by the key of its record.
    busy: the start and end of each rendering.
    first_without: when a worker first found no shard to render.
    requests: the number of requests by what they were for.
    flow_s: the time in which the flows were at work.
    ends: when each run ended.
    """

    rendered: Counter[str] = field(default_factory=Counter)
    busy: list[tuple[float, float]] = field(default_factory=list)
    first_without: float = float("inf")
    requests: Counter[str] = field(default_factory=Counter)
    flow_s: float = 0.0
    ends: list[float] = field(default_factory=list)

    def busy_s(self, until: float) -> float:
        """Return the seconds of rendering until some time, of all workers."""
        return sum(max(min(end, until) - start, 0.0) for start, end in self.busy)


class Simulation:
    """The time, the bucket and the record that runs share."""

    def __init__(self, server: GcsServer, bucket: Bucket, times: Times, seed: int = 0) -> None:
        self.clock, self.bucket, self.times = VirtualTime(), bucket, times
        self.random, self.record, self._server = random.Random(seed), Record(), server

    def counted(self, what: str, call: Callable[[], _Result]) -> tuple[_Result, float]:
        """Call something, and return its result and the seconds of its requests."""
        before = len(self._server.seen)
        result = call()
        requests = len(self._server.seen) - before
        self.record.requests[what] += requests
        return result, sum(self.random.uniform(*self.times.request) for _ in range(requests))

    def estimated(self, what: str, requests: int) -> float:
        """Note requests without sending them, and return the seconds that they take, 8 at once."""
        self.record.requests[what] += requests
        return requests / 8 * sum(self.times.request) / 2

    def shard_seconds(self) -> float:
        """Draw the time of a shard."""
        spread = self.times.spread
        return self.random.choice(self.times.shards) * self.random.uniform(1 - spread, 1 + spread)

    @contextmanager
    def time_patched(self) -> Iterator[None]:
        """Have the code that is simulated see the virtual time, and renew claims in it."""
        simulation = self

        class Renewal(claims._Renewal):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                self._thread = SimpleNamespace(start=self._later, join=bool)  # type: ignore[assignment]

            def _later(self) -> None:
                simulation.clock.after(RENEWED_EVERY_S, self._next)

            def _next(self) -> None:
                if not self._ended.is_set() and simulation.counted("renewals", self.renew)[0]:
                    self._later()

        with (
            # What all runs compute alike is computed once.
            patch.object(shared_work, "_jobs", _once(shared_work._jobs, lambda run: id(run.plan))),
            patch.object(
                shared_work._Drawings, "__call__", _once(_drawing, lambda _, job: id(job))
            ),
            patch.object(SharedShards, "key_of", _once(_record_key, lambda _, job: id(job))),
            patch.object(claims, "_Renewal", Renewal),
            patch.object(claims, "time", self.clock),
            patch.object(shared_sets, "time", self.clock),
            patch.object(shared_shards, "time", self.clock),
        ):
            yield

    def run(self, runs: Sequence["SimulatedRun"]) -> float:
        """Let runs work until they end, and return when the last shard was rendered."""
        with self.time_patched():
            for run in runs:
                run.start()
            self.clock.run(lambda: len(self.record.ends) == len(runs))
        return max(end for _, end in self.record.busy)


def _once(call: Callable[..., Any], name_of: Callable[..., object]) -> Callable[..., Any]:
    """Return a function that keeps its results by the names of its arguments."""
    known: dict[object, Any] = {}

    def kept(*arguments: Any) -> Any:
        name = name_of(*arguments)
        if name not in known:
            result = call(*arguments)
            known[name] = list(result) if isinstance(result, Iterator) else result
        return known[name]

    return kept


def _id_of_job(owner: object, job: ShardJob) -> int:
    return id(job)


def _drawing(drawings: object, job: ShardJob) -> object:
    # The models of the simulation have no layer in common.
    return job.model, job.name, job.numbers


def _record_key(shards: object, job: ShardJob) -> str:
    return job.record_key


class _Device:
    """A device's process, with the models that it has read."""

    def __init__(self) -> None:
        self.models: deque[str] = deque(maxlen=_MODELS_KEPT)


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
        self._submitted: deque[tuple[ShardJob, Token | None]] = deque()
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
            for layer in list(self._work.layers_to_gather()):
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

    def _shard_ended(self, job: ShardJob, how: str) -> None:
        self._in_flight -= 1
        self._work.shards.ended(job, how=how)
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
            self._submitted.append((job, self._work.shards.lost_claim(job)))
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
                blocks.append((run, block))
            return bool(is_ours)

        self._work.finish_models(finish)
        yield seconds
        for run, block in blocks:
            shards = sum(len(layer.shards) for layer in run.plan.layers)
            requests = 2 * shards + _REQUESTS_OF_A_LAYER * len(run.plan.layers)
            yield self._simulation.estimated("publishing", requests)
            put = partial(_commit_run, self._simulation.bucket, run)
            yield self._simulation.counted("publishing", put)[1]
            yield self._simulation.counted("claims", lambda: block.__exit__(None, None, None))[1]  # noqa: B023

    def _gather(self, run: ModelRun, layer: LayerPlan, lost: Token | None) -> Process:
        """Do what the task `gather_spritemap` does."""
        simulation, key = self._simulation, run.spritemap_key(layer)
        read = partial(read_record, simulation.bucket, key, SpritemapRecord)
        block = claim(simulation.bucket, key, lost)
        yield simulation.counted("gathering", read)[1]
        is_ours, seconds = simulation.counted("claims", block.__enter__)
        yield seconds
        if is_ours:
            stored, seconds = simulation.counted("gathering", read)
            yield seconds
            if stored is None:
                # The listing, the records of the shards, and their pictures.
                yield simulation.estimated("gathering", 1 + 2 * len(layer.shards))
                put = partial(_commit_spritemap, simulation.bucket, run, layer)
                yield simulation.counted("gathering", put)[1]
        yield simulation.counted("claims", lambda: block.__exit__(None, None, None))[1]
        self._gathering -= 1
        ended = run.spritemap_done if is_ours else partial(self._work.return_layer, run)
        self._ended.append(partial(ended, layer))
        simulation.clock.fire(self._on_ended)

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
            job, lost = self._submitted.popleft()
            how = yield from self._task(job, lost)
            self._ended.append(partial(self._shard_ended, job, how))
            self._simulation.clock.fire(self._on_ended)

    def _task(self, job: ShardJob, lost: Token | None) -> Any:
        """Do what the task `render_shard` does, and return what became of the shard."""
        counted, bucket, key = self._simulation.counted, self._simulation.bucket, job.record_key
        while not self._free:
            yield self._on_free
        device = self._free.popleft()
        block = claim(bucket, key, lost)
        is_ours, seconds = counted("claims", block.__enter__)
        yield seconds
        how = "rendered" if is_ours else "claimed"
        if is_ours:
            present, seconds = counted("records", lambda: read_record(bucket, key, ShardRecord))
            yield seconds
            if present is not None:
                yield counted("records", lambda: is_whole(bucket, present.file))[1]
                how = "there"
            else:
                yield from self._render(job, device)
        yield counted("claims", lambda: block.__exit__(None, None, None))[1]
        self._free.append(device)
        self._simulation.clock.fire(self._on_free, everyone=False)
        return how

    def _render(self, job: ShardJob, device: _Device) -> Process:
        """Occupy a device as `render_and_commit` does."""
        simulation = self._simulation
        if job.model not in device.models:
            device.models.append(job.model)
            yield simulation.counted("models", lambda: _read_bundle(simulation.bucket, job))[1]
        started, seconds = simulation.clock.now, simulation.shard_seconds()
        simulation.record.busy.append((started, started + seconds))
        yield seconds
        yield simulation.counted("records", lambda: _commit(simulation.bucket, job))[1]
        simulation.record.rendered[job.record_key] += 1


def _read_bundle(bucket: Bucket, job: ShardJob) -> None:
    try:
        bucket.get(card_key(job.model)), bucket.get(graph_key(job.model))
    except NotFound:
        return


def _commit(bucket: Bucket, job: ShardJob) -> None:
    """Put a tiny picture and its record, in the order of a real shard."""
    data = job.record_key.encode()
    file = put_fingerprinted(bucket, job.record_key, data, "webp", crc32c(data))
    said = {"model": job.model, "recipe": job.recipe.key, "layer": job.name}
    record = shard_record(job.numbers, file).model_copy(update=said)
    commit(bucket, job.record_key, record, lambda theirs: is_whole(bucket, theirs.file))


def _commit_spritemap(bucket: Bucket, run: ModelRun, layer: LayerPlan) -> None:
    """Put a tiny picture and its record, in the order of a real spritemap."""
    key = run.spritemap_key(layer)
    data = key.encode()
    file = put_fingerprinted(bucket, key, data, "webp", crc32c(data))
    record = SpritemapRecord(
        model=run.plan.card.key,
        recipe=run.request.recipe.key,
        layer=layer.layer,
        cell_px=32,
        columns=1,
        rows=1,
        sprites=(),
        shards=(),
        file=file,
    )
    commit(bucket, key, record, lambda theirs: True)


def _commit_run(bucket: Bucket, run: ModelRun) -> None:
    names = [layer.layer for layer in run.plan.layers]
    record = RunRecord(
        model=run.plan.card.key,
        recipe=run.request.recipe.key,
        selection=dict.fromkeys(names, ()),
        shards=(),
        spritemaps=(),
        sprites=0,
        flagged={},
        pictures=dict.fromkeys(names, ""),
        finished=datetime.now(UTC),
    )
    commit(bucket, run.key, record, lambda theirs: True)
