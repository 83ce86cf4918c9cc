"""Puts a flow on a Prefect server as a deployment, to be run on time or triggered."""

import asyncio
import signal
import sys
import time
from contextlib import suppress
from typing import Any, Literal, cast
from uuid import UUID

import psutil
from prefect import Flow
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.callables import ParameterSchema

from diamond_cutter.flows.attribution import attribute_dataset
from diamond_cutter.flows.attribution_request import AttributionRequest
from diamond_cutter.flows.exits import Terminated
from diamond_cutter.flows.runs import check_attribution, check_sprites
from diamond_cutter.flows.server.crashed_runs import crash_runs
from diamond_cutter.flows.server.prefect_server import require_standing_server
from diamond_cutter.flows.sprites import sprites
from diamond_cutter.flows.sprites_request import SpritesRequest

_RUN_ENDS_WITHIN_S = 30.0
_RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"  # by which Prefect's runner tells a process which run it is


def serve_sprites(request: SpritesRequest, cron: str | None) -> None:
    """Serve a deployment named `sprites/<model>` until interrupted; its parameters can be changed
    when it is triggered.

    Raises:
        PrefectServerError: there is no standing server; says how to start one.
        ModelError, StorageError, RequestError, BadPhotos: what is asked for cannot be had.
    """
    require_standing_server()
    check_sprites(request)
    _serve(sprites, request, cron)


def serve_attribution(request: AttributionRequest, cron: str | None) -> None:
    """Serve a deployment named `attribute-dataset/<model>` until interrupted; its folder and all
    else can be changed when it is triggered.

    Raises:
        PrefectServerError: there is no standing server; says how to start one.
        ModelError, StorageError, RequestError, BadPhotos: what is asked for cannot be had.
    """
    require_standing_server()
    check_attribution(request)
    _serve(attribute_dataset, request, cron)


class _OnlyKnown(ParameterSchema):
    """A schema of parameters by which the server refuses a run with parameters that the flow does
    not have.
    """

    additionalProperties: Literal[False]


class _Runner(Runner):
    """Runs what is due until Ctrl-C, or until SIGTERM, by which it ends in the same way."""

    terminated = False

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """Pause the schedules and end the runs."""
        self.terminated = True
        signal.raise_signal(signal.SIGINT)

    async def __aexit__(self, *raised: Any) -> None:
        """End the runs under way and say so to Prefect, which would let them go on being shown as
        running.
        """
        crash_runs(_end_runs())
        await super().__aexit__(*raised)


def _end_runs() -> list[UUID]:
    """End the processes of the runs under way, and return the runs."""
    runs = {
        process: run
        for process in psutil.Process().children()
        if (run := _run_of(process)) is not None
    }
    for process in runs:
        with suppress(psutil.Error):
            process.terminate()
    until = time.monotonic() + _RUN_ENDS_WITHIN_S
    # They are not waited for as children: the runner does that.
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


def _serve(
    flow: Flow[Any, Any], request: SpritesRequest | AttributionRequest, cron: str | None
) -> None:
    # The deployment outlives this working directory.
    parameters = {"request": request.lasting().model_dump(mode="json")}
    made = flow.to_deployment(
        name=request.model,
        cron=cron,
        parameters=parameters,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    # Prefect types what it offers to both kinds of callers as if it were always awaited.
    deployment = cast(RunnerDeployment, made)
    deployment._parameter_openapi_schema = _OnlyKnown(
        **flow.parameters.model_dump(), additionalProperties=False
    )
    runner = _Runner(pause_on_shutdown=True, limit=1)
    runner.add_deployment(deployment)
    sys.stdout.write(f"serving {flow.name}/{request.model}  (Ctrl-C ends it)\n")
    sys.stdout.flush()
    try:
        asyncio.run(runner.start())
    except KeyboardInterrupt:
        if runner.terminated:
            raise Terminated from None
