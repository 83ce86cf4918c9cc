"""Puts a flow on a Prefect server as a deployment, to be run on time or triggered."""

import asyncio
import signal
import sys
from typing import Any, Literal, cast

from prefect import Flow
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.callables import ParameterSchema

from flows.attribution import attribute_dataset
from flows.attribution_request import AttributionRequest
from flows.leaving import Terminated
from flows.prefect_server import require_standing_server
from flows.request import SpritesRequest
from flows.running import check_attribution, check_sprites
from flows.sprites import sprites


def serve_sprites(request: SpritesRequest, cron: str | None) -> None:
    """Serve a deployment named `sprites/<model>` until interrupted; its parameters can be changed when it is triggered.

    Raises:
        PrefectServerError: there is no standing server; says how to start one.
        ModelError, StorageError, RequestError, BadPhotos: what is asked for cannot be had.
    """
    require_standing_server()
    check_sprites(request)
    _serve(sprites, request, cron)


def serve_attribution(request: AttributionRequest, cron: str | None) -> None:
    """Serve a deployment named `attribute-dataset/<model>` until interrupted; its folder and all else can be changed when it is triggered.

    Raises:
        PrefectServerError: there is no standing server; says how to start one.
        ModelError, StorageError, RequestError, BadPhotos: what is asked for cannot be had.
    """
    require_standing_server()
    check_attribution(request)
    _serve(attribute_dataset, request, cron)


class _OnlyKnown(ParameterSchema):
    """A schema of parameters by which the server refuses a run with parameters that the flow does not have."""

    additionalProperties: Literal[False]


class _Runner(Runner):
    """Runs what is due until Ctrl-C, or until SIGTERM, by which it ends in the same way."""

    terminated = False

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """Pause the schedules and end the runs."""
        self.terminated = True
        signal.raise_signal(signal.SIGINT)


def _serve(flow: Flow[Any, Any], request: SpritesRequest | AttributionRequest, cron: str | None) -> None:
    # The deployment outlives this working directory.
    parameters = {"request": request.lasting().model_dump(mode="json")}
    made = flow.to_deployment(name=request.model, cron=cron, parameters=parameters, entrypoint_type=EntrypointType.MODULE_PATH)
    # Prefect types what it offers to both kinds of callers as if it were always awaited.
    deployment = cast(RunnerDeployment, made)
    deployment._parameter_openapi_schema = _OnlyKnown(**flow.parameters.model_dump(), additionalProperties=False)
    runner = _Runner(pause_on_shutdown=True, limit=1)
    runner.add_deployment(deployment)
    sys.stdout.write(f"serving {flow.name}/{request.model}  (Ctrl-C ends it)\n")
    sys.stdout.flush()
    try:
        asyncio.run(runner.start())
    except KeyboardInterrupt:
        if runner.terminated:
            raise Terminated from None
