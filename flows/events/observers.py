"""Observes a flow: announces its start and end, and sends metrics if the environment wants them."""

import importlib.metadata
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from diamond_cutter.errors import DiamondCutterError, first_line
from diamond_cutter.flows.events.metrics import metrics_are_on, sent_metrics
from diamond_cutter.flows.events.stream import RunDone, RunStarted, publish
from diamond_cutter.flows.exits import signal_of

_observing: list[str] = []


@contextmanager
def observed(command: str) -> Iterator[None]:
    """Publish the start and the end of a command while the block runs.

    Metrics are sent by the outermost block: reports run `sprites` as well.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        if not _observing and metrics_are_on():
            stack.enter_context(sent_metrics())
        _observing.append(command)
        stack.callback(_observing.remove, command)
        publish(
            RunStarted(
                command=command,
                host=socket.gethostname(),
                process=os.getpid(),
                version=importlib.metadata.version("diamond-cutter"),
            )
        )
        try:
            yield
        except BaseException as error:
            publish(_stopped(command, error, time.monotonic() - started))
            raise
        seconds = round(time.monotonic() - started, 3)
        publish(RunDone(command=command, ended="complete", seconds=seconds))


def _stopped(command: str, error: BaseException, seconds: float) -> RunDone:
    return RunDone(
        command=command,
        ended="failed" if isinstance(error, DiamondCutterError) else "stopped",
        seconds=round(seconds, 3),
        problem=reason_of(error),
    )


def reason_of(error: BaseException) -> str:
    """Return why a run was stopped, in one line."""
    number = signal_of(error)
    if number in (signal.SIGTERM, signal.SIGHUP):
        return "terminated" if number == signal.SIGTERM else "hung up"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return first_line(error) or type(error).__name__
