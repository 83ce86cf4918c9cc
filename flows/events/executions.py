"""Adds up the events of a run of `sprites`, and keeps the record of its execution.

The record is written when a model is complete or the run is stopped, if the run had shards of it.
"""

import os
import socket
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from diamond_cutter.flows.events.observers import reason_of
from diamond_cutter.flows.events.stream import Event, PartEvent, PartFailed, ShardDone, heard_by
from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.storage import Bucket, StorageError
from diamond_cutter.storage.sets.executions import DeviceUse, End, PhaseSeconds, RunExecution
from diamond_cutter.storage.sets.layout import run_execution_key
from diamond_cutter.storage.sets.records import Versions
from diamond_cutter.tasks.rendering.work import ShardWork

_Device = tuple[str, str, Versions]


@dataclass
class _Sums:
    """What was done for a model so far."""

    shards: int = 0
    retries: int = 0
    layers: dict[str, PhaseSeconds] = field(default_factory=lambda: defaultdict(PhaseSeconds))
    devices: dict[_Device, DeviceUse] = field(default_factory=dict)


class RunExecutions:
    """The execution of a run, with its sums for each model."""

    def __init__(self, bucket: Bucket, command: str) -> None:
        self._bucket, self._command, self._started = bucket, command, _now()
        self._id = f"{self._started:%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"
        self._sums: dict[str, _Sums] = defaultdict(_Sums)

    def __call__(self, event: Event) -> None:
        """Add an event about a shard to the sums of its model."""
        if not isinstance(event, PartEvent) or event.part.model is None:
            return
        sums = self._sums[event.part.model]
        if isinstance(event, PartFailed):
            sums.shards, sums.retries = sums.shards + 1, sums.retries + event.retries
        elif isinstance(event, ShardDone):
            sums.shards, sums.retries = sums.shards + 1, sums.retries + event.outcome.retries
            phases = PhaseSeconds(**event.outcome.seconds_by_phase)
            sums.layers[event.part.layer or ""] += phases
            if event.outcome.work is not None:
                _add_device(sums, event.outcome.work, event.part.items)

    def keep(self, run: ModelRun, end: End, problem: str | None = None) -> None:
        """Write the record of the execution for a model, unless nothing was done for it."""
        model, sums = run.plan.card.key, self._sums.pop(run.plan.card.key, _Sums())
        if not sums.shards or (run.committed is not None and not sums.devices):
            return  # the runs that have rendered its shards keep theirs
        outcome, recipe, selection = run.outcome, run.request.recipe.key, run.plan.selection_id
        record = RunExecution(
            model=model,
            recipe=recipe,
            selection=selection,
            command=self._command,
            host=socket.gethostname(),
            process=os.getpid(),
            started=self._started,
            ended=_now(),
            end=end,
            problem=problem,
            rendered=outcome.rendered,
            found=outcome.found,
            failed=outcome.failed,
            retries=sums.retries,
            seconds=sum(sums.layers.values(), PhaseSeconds()),
            layers=dict(sums.layers),
            devices=tuple(sums.devices.values()),
        )
        key = run_execution_key(model, recipe, selection, self._id)
        self._bucket.put(key, record.to_bytes())


@contextmanager
def kept_executions(
    bucket: Bucket, command: str, runs: Sequence[ModelRun]
) -> Iterator[RunExecutions]:
    """Add up the events in the block; at its end, keep the executions that are not kept yet."""
    executions = RunExecutions(bucket, command)
    problem = None
    try:
        with heard_by(executions):
            yield executions
    except BaseException as error:
        problem = reason_of(error)
        raise
    finally:
        # Whatever stopped the run is the error to report.
        with suppress(StorageError):
            for run in runs:
                executions.keep(run, "stopped", problem)


def _add_device(sums: _Sums, work: ShardWork, sprites: int) -> None:
    device = work.host, work.device, work.versions
    before = sums.devices.get(device)
    sums.devices[device] = DeviceUse(
        host=work.host,
        device=work.device,
        shards=1 + (before.shards if before else 0),
        sprites=sprites + (before.sprites if before else 0),
        seconds=round(work.seconds + (before.seconds if before else 0.0), 3),
        versions=work.versions,
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
