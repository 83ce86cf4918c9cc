"""Serves a flow as a Prefect deployment, which runs on a schedule or when triggered."""

import asyncio
import signal
import sys
import time
from contextlib import suppress
from typing import Any
from uuid import UUID

import psutil
from prefect.runner import Runner

from diamond_cutter.flows.deployments.options import OnCollision
from diamond_cutter.flows.deployments.registration import Request, deployment_of
from diamond_cutter.flows.exits import Stopped
from diamond_cutter.flows.server.crashed_runs import crash_runs, pause_deployments
from diamond_cutter.flows.server.prefect_server import require_standing_server
from diamond_cutter.flows.stops import GRACE_S

_RUN_ENDS_WITHIN_S = GRACE_S + 20.0
_RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"  # Prefect's runner sets it for the process of each run


def serve(request: Request, cron: str | None, on_collision: OnCollision = "skip") -> None:
    """Serve the deployment of a flow, such as `sprites/<model>`, until interrupted.

    Triggers may change parameters, such as the folder of images.

    Raises:
        PrefectServerError: there is no standing server; says how to start one.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
    """
    require_standing_server()
    deployment = deployment_of(request, None, cron, on_collision)
    # The server allows one run at a time, and settles collisions.
    runner = _Runner(pause_on_shutdown=True)
    runner.add_deployment(deployment)
    sys.stdout.write(f"serving {deployment.full_name}  (Ctrl-C ends it)\n")
    sys.stdout.flush()
    try:
        asyncio.run(runner.start())
    except Stopped:
        raise
    except KeyboardInterrupt:
        if runner.terminated:
            raise Stopped(signal.SIGTERM) from None


class _Runner(Runner):
    """Runs the due flow runs until Ctrl-C or SIGTERM."""

    terminated = False

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """Pause the schedules and end the runs, as on Ctrl-C."""
        self.terminated = True
        # At once: on a busy machine, a run can complete before Prefect's tasks are cancelled.
        self._end()
        # A command in the background of a script ignores SIGINT, and would ignore this one, too.
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)

    async def __aexit__(self, *raised: Any) -> None:
        """End the current runs and report it to Prefect, which would show them as running."""
        self._end()
        await super().__aexit__(*raised)

    def _end(self) -> None:
        ended = _end_runs()  # first, because a busy server may answer late
        crash_runs(ended)
        # Prefect itself pauses them in a task that is being cancelled, which can fail.
        pause_deployments(self._deployment_registry.get_deployment_ids())


def _end_runs() -> list[UUID]:
    """End the processes of the current runs, and return the runs."""
    runs = {
        process: run
        for process in psutil.Process().children()
        if (run := _run_of(process)) is not None
    }
    for process in runs:
        with suppress(psutil.Error):
            process.terminate()
    until = time.monotonic() + _RUN_ENDS_WITHIN_S
    # The runner waits for them as its children, so they are only polled here.
    while any(_is_running(process) for process in runs) and time.monotonic() < until:
        time.sleep(0.1)
    for process in filter(_is_running, runs):
        with suppress(psutil.Error):
            process.kill()
    return list(runs.values())


def _run_of(process: psutil.Process) -> UUID | None:
    try:
        return UUID(process.environ().get(_RUN_VARIABLE, ""))
    except (psutil.Error, ValueError):
        return None


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
