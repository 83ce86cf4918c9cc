"""Virtual time: a clock that jumps from event to event, and processes that wait on it."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Generator


class Signal:
    """Something that processes wait for."""

    def __init__(self) -> None:
        self.waiting: deque[Process] = deque()


# A process yields the seconds that pass, or a signal to wait for.
Process = Generator[float | Signal, None, None]


class VirtualTime:
    """The clock and the events to come. It stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def monotonic(self) -> float:
        """Return the virtual time in seconds."""
        return self.now

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something after some seconds."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), call))

    def start(self, process: Process) -> None:
        """Start a process."""
        self.after(0.0, lambda: self._resume(process))

    def fire(self, signal: Signal, *, everyone: bool = True) -> None:
        """Wake the processes that wait for a signal, or the one that waits longest."""
        for _ in range(len(signal.waiting) if everyone else min(1, len(signal.waiting))):
            self.start(signal.waiting.popleft())

    def run(self, is_over: Callable[[], bool]) -> None:
        """Let time pass until it is over, or nothing is left to happen."""
        while self._events and not is_over():
            self.now, _, call = heapq.heappop(self._events)
            call()

    def _resume(self, process: Process) -> None:
        awaited = next(process, None)
        if isinstance(awaited, Signal):
            awaited.waiting.append(process)
        elif awaited is not None:
            self.after(awaited, lambda: self._resume(process))
