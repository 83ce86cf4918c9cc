"""Waits for what another process or thread does. On a busy machine it comes late, so the limit is
only for what never comes.
"""

import re
import time
from collections.abc import Callable
from typing import TypeVar

AT_MOST_S = 300.0

Found = TypeVar("Found")


def wait_for(what: Callable[[], Found | None], every_s: float = 0.05) -> Found:
    """Ask until there is an answer that is not empty, and return it."""
    until = time.monotonic() + AT_MOST_S
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > until:
            raise TimeoutError(f"nothing within {AT_MOST_S:g} s")
        time.sleep(every_s)


def without_progress(said: str) -> str:
    """Return what a command said on standard error but for how far it is, which it tells every few
    seconds on a busy machine.
    """
    return re.sub(r"^([\w ]+: )?(\d+ % )?after \d+ .*\n", "", said, flags=re.MULTILINE)
