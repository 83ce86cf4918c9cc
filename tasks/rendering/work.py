"""How a shard was rendered: where, in how many seconds, and with how many retries."""

from typing import Any, Literal

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage.sets.records import Versions


class ShardWork(FrozenModel):
    """The work of a device process on a shard.

    device: `cpu`, or `gpu:` and the name of the GPU for CUDA.
    tracing_s: time for building, tracing and compiling graphs, or waiting for this, and for the
        first scores.
    rendering_s: the rest of the time until the sprites were scored.
    writing_s: time for encoding the picture, and for writing it and its record to the bucket.
    bytes: size of the picture.
    picture: key of the picture in the bucket.
    """

    host: str
    device: str
    tracing_s: float
    rendering_s: float
    writing_s: float
    bytes: int
    picture: str
    versions: Versions

    @property
    def seconds(self) -> float:
        """Return the time for which the device was busy."""
        return self.tracing_s + self.rendering_s + self.writing_s


class ShardOutcome(FrozenModel):
    """What became of a shard.

    how: `rendered`; `there`, if it has a sound record by now; `claimed`, if another process is at
        work on it; `gone`, if it was to be copied from a shard that is not in the bucket any more.
    waiting_s: time until a device took the shard, including the start of its process.
    """

    how: Literal["rendered", "there", "claimed", "gone"]
    work: ShardWork | None = None
    waiting_s: float = 0.0
    retries: int = 0

    @property
    def seconds_by_phase(self) -> dict[str, float]:
        """Return the seconds of each phase; empty if the shard was not rendered."""
        if self.work is None:
            return {}
        return {
            "waiting": self.waiting_s,
            "tracing": self.work.tracing_s,
            "rendering": self.work.rendering_s,
            "writing": self.work.writing_s,
        }

    def fields(self) -> dict[str, Any]:
        """Return the outcome as flat fields, for logs."""
        found: dict[str, Any] = {"how": self.how, "retries": self.retries}
        if self.work is None:
            return found
        phases = {f"{name}_s": round(each, 3) for name, each in self.seconds_by_phase.items()}
        return {
            **found,
            "host": self.work.host,
            "device": self.work.device,
            "seconds": round(self.work.seconds, 3),
            **phases,
            "bytes": self.work.bytes,
        }
