"""The events of a run as JSON lines on standard error, for programs that collect logs."""

import json
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diamond_cutter.flows.events.stream import Event

_listening = ExitStack()
_is_on = False


def log_as_json(on: bool) -> None:
    """Write the events of this process as JSON lines, instead of bars and sentences; or stop it."""
    global _is_on
    if on == _is_on:
        return
    _is_on = on
    if on:
        # Other commands do without it.
        from diamond_cutter.flows.events.stream import heard_by

        _listening.enter_context(heard_by(_write))
    else:
        _listening.close()


def logs_as_json() -> bool:
    """Tell whether standard error is for JSON lines."""
    return _is_on


def _write(event: "Event") -> None:
    if not event.is_written:
        return
    # A run goes on if nobody reads its log any more.
    with suppress(OSError, ValueError):
        sys.stderr.write(json.dumps(event.fields()) + "\n")
        sys.stderr.flush()
