"""Signals that stop a run: the first one lets the tasks in flight finish, a second one does not.

SIGTERM and Ctrl-C arrive in the main thread, which runs the flow. While a loop over tasks holds
them, the first one only makes the loop start no more tasks and end within a grace time. Elsewhere
in a run, and if it is repeated, a signal raises an exception at once. After that the processes and
the server of the run are stopped, so further signals raise nothing. They set a time limit.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn, Protocol

from diamond_cutter.flows.exits import Stopped, leave_within, signal_of
from diamond_cutter.flows.resent_signals import creates_task_run, send_again

GRACE_S = 25.0
# The same signal may be sent twice for one reason: `timeout` sends it to a process and its group.
_ONE_SIGNAL_S = 0.1
# Enough time to stop processes and to report the end to a Prefect server that answers.
_CLEAN_UP_S = 10.0


class Admit(Protocol):
    """Admits tasks to devices, or refuses those that have no device yet."""

    def __call__(self, *, more: bool) -> None:
        """Admit more tasks, or refuse them."""


class Stop:
    """Whether a signal asks the run to stop, and until when its tasks may go on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.signal: int | None = None
        self.grace_s = GRACE_S
        self._clock, self._until = clock, float("inf")
        self._last: tuple[int, float] = 0, float("-inf")
        self._holders = list[Callable[[], str]]()
        self._obeyed = self._softened = self._stopping = False
        self._progress: Callable[[], str] = str
        self._gates = list[Admit]()

    @property
    def is_requested(self) -> bool:
        """Tell whether no more tasks may start."""
        return self.signal is not None

    @property
    def is_over(self) -> bool:
        """Tell whether the grace time of the tasks in flight is over."""
        return self._clock() >= self._until

    @property
    def done(self) -> str:
        """Return what was done when a signal stopped a loop, such as `3 of 9 layers`, or ''."""
        return self._progress()

    def defers(self, number: int) -> bool:
        """Note a signal, and tell whether tasks in flight may still finish."""
        repeated = self._note(number)
        if self._stopping:
            return False
        if self._holders and not self.is_requested and number != signal.SIGHUP:
            self.signal, self._until = number, self._clock() + self.grace_s
            return True
        # A supervisor often sends SIGTERM to a process that already got Ctrl-C from the terminal.
        softer = number == signal.SIGTERM and self.signal == signal.SIGINT and not self._softened
        self._softened = self._softened or softer
        if self.is_requested and (repeated or softer):
            return True
        if self.is_requested or number == signal.SIGHUP:
            leave_within(_CLEAN_UP_S, 128 + number)
        self._stopping = True
        return False

    def hurry(self, number: int) -> None:
        """Note a signal that arrives while the run is being stopped: it must now end soon."""
        if not self._note(number):
            leave_within(_CLEAN_UP_S, 128 + number)

    def expect_again(self) -> bool:
        """Await a signal again whose exception Python has ignored, and tell whether to send it.

        If an earlier one was deferred, the end of the loop raises its exception.
        """
        self._stopping = self.is_requested
        return not self._stopping

    def _note(self, number: int) -> bool:
        """Tell whether the same signal has just arrived."""
        last, self._last = self._last, (number, self._clock())
        return last[0] == number and self._last[1] - last[1] < _ONE_SIGNAL_S

    def admit_with(self, admit: Admit) -> None:
        """Have a function called when no more tasks may start, and when they may again."""
        self._gates.append(admit)

    def admit(self, *, more: bool) -> None:
        """Refuse tasks that have no device yet, or admit tasks again."""
        for admit in self._gates:
            admit(more=more)

    def obey(self) -> None:
        """Once a signal has arrived, say so, and refuse tasks that have no device yet.

        Loops call this at least once a second, because a handler of signals may not print.
        """
        if self.signal is None or self._obeyed:
            return
        from diamond_cutter.flows.events.progress import say

        self._obeyed = True
        again = "press Ctrl-C again" if self.signal == signal.SIGINT else "send SIGTERM again"
        limit = f"for at most {self.grace_s:g} s"
        with printing_to_whoever_is_left():
            say(f"finishing the tasks in flight, {limit}; {again} to stop now")
        self.admit(more=False)

    @contextmanager
    def held(self, progress: Callable[[], str]) -> Iterator[None]:
        """Defer the first signal in the block, and raise its exception at the end of the block.

        `progress` returns what is done so far.
        """
        self._holders.append(progress)
        self._progress = progress
        try:
            yield
        finally:
            self._holders.remove(progress)
        if self.signal is None:
            self._progress = str
            return
        self._stopping = True
        signal.raise_signal(self.signal)
        raise Stopped(self.signal)  # the signal is ignored by now


