"""What a command shows on standard error while it runs: bars, or a plain line every ten seconds.

A command opens one display for all that it does. Whatever has no display, such as a flow of a
deployment, opens one for each of its steps.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from rich.console import Console

from diamond_cutter.flows.events.json_log import logs_as_json
from diamond_cutter.flows.events.stages import STAGES
from diamond_cutter.flows.events.status import Status
from diamond_cutter.flows.events.stream import Detail, Progressed, heard_by, publish
from diamond_cutter.tasks.devices.phases import phases_heard_by

EVERY_S = 10.0
# So that the first line comes within ten seconds of the start of the command.
FIRST_AFTER_S = 5.0

_open: list[Status] = []


@contextmanager
def shown(command: str = "", first_after_s: float | None = None) -> Iterator[Status]:
    """Show the steps and the work of the block; an inner block joins the outer one.

    Args:
        command: its name, if the block is all of it.
        first_after_s: seconds until the first line, where there are no bars.
    """
    if _open:
        yield _open[-1]
        return
    status = Status(command, STAGES.get(command, {}))
    with ExitStack() as stack:
        stack.enter_context(heard_by(status))
        stack.enter_context(phases_heard_by(lambda phase: publish(Detail(text=phase))))
        _open.append(status)
        stack.callback(_open.remove, status)
        _show(status, FIRST_AFTER_S if first_after_s is None else first_after_s, stack)
        yield status


def _show(status: Status, first_after_s: float, stack: ExitStack) -> None:
    """Show the status until the stack is closed."""
    console = Console(stderr=True)
    if logs_as_json():
        ticker = Ticker(lambda: publish(progressed(status)), first_after_s)
    elif console.is_terminal and not console.is_dumb_terminal:
        # Lines need none of it.
        from diamond_cutter.flows.events.progress_bars import ProgressBars

        bars = stack.enter_context(ProgressBars(console, status))
        stack.enter_context(heard_by(bars))
        return
    else:
        ticker = Ticker(lambda: write(status.line()), first_after_s)
    ticker.start()
    stack.callback(ticker.stop)


def progressed(status: Status) -> Progressed:
    """Return how far the work is as an event."""
    share, left_s, work = status.whole.share, status.whole.left_s, status.work
    return (work.event() if work else Progressed()).model_copy(
        update={
            "share": None if share is None else round(share, 4),
            "command_left_s": None if left_s is None else round(left_s, 1),
            "steps": tuple(status.steps()),
        }
    )


def write(line: str) -> None:
    """Write a line to standard error; a run goes on if nobody reads its lines any more."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


class Ticker:
    """Calls a function every ten seconds in a thread of its own; for the first time sooner."""

    def __init__(self, tick: Callable[[], object], first_after_s: float) -> None:
        self._tick, self._first_after_s = tick, min(first_after_s, EVERY_S)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Start to call it."""
        self._thread.start()

    def stop(self) -> None:
        """Wait for the last call."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        due = time.monotonic() + self._first_after_s
        while not self._ended.wait(max(due - time.monotonic(), 0.0)):
            self._tick()
            due += EVERY_S
