"""How the process of a command ends: by SIGTERM, and with or without exit handlers."""

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
    """The process received SIGTERM, and ends as on Ctrl-C."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise Terminated on each SIGTERM in the block."""
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
