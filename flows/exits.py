"""How the process of a command ends: by a signal, and with or without exit handlers."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

_SHOW_CURSOR = b"\x1b[?25h\n"

_at_once = False
_hides_cursor = False


class Stopped(KeyboardInterrupt):
    """A signal ends the command, as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def exit_code_of(stop: KeyboardInterrupt) -> int:
    """Return the exit code of a command that a signal has ended."""
    return 128 + _number_of(stop)


def signal_of(error: BaseException | None) -> int | None:
    """Return the signal that an exception was raised for, or None."""
    if isinstance(error, KeyboardInterrupt):
        return _number_of(error)
    # Prefect raises an error of its own at SIGTERM, with the number as its `signal`.
    number = getattr(error, "signal", None)
    return number if isinstance(number, int) else None


def _number_of(stop: KeyboardInterrupt) -> int:
    return stop.number if isinstance(stop, Stopped) else signal.SIGINT


def leave_at_once() -> None:
    """Make `leave` skip exit handlers and threads, which may wait minutes for a lost server."""
    global _at_once
    _at_once = True


@contextmanager
def cursor_hidden() -> Iterator[None]:
    """Show the cursor again if the process ends at once in the block, without exit handlers."""
    global _hides_cursor
    _hides_cursor = True
    try:
        yield
    finally:
        _hides_cursor = False


def _show_cursor() -> None:
    if _hides_cursor:
        with suppress(OSError):
            os.write(sys.stderr.fileno(), _SHOW_CURSOR)


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
    _show_cursor()
    os._exit(code)


def leave(code: int) -> NoReturn:
    """End the process."""
    if _at_once:
        _show_cursor()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
