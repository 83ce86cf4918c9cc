"""Progress on standard error: bars on a terminal, otherwise a plain line every ten seconds.

With `--log-json`, events are written instead (see `json_log`).
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Literal, Self

from rich.console import Console
from rich.markup import escape

from diamond_cutter.flows.events.json_log import logs_as_json
from diamond_cutter.flows.events.stream import (
    Counted,
    Note,
    Part,
    PartDone,
    PartStarted,
    Phase,
    Progressed,
    StepDone,
    StepStarted,
    WorkDone,
    WorkStarted,
    heard_by,
    publish,
)
from diamond_cutter.flows.events.tally import Group, Tally
from diamond_cutter.flows.quantities import passing

# Shorter work prints nothing, except on a terminal.
EVERY_S = 10.0

_shown: list["Progress"] = []


class Progress:
    """Counts sprites, images or layers, and shows how far the work is."""

    def __init__(
        self,
        unit: str,
        total: int,
        layers: Mapping[Group, int] | None = None,
        parts: Literal["batch", "layer"] = "batch",
    ) -> None:
        """Prepare to count.

        Args:
            unit: what is counted.
            total: the number of items.
            layers: the number of items of each model and layer.
            parts: what the parts are, if they are not shards.
        """
        self._tally, self._kind = Tally(unit, total, layers), parts
        self._stack, self._ticker = ExitStack(), _Ticker(self._tick)

    def __enter__(self) -> Self:
        tally, console = self._tally, Console(stderr=True)
        publish(WorkStarted(unit=tally.unit, total=tally.total))
        self._stack.enter_context(heard_by(tally))
        if console.is_terminal and not logs_as_json():
            # Lines need none of it.
            from diamond_cutter.flows.events.progress_bars import ProgressBars

            bars = self._stack.enter_context(ProgressBars(console, tally))
            self._stack.enter_context(heard_by(bars))
        else:
            self._ticker.start()
        _shown.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _shown.remove(self)
        self._ticker.stop()
        self._stack.close()
        tally = self._tally
        if kind is None and self._ticker.ticked and not logs_as_json():
            self._tick()
        publish(
            WorkDone(
                unit=tally.unit,
                total=tally.total,
                done=tally.done,
                failed=tally.failed,
                seconds=round(tally.seconds, 3),
            )
        )

    def of_part(self, title: str, items: int) -> "PartProgress":
        """Return what counts the items of a part; retries do not count twice."""
        part, started = Part(kind=self._kind, title=title, items=items), time.monotonic()

        def end() -> None:
            publish(PartDone(part=part, seconds=round(time.monotonic() - started, 3)))

        publish(PartStarted(part=part))
        return PartProgress(lambda done: publish(Counted(part=part, items=done)), items, end)

    def of_shard(self, shard: Part) -> "PartProgress":
        """Return what counts the sprites of a shard, whose start and end the caller publishes."""
        return PartProgress(
            lambda done: publish(Counted(part=shard, items=done)),
            shard.items,
            on_phase=lambda phase: publish(Phase(part=shard, phase=phase)),
        )

    def described(self) -> Callable[[tuple[int, str]], None]:
        """Return a callback that counts items, and shows a line about them."""
        return lambda found: self._tally.describe(*found)

    def _tick(self) -> None:
        if logs_as_json():
            publish(self._tally.event())
        else:
            _write(self._tally.line())


class PartProgress:
    """Counts the items of one part. In a process of a cluster, a copy counts nothing."""

    def __init__(
        self,
        count: Callable[[int], None],
        items: int,
        end: Callable[[], None] = lambda: None,
        on_phase: Callable[[str], None] = lambda phase: None,
    ) -> None:
        self._count, self._left, self._end, self._on_phase = count, items, end, on_phase

    def __call__(self, done: int | str) -> None:
        """Count items, at most as many as the part has; or note the phase that has begun."""
        if isinstance(done, str):
            self._on_phase(done)
            return
        fresh = min(done, self._left)
        if not fresh:
            return
        self._left -= fresh
        self._count(fresh)
        if not self._left:
            self._end()

    def complete(self) -> None:
        """Count the items that are left."""
        self(self._left)

    def __reduce__(self) -> tuple[type["PartProgress"], tuple[Callable[[int], None], int]]:
        """Pickle the progress as one that nobody sees."""
        return PartProgress, (_unseen, 0)


def _unseen(done: int) -> None:
    pass


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Show the current step, such as `importing the model`."""
    started = time.monotonic()
    publish(StepStarted(step=what))
    try:
        with _step_shown(what, started):
            yield
    finally:
        publish(StepDone(step=what, seconds=round(time.monotonic() - started, 3)))


@contextmanager
def _step_shown(what: str, started: float) -> Iterator[None]:
    if _shown:  # it is shown with the rest of the work
        yield
        return
    console = Console(stderr=True)
    if console.is_terminal and not logs_as_json():
        with console.status(escape(what)):
            yield
        return

    def tick() -> None:
        if logs_as_json():
            publish(Progressed(steps=(what,)))
        else:
            _write(f"{what}, for {passing(time.monotonic() - started)} so far")

    ticker = _Ticker(tick)
    ticker.start()
    try:
        yield
    finally:
        ticker.stop()


def say(text: str) -> None:
    """Print a line on standard error."""
    if logs_as_json():
        publish(Note(message=text))
    else:
        Console(stderr=True, soft_wrap=True, highlight=False).print(escape(text))


def _write(line: str) -> None:
    with suppress(OSError, ValueError):  # a run goes on if nobody reads its lines any more
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


class _Ticker:
    """Calls a function every ten seconds in a thread of its own."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick, self._ended, self.ticked = tick, threading.Event(), False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        due = time.monotonic() + EVERY_S
        while not self._ended.wait(max(due - time.monotonic(), 0.0)):
            self.ticked = True
            self._tick()
            due += EVERY_S
