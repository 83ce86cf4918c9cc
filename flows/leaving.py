"""How the command's process ends."""

import os
import sys
from typing import NoReturn

_at_once = False


def leave_at_once() -> None:
    """Have the process end without what libraries do at its end: Prefect would go on for minutes to send to a lost server."""
    global _at_once
    _at_once = True


def leave(code: int) -> NoReturn:
    """End the process."""
    if _at_once:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
