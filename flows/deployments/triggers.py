"""What a run takes from its deployment if its trigger does not say it."""

from typing import TypeVar

from prefect.client.orchestration import SyncPrefectClient
from prefect.context import FlowRunContext

from diamond_cutter.frozen_model import FrozenModel

_Request = TypeVar("_Request", bound=FrozenModel)


def in_deployed_bucket(request: _Request) -> _Request:
    """Return a request with the deployment's bucket if the trigger names none.

    A trigger replaces the whole request. The default of the request class is a folder, which would
    be another one for each worker.
    """
    context = FlowRunContext.get()
    if (
        "bucket" in request.model_fields_set
        or context is None
        or context.flow_run is None
        or context.flow_run.deployment_id is None
        or not isinstance(context.client, SyncPrefectClient)
    ):
        return request
    deployment = context.client.read_deployment(context.flow_run.deployment_id)
    bucket = deployment.parameters.get("request", {}).get("bucket")
    return request if bucket is None else request.model_copy(update={"bucket": bucket})
