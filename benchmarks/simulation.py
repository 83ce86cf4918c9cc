"""The virtual time, the bucket and the counts that simulated runs share.

What all runs compute alike, such as the keys of the shards, is computed once.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch

from benchmarks.virtual_time import VirtualTime
from diamond_cutter.flows import claims_of_others, shared_sets, shared_shards, shared_work
from diamond_cutter.flows.shared_sets import SharedSets
from diamond_cutter.flows.shared_shards import SharedShards
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets import claims
from diamond_cutter.storage.sets.claims import RENEWED_EVERY_S
from diamond_cutter.tasks.rendering.shard import ShardJob
from tests.storage.gcs_server import GcsServer

_Result = TypeVar("_Result")


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
    traced: the number of shards of another layer than the one that their device had before.
    foreseen: how many of these a device of a cluster was told before.
    """

    rendered: Counter[str] = field(default_factory=Counter)
    busy: list[tuple[float, float]] = field(default_factory=list)
    first_without: float = float("inf")
    requests: Counter[str] = field(default_factory=Counter)
    flow_s: float = 0.0
    ends: list[float] = field(default_factory=list)
    traced: int = 0
    foreseen: int = 0

    def busy_s(self, until: float) -> float:
        """Return the seconds of rendering until some time, of all workers."""
        return sum(max(min(end, until) - start, 0.0) for start, end in self.busy)


# Gathering and publishing are done once by any number of runs, and reading a model or a result is a
# worker's own.
_FOR_SHARING = ("claims", "looks", "records", "renewals")


@dataclass(frozen=True)
class Outcome:
    """What a simulation showed; shares are of the workers' time.

    busy: the share of rendering until the last shard.
    busy_before: the same until a worker first found no shard to render.
    before_s: when that was.
    ideal: the share until the last shard if all shards took equally long and nothing else took
        time. It is less than 1 if the last round has fewer shards than workers.
    requests: for a shard.
    by_kind: the same by what they were for.
    flow: the share of the time in which the flow was at work; of many flows, the mean.
    twice: the number of shards that were rendered again.
    published_s: the time from the last shard until the first run ended.
    last_end_s: the same until the last run ended.
    traced: the share of shards that were of another layer than the one before on their device.
    foreseen: the share of these that a device of a cluster was told before.
    """

    shards: int
    seconds: float
    busy: float
    busy_before: float
    before_s: float
    ideal: float
    requests: float
    by_kind: dict[str, float]
    flow: float
    twice: int
    published_s: float
    last_end_s: float
    traced: float
    foreseen: float

    @property
    def for_sharing(self) -> float:
        """Return the requests for a shard that share the work with other runs."""
        return sum(self.by_kind.get(kind, 0.0) for kind in _FOR_SHARING)


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
            patch.object(SharedSets, "_read_run", self._counted_apart(SharedSets._read_run)),
            patch.object(claims, "_Renewal", Renewal),
            patch.object(claims, "time", self.clock),
            patch.object(claims_of_others, "time", self.clock),
            patch.object(shared_sets, "time", self.clock),
            patch.object(shared_shards, "time", self.clock),
            patch.object(shared_work, "time", self.clock),
        ):
            yield

    def _counted_apart(self, read_run: Callable[..., bool]) -> Callable[..., bool]:
        """Return a function that counts the reading of a result, and not as a look."""

        def counted(*arguments: Any) -> bool:
            before = len(self._server.seen)
            complete = read_run(*arguments)
            if complete:
                requests = len(self._server.seen) - before
                self.record.requests["results"] += requests
                self.record.requests["looks"] -= requests
            return complete

        return counted

    def run(self, starts: Sequence[Callable[[], None]], workers: int) -> Outcome:
        """Start runs, let them work until they end, and return what that showed."""
        record = self.record
        with self.time_patched():
            for start in starts:
                start()
            self.clock.run(lambda: len(record.ends) == len(starts))
        last = max(end for _, end in record.busy)
        shards, before = len(record.rendered), min(record.first_without, last)
        return Outcome(
            shards=shards,
            seconds=last,
            busy=record.busy_s(last) / workers / last,
            busy_before=record.busy_s(before) / workers / before,
            before_s=before,
            ideal=shards / workers / -(-shards // workers),
            requests=record.requests.total() / shards,
            by_kind={what: count / shards for what, count in sorted(record.requests.items())},
            flow=record.flow_s / len(starts) / last,
            twice=record.rendered.total() - shards,
            published_s=min(record.ends) - last,
            last_end_s=max(record.ends) - last,
            traced=record.traced / shards,
            foreseen=record.foreseen / max(1, record.traced),
        )


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


def _drawing(drawings: object, job: ShardJob) -> object:
    # The models of the simulation have no layer in common.
    return job.model, job.name, job.numbers


def _record_key(shards: object, job: ShardJob) -> str:
    return job.record_key