@contextmanager
def printing_to_whoever_is_left() -> Iterator[None]:
    """Go on if nobody reads what the block prints: Ctrl-C also stops the `tee` behind a command."""
    # rich raises SystemExit for a broken pipe.
    with suppress(OSError, SystemExit):
        yield


_current = Stop()


def current_stop() -> Stop:
    """Return the state of this process."""
    return _current


@contextmanager
def fresh_stop() -> Iterator[Stop]:
    """Forget signals of earlier runs of this process in the block."""
    global _current
    before, _current = _current, Stop()
    try:
        yield _current
    finally:
        _current = before


@dataclass
class _Handling:
    """Whether a block has passed a signal on, and the exception that was raised for it."""

    passed_on: bool = False
    error: BaseException | None = None


_blocks = list[_Handling]()


@contextmanager
def handling(
    numbers: tuple[int, ...], stop_at_once: Callable[[int], Any] | None = None
) -> Iterator[None]:
    """Handle signals in the block, if this is the main thread.

    Args:
        numbers: the signals. Those that the process ignores stay ignored.
        stop_at_once: raises the exception of a signal; if omitted, the handler that was there
            before the block does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: old for number, old in before.items() if old is not signal.SIG_IGN}
    block = _Handling()

    def handle(number: int, frame: FrameType | None) -> None:
        if block.passed_on:
            return _current.hurry(number)
        if creates_task_run(frame):
            return send_again(number)
        if _current.defers(number):
            return None
        block.passed_on = True
        old = before[number]
        try:
            if stop_at_once is not None:
                stop_at_once(number)
            elif callable(old):
                old(number, frame)
            raise Stopped(number)
        except BaseException as error:
            block.error = error
            raise

    for number in before:
        signal.signal(number, handle)
    _blocks.append(block)
    try:
        yield
    finally:
        _blocks.remove(block)
        # Prefect's handler would raise again while Prefect reports the end of the run.
        if stop_at_once is not None or not block.passed_on:
            for number, old in before.items():
                signal.signal(number, old)


@contextmanager
def terminable() -> Iterator[None]:
    """Raise Stopped on the first SIGTERM or SIGHUP in the block that no loop defers."""
    terminals = [stream for stream in (0, 1, 2) if _is_terminal(stream)]

    def stop(number: int) -> NoReturn:
        _leave_terminals(terminals)
        raise Stopped(number)

    with handling((signal.SIGTERM, signal.SIGHUP), stop):
        yield


def _is_terminal(stream: int) -> bool:
    try:
        return os.isatty(stream)
    except OSError:
        return False


def _leave_terminals(streams: list[int]) -> None:
    """Discard what is printed on terminals that are gone, because printing there is an error."""
    gone = [stream for stream in streams if not _is_terminal(stream)]
    if gone:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in gone:
            os.dup2(nowhere, stream)
        os.close(nowhere)


def _note_ignored(ignored: "sys.UnraisableHookArgs") -> None:
    """Send a signal again whose exception Python has ignored.

    Python ignores what is raised while the callback of a weak reference or a `__del__` runs. A
    signal that arrives during a garbage collection is often handled there.
    """
    number = signal_of(ignored.exc_value)
    if number is None or sys.is_finalizing():
        _report(ignored)
        return
    for block in _blocks:
        if block.error is ignored.exc_value:
            block.passed_on, block.error = False, None
    if _current.expect_again():
        send_again(number)


# From now on, because the run of a deployment gets signals before its flow begins.
_report, sys.unraisablehook = sys.unraisablehook, _note_ignored
