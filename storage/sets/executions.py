"""The record of an execution of a run: when, where and for how long the run worked.

The record of a run is named by what was requested, and all executions of the request share it. Each
execution that had something to do leaves one of these records beside it when it ends. An execution
that is killed leaves none.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage.bucket import Bucket
from diamond_cutter.storage.sets.layout import is_run_execution, run_executions_prefix
from diamond_cutter.storage.sets.records import Record, Versions
from diamond_cutter.storage.sets.sprite_set import read_record

End = Literal["complete", "failed", "stopped"]


class PhaseSeconds(FrozenModel):
    """How long shards took, added up over the shards."""

    waiting: float = Field(default=0.0, description="until a device took the shard")
    tracing: float = Field(default=0.0, description="tracing and compiling the graphs of the layer")
    rendering: float = Field(default=0.0, description="the rest, until the sprites were scored")
    writing: float = Field(default=0.0, description="encoding the picture, and writing it")

    def __add__(self, other: "PhaseSeconds") -> "PhaseSeconds":
        """Return the sum of each phase."""
        return PhaseSeconds(
            waiting=round(self.waiting + other.waiting, 3),
            tracing=round(self.tracing + other.tracing, 3),
            rendering=round(self.rendering + other.rendering, 3),
            writing=round(self.writing + other.writing, 3),
        )

    @property
    def busy(self) -> float:
        """Return the time for which devices were busy."""
        return self.tracing + self.rendering + self.writing


class DeviceUse(FrozenModel):
    """What one device did."""

    host: str
    device: str = Field(description="cpu, or gpu: and the name of the GPU for CUDA")
    shards: int
    sprites: int
    seconds: float = Field(description="for which the device was busy")
    versions: Versions


class RunExecution(Record):
    """One execution of a run."""

    model: str
    recipe: str
    selection: str = Field(description="the hash of the requested channels, which names the run")
    command: str
    host: str = Field(description="the machine of the command; devices may be on others")
    process: int
    started: datetime
    ended: datetime
    end: End = Field(description="failed: some shards failed; stopped: shards are left")
    problem: str | None = Field(default=None, description="why it was stopped")
    rendered: int = Field(description="number of sprites")
    found: int = Field(description="number of sprites that other runs rendered meanwhile")
    failed: int = Field(description="number of sprites")
    retries: int
    seconds: PhaseSeconds
    layers: dict[str, PhaseSeconds]
    devices: tuple[DeviceUse, ...]


def executions_of(bucket: Bucket, run: str) -> Iterator[RunExecution]:
    """Yield the readable executions of a run, the oldest first; `run` is the key of its commit."""
    keys = sorted(info.key for info in bucket.list(run_executions_prefix(run)))
    for key in filter(is_run_execution, keys):
        record = read_record(bucket, key, RunExecution)
        if record is not None:
            yield record
