"""The process of one device, as its parent sees it: started, called, and killed."""

import pickle
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any

from diamond_cutter.tasks.devices.child_process import kill_child, log_tail, start_child
from diamond_cutter.tasks.devices.choice import is_gpu
from diamond_cutter.tasks.devices.environment import worker_environment
from diamond_cutter.tasks.devices.messages import AHEAD, CALL, Message
from diamond_cutter.tasks.devices.worker_errors import WorkerDied, WorkerTimedOut

# A worker that has not started the call by then hangs in its imports.
_START_LIMIT_S = 300.0
# A dead worker is noticed after this time even if a child of its own holds the pipe open.
_LIFE_CHECK_S = 1.0

OnProgress = Callable[[Any], None]


class WorkerProcess:
    """A process that sees one device, and runs one call at a time."""

    def __init__(self, device: str) -> None:
        self.name = f"the worker of device {device!r}" if is_gpu(device) else "the CPU worker"
        self.log = tempfile.TemporaryFile()
        self.connection, theirs = Pipe()
        self._sending = threading.Lock()
        with theirs:
            self.process = start_child(
                "diamond_cutter.tasks.devices.worker",
                pass_fd=theirs.fileno(),
                environment=worker_environment(device),
                log=self.log,
            )

    def call(
        self,
        request: bytes,
        timeout_s: float,
        on_progress: OnProgress | None,
        on_begun: Callable[[], object] = lambda: None,
    ) -> Message:
        """Send a pickled call and return its answer, a result or what was raised.

        Args:
            request: the function and its arguments.
            timeout_s: time limit of the call.
            on_progress: called with each value that the function reports.
            on_begun: called when the function begins.

        Raises:
            WorkerDied: the process ended during the call.
            WorkerTimedOut: the call took longer than `timeout_s`.
        """
        self._send(CALL + request)
        limit_s, doing = _START_LIMIT_S, "start the call"
        deadline = time.monotonic() + limit_s
        while True:
            message = self._receive(deadline)
            if message is None or (message.kind == "progress" and time.monotonic() > deadline):
                raise WorkerTimedOut(
                    f"{self.name} was killed because it did not {doing} within {limit_s:g} s"
                )
            if message.kind == "started":
                limit_s, doing = timeout_s, "finish the call"
                deadline = time.monotonic() + limit_s
                on_begun()
            elif message.kind != "progress":
                return message
            elif on_progress is not None:
                on_progress(message.value)

    def work_ahead(self, request: bytes) -> None:
        """Send a pickled call that runs beside the current one, and has no answer."""
        self._send(AHEAD + request)

    def discard(self) -> None:
        """Kill the process."""
        kill_child(self.process)
        # A thread that still sends to it gets an error now, and must not find the pipe closed.
        with self._sending:
            self.connection.close()
        self.log.close()

    def printed(self) -> str:
        """Return the end of what the process has printed."""
        return log_tail(self.log)

    def _send(self, content: bytes) -> None:
        # An answer, or its absence, is read elsewhere; a discarded process has a closed pipe.
        with self._sending, suppress(OSError):
            self.connection.send_bytes(content)

    def _receive(self, deadline: float) -> Message | None:
        try:
            while not self.connection.poll(min(max(deadline - time.monotonic(), 0), _LIFE_CHECK_S)):
                if self.process.poll() is not None and not self.connection.poll():
                    raise EOFError
                if time.monotonic() > deadline:
                    return None
            content = self.connection.recv_bytes()
        except (EOFError, ConnectionError):
            raise WorkerDied(self._obituary()) from None
        message: Message = pickle.loads(content)
        return message

    def _obituary(self) -> str:
        # The pipe closes a little before the exit status is available.
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_LIFE_CHECK_S)
        status = self.process.returncode
        if status is None:
            end = "closed its pipe"
        else:
            end = (
                f"was killed by {signal.Signals(-status).name}"
                if status < 0
                else f"exited with code {status}"
            )
        printed = self.printed()
        return f"{self.name} {end} during the call" + (
            f". It had printed:\n{printed}" if printed else ""
        )
