"""The events of a run: one stream that bars, JSON lines, metrics and the run's record listen to.

Whatever works publishes events, in any thread. Listeners are called one at a time, in the order of
the events.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.tasks.rendering.work import ShardOutcome


class Part(FrozenModel):
    """A part of the work that is done as a whole.

    title: for people.
    items: the number of its sprites, images or layers.
    channels: the first and the last one, or the only one.
    """

    kind: Literal["shard", "batch", "layer"]
    title: str
    items: int
    model: str | None = None
    layer: str | None = None
    channels: str | None = None


class Event(FrozenModel):
    """The base of all events. Its fields are documented in docs/operations.md."""

    name: ClassVar[str]
    is_written: ClassVar[bool] = True
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))

    def fields(self) -> dict[str, Any]:
        """Return the event as the fields of a JSON line; fields without a value are omitted."""
        values = self.model_dump(mode="json")
        given = {name: value for name, value in values.items() if value not in (None, [])}
        return {"time": given.pop("time"), "event": self.name, **given}


class RunStarted(Event):
    """A flow, or `tune`, has started; `attribute`, `cut` and `compare` also run `sprites`."""

    name = "run started"
    command: str
    host: str
    process: int
    version: str


class RunDone(Event):
    """A run has ended, in whatever way."""

    name = "run done"
    command: str
    ended: Literal["complete", "failed", "stopped"]
    seconds: float
    problem: str | None = None


class StepStarted(Event):
    """A step without parts has started."""

    name = "step started"
    step: str


class StepDone(Event):
    """A step has ended."""

    name = "step done"
    step: str
    seconds: float


class WorkStarted(Event):
    """Work with parts has started."""

    name = "work started"
    unit: str
    total: int


class WorkDone(Event):
    """Work with parts has ended, or was stopped."""

    name = "work done"
    unit: str
    total: int
    done: int
    failed: int
    seconds: float


class Progressed(Event):
    """How far the work is; published every ten seconds if events are written as JSON lines."""

    name = "progress"
    unit: str | None = None
    total: int | None = None
    done: int | None = None
    failed: int | None = None
    per_second: float | None = None
    left_s: float | None = None
    at_work: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()


class Counted(Event):
    """Some items of a part are done. There are too many of these to write them."""

    name = "counted"
    is_written = False
    part: Part
    items: int


class Phase(Event):
    """What is being done with a part, such as `rendering`. It is shown, but not written."""

    name = "phase"
    is_written = False
    part: Part
    phase: str


class PartEvent(Event):
    """The base of events about a part, which are named after its kind, such as `shard done`."""

    part: Part

    def fields(self) -> dict[str, Any]:
        """Return the fields of the part, then those of the event."""
        values = super().fields()
        part = self.part.model_dump(exclude_none=True)
        values.pop("part")
        kind, items = part.pop("kind"), part.pop("items")
        values["event"] = f"{kind} {self.name}"
        return {**values, **part, "sprites" if kind == "shard" else "items": items}


class PartStarted(PartEvent):
    """The task of a part was submitted."""

    name = "started"


class PartDone(PartEvent):
    """A part of images or layers is done."""

    name = "done"
    seconds: float


class PartFailed(PartEvent):
    """A part failed for good."""

    name = "failed"
    problem: str
    retries: int


class PartReturned(PartEvent):
    """A part was not done here: another run is at work on it, or its task was lost."""

    name = "returned"
    problem: str


class ShardDone(PartEvent):
    """A shard is in the bucket."""

    name = "done"
    outcome: ShardOutcome

    def fields(self) -> dict[str, Any]:
        """Return the fields of the shard and of its rendering."""
        values = super().fields()
        values.pop("outcome")
        return {**values, **self.outcome.fields()}


class LayerDone(Event):
    """The spritemap of a layer is in the bucket."""

    name = "layer done"
    model: str
    layer: str
    sprites: int
    flagged: int


class GalleryShown(Event):
    """The gallery of a model shows the sprites so far, while the run goes on."""

    name = "gallery shown"
    model: str
    key: str


class TaskFailed(Event):
    """A task other than that of a shard failed for good."""

    name = "task failed"
    problem: str


class Note(Event):
    """A sentence about the run."""

    name = "note"
    message: str


class Problem(Event):
    """An error message."""

    name = "error"
    message: str


Listener = Callable[[Event], None]

_listeners: list[Listener] = []
# Reentrant, because a listener may publish events itself.
_one_at_a_time = threading.RLock()


def publish(event: Event) -> None:
    """Pass an event to all listeners."""
    with _one_at_a_time:
        for listener in tuple(_listeners):
            listener(event)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Pass all events to a listener while the block runs."""
    with _one_at_a_time:
        _listeners.append(listener)
    try:
        yield
    finally:
        with _one_at_a_time:
            _listeners.remove(listener)
