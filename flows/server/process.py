"""The process of a private Prefect server.

`python -m diamond_cutter.flows.server.process PARENT_PID FD` serves the socket FD.
"""

import asyncio
import socket
import sys
import time

import uvicorn

from diamond_cutter.garbage import collect_rarely
from diamond_cutter.tasks.devices.child_process import end_with_parent

_CHECK_S = 0.1
# Consecutive checks with an empty queue: the last events may still be on their way from the socket.
_QUIET_CHECKS = 3
_STUCK_S = 10.0


class _DrainingServer(uvicorn.Server):
    """A server that records all received events before it stops."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for queued events, then shut down: Prefect would drop them, and with them tasks."""
        await _events_recorded()
        await super().shutdown(sockets)


async def _events_recorded() -> None:
    from prefect.server.utilities.messaging.memory import METRICS

    quiet_checks, waiting, since = 0, 0, time.monotonic()
    while quiet_checks < _QUIET_CHECKS and time.monotonic() - since < _STUCK_S:
        await asyncio.sleep(_CHECK_S)
        before, waiting = (
            waiting,
            sum(topic["published"] - topic["consumed"] for topic in METRICS.values()),
        )
        quiet_checks = 0 if waiting else quiet_checks + 1
        if waiting != before:
            since = time.monotonic()


def main() -> None:
    """Serve the Prefect API until stopped, or until the parent process ends."""
    parent_pid, listener = (int(argument) for argument in sys.argv[1:])
    end_with_parent(parent_pid)
    collect_rarely()
    from prefect.server.api.server import create_app

    config = uvicorn.Config(
        create_app, factory=True, lifespan="on", log_level="error", timeout_graceful_shutdown=5
    )
    _DrainingServer(config).run(sockets=[socket.socket(fileno=listener)])


if __name__ == "__main__":
    main()
