"""Puts a flow on a Prefect server as a deployment, to be run on time or triggered."""

from typing import Any, cast

from prefect import Flow, serve
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from flows.attribution import attribute_dataset
from flows.attribution_request import AttributionRequest
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


def _serve(flow: Flow[Any, Any], request: SpritesRequest | AttributionRequest, cron: str | None) -> None:
    # The deployment outlives this working directory.
    parameters = {"request": request.lasting().model_dump(mode="json")}
    deployment = flow.to_deployment(name=request.model, cron=cron, parameters=parameters, entrypoint_type=EntrypointType.MODULE_PATH)
    # Prefect types what it offers to both kinds of callers as if it were always awaited.
    serve(cast(RunnerDeployment, deployment), limit=1)
