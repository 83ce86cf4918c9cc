"""A stopwatch that several threads may run at once."""

import threading
import time
from collections.abc import Callable
from types import TracebackType


class Stopwatch:
    """Adds up the time in which at least one thread is in its block."""

    def __init__(self, on_change: Callable[[bool], object] = lambda runs: None) -> None:
        """Set it to zero; `on_change` is called whenever it starts (True) or stops (False)."""
        self.seconds, self._on_change = 0.0, on_change
        self._inside, self._since = 0, 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._since = time.perf_counter()
                self._on_change(True)
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self.seconds += time.perf_counter() - self._since
                self._on_change(False)
