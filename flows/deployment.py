"""Serves a flow as a Prefect deployment, which runs on a schedule or when triggered."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, cast
from uuid import UUID

import psutil
from prefect import Flow
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.callables import ParameterSchema

from diamond_cutter.flows.attach_request import AttachRequest
from diamond_cutter.flows.attaching import attach
from diamond_cutter.flows.attribution import attribute_dataset
from diamond_cutter.flows.attribution_request import AttributionRequest
from diamond_cutter.flows.compare_request import CompareRequest
from diamond_cutter.flows.comparing import compare_models
from diamond_cutter.flows.cut_request import CutRequest
from diamond_cutter.flows.cutting import find_cut
from diamond_cutter.flows.exits import Terminated
from diamond_cutter.flows.runs import (
    check_attach,
    check_attribution,
    check_compare,
    check_cut,
    check_sprites,
)
from diamond_cutter.flows.server.crashed_runs import crash_runs, pause_deployments
from diamond_cutter.flows.server.prefect_server import require_standing_server
from diamond_cutter.flows.sprites import sprites
from diamond_cutter.flows.sprites_request import SpritesRequest

_RUN_ENDS_WITHIN_S = 30.0
_RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"  # Prefect's runner sets it for the process of each run


Request = SpritesRequest | AttributionRequest | CutRequest | AttachRequest | CompareRequest

# For each kind of request: what checks it, and its flow.
_SERVED: dict[type[Request], tuple[Callable[[Any], None], Flow[Any, Any]]] = {
    SpritesRequest: (check_sprites, sprites),
    AttributionRequest: (check_attribution, attribute_dataset),
    CutRequest: (check_cut, find_cut),
    AttachRequest: (check_attach, attach),
    CompareRequest: (check_compare, compare_models),
}


def serve(request: Request, cron: str | None) -> None:
    """Serve the deployment of a flow, such as `sprites/<model>`, until interrupted.

    Triggers may change parameters, such as the folder of images.

    Raises:
        PrefectServerError: there is no standing server; says how to start one.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
    """
    check, flow = _SERVED[type(request)]
    require_standing_server()
    check(request)
    _serve(flow, request, cron)


class _OnlyKnown(ParameterSchema):
    """A schema that makes the server refuse unknown parameters."""

    additionalProperties: Literal[False]


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


def _name(
    request: Request,
) -> str:
    """Return the name of the deployment of a request: its models, or the model that it makes."""
    if isinstance(request, CompareRequest):
        return f"{request.first}-{request.second}"
    if isinstance(request, AttachRequest):
        return request.name
    return "-".join(request.models) if isinstance(request, CutRequest) else request.model


def _serve(
    flow: Flow[Any, Any],
    request: Request,
    cron: str | None,
) -> None:
    # A run of the deployment may start in another working directory.
    parameters = {"request": request.lasting().model_dump(mode="json")}
    name = _name(request)
    made = flow.to_deployment(
        name=name,
        cron=cron,
        parameters=parameters,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    # Prefect types its functions as if every caller awaited them.
    deployment = cast(RunnerDeployment, made)
    deployment._parameter_openapi_schema = _OnlyKnown(
        **flow.parameters.model_dump(), additionalProperties=False
    )
    runner = _Runner(pause_on_shutdown=True, limit=1)
    runner.add_deployment(deployment)
    sys.stdout.write(f"serving {flow.name}/{name}  (Ctrl-C ends it)\n")
    sys.stdout.flush()
    try:
        asyncio.run(runner.start())
    except KeyboardInterrupt:
        if runner.terminated:
            raise Terminated from None
