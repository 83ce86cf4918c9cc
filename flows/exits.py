"""How the process of a command ends: by a signal, and with or without exit handlers."""

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import NoReturn

_at_once = False


class Stopped(KeyboardInterrupt):
    """A signal ends the command, as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def exit_code_of(stop: KeyboardInterrupt) -> int:
    """Return the exit code of a command that a signal has ended."""
    return 128 + (stop.number if isinstance(stop, Stopped) else signal.SIGINT)


def leave_at_once() -> None:
    """Make `leave` skip exit handlers and threads, which may wait minutes for a lost server."""
    global _at_once
    _at_once = True


def leave_within(limit_s: float, code: int) -> None:
    """End the process and its children after a time limit, even if one of its threads hangs."""
    timer = threading.Timer(limit_s, _end_all, (code,))
    timer.daemon = True
    timer.start()


def _end_all(code: int) -> NoReturn:
    import psutil  # `--help` must not wait for it

    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    os._exit(code)


def leave(code: int) -> NoReturn:
    """End the process."""
    if _at_once:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
