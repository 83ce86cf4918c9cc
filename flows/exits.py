"""How the command's process ends."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_at_once = False


class Terminated(KeyboardInterrupt):
    """The process was sent SIGTERM, and ends as it does on Ctrl-C."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise Terminated on SIGTERM, each time that it comes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def leave_at_once() -> None:
    """Make `leave` skip exit handlers and threads, which may wait minutes for a lost server."""
    global _at_once
    _at_once = True


def leave(code: int) -> NoReturn:
    """End the process."""
    if _at_once:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
