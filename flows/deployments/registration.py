"""Registers flows as deployments on the Prefect server in use: checked, and with a checked form."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.types.entrypoint import EntrypointType
from prefect.workers.process import ProcessWorker

from diamond_cutter.flows.attach_request import AttachRequest
from diamond_cutter.flows.attaching import attach
from diamond_cutter.flows.attribution import attribute_dataset
from diamond_cutter.flows.attribution_request import AttributionRequest
from diamond_cutter.flows.compare_request import CompareRequest
from diamond_cutter.flows.comparing import compare_models
from diamond_cutter.flows.cut_request import CutRequest
from diamond_cutter.flows.cutting import find_cut
from diamond_cutter.flows.deployments.options import DeployOptions, OnCollision
from diamond_cutter.flows.deployments.schema import checked_parameters
from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.events.progress import doing
from diamond_cutter.flows.request_checks import (
    check_attach,
    check_attribution,
    check_compare,
    check_cut,
    check_sprites,
    check_tune,
)
from diamond_cutter.flows.request_fields import lasting_place, recipe_as_given
from diamond_cutter.flows.server.prefect_server import require_standing_server
from diamond_cutter.flows.sprites import sprites
from diamond_cutter.flows.sprites_request import SpritesRequest, TuneRequest
from diamond_cutter.flows.tuning_flow import tune
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.catalogue import list_hub_presets, model_names
from diamond_cutter.model_inventory.errors import ModelError
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.importing.model_globs import is_glob
from diamond_cutter.tasks.importing.stored import find_model, import_bundle, stored_cards

OWN_POOL = "diamond-cutter"
# The name of deployments that have a bucket, but no command.
ON_DEMAND = "on-demand"

_MODEL_FIELDS = {"model", "also", "models", "first", "second"}
_IMPORT_TIMEOUT_S = 1800.0

Request = (
    SpritesRequest | AttributionRequest | CutRequest | AttachRequest | CompareRequest | TuneRequest
)
_STRATEGIES = {
    "skip": ConcurrencyLimitStrategy.CANCEL_NEW,
    "enqueue": ConcurrencyLimitStrategy.ENQUEUE,
}


class _Kind(NamedTuple):
    """What checks a kind of request, and the flow that meets it."""

    check: Callable[[Any], None]
    flow: Flow[Any, Any]


_KINDS: dict[type[Request], _Kind] = {
    SpritesRequest: _Kind(check_sprites, sprites),
    AttributionRequest: _Kind(check_attribution, attribute_dataset),
    CutRequest: _Kind(check_cut, find_cut),
    AttachRequest: _Kind(check_attach, attach),
    CompareRequest: _Kind(check_compare, compare_models),
    TuneRequest: _Kind(check_tune, tune),
}


def deploy(request: Request, options: DeployOptions) -> str:
    """Register the deployment of a request for a work pool, and return its full name.

    The schedule replaces those of a deployment with the same name.

    Raises:
        PrefectServerError: there is no standing server; says how to start one.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met, or the work
            pool does not exist.
    """
    require_standing_server()
    deployment = deployment_of(
        request, options.deployment_name, options.cron, options.on_collision or "skip"
    )
    return _apply([deployment], options.pool)[0]


def deploy_all(options: DeployOptions) -> list[str]:
    """Register every flow for a work pool, to be triggered with any request; return the names.

    Raises:
        PrefectServerError: there is no standing server; says how to start one.
        StorageError, RequestError: the bucket or the work pool cannot be used.
    """
    require_standing_server()
    bucket_url = lasting_place(options.bucket or "./bucket")
    parameters = {"bucket": bucket_url}
    cards = tuple(stored_cards(open_bucket(bucket_url)))
    # Skipping would surprise people whose parameters differ.
    on_collision = options.on_collision or "enqueue"
    made = [
        _deployment(kind.flow, ON_DEMAND, parameters, cards, None, on_collision)
        for kind in _KINDS.values()
    ]
    return _apply(made, options.pool)


def deployment_of(
    request: Request, name: str | None, cron: str | None, on_collision: OnCollision
) -> RunnerDeployment:
    """Check a request, and return its deployment, which is not registered yet.

    A model that the bucket lacks is imported first, because its layers are unknown until then.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
        ValidationError: the schedule is not valid.
    """
    if cron is not None:
        CronSchedule(cron=cron)
    kind = _KINDS[type(request)]
    kind.check(request)
    # A run of the deployment may start in another folder.
    request = request.lasting()
    if _import_missing(open_bucket(request.bucket), request):
        kind.check(request)
    parameters = request.model_dump(mode="json", exclude_defaults=True) | {"bucket": request.bucket}
    if "recipe" in parameters and not isinstance(request, AttachRequest):
        parameters["recipe"] = recipe_as_given(request.recipe)
    cards = tuple(stored_cards(open_bucket(request.bucket)))
    return _deployment(kind.flow, name or _name(request), parameters, cards, cron, on_collision)


def _deployment(
    flow: Flow[Any, Any],
    name: str,
    request: dict[str, Any],
    cards: Sequence[ModelCard],
    cron: str | None,
    on_collision: OnCollision,
) -> RunnerDeployment:
    models = [
        *model_names(),
        *(preset.name for preset in list_hub_presets()),
        *(name for card in cards for name in (card.name, card.key)),
        *_models(request),
    ]
    # Prefect types its functions as if every caller awaited them.
    made = flow.to_deployment(
        name=name,
        cron=cron,
        parameters={"request": request},
        description=(flow.description or "").partition("\n")[0],
        entrypoint_type=EntrypointType.MODULE_PATH,
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=_STRATEGIES[on_collision]
        ),
    )
    deployment = cast(RunnerDeployment, made)
    deployment._parameter_openapi_schema = checked_parameters(
        flow, request["bucket"], models, cards
    )
    return deployment


def _models(request: dict[str, Any]) -> list[str]:
    """Return the models that a request names, without globs."""
    named = [request[field] for field in ("model", "first", "second") if field in request]
    several = (*request.get("models", ()), *request.get("also", ()))
    return [name for name in (*named, *several) if not is_glob(name)]


def _import_missing(bucket: Bucket, request: Request) -> bool:
    """Store the bundles of models that the bucket lacks, and tell whether there were any."""
    missing = list[str]()
    for model in _models(request.model_dump(include=_MODEL_FIELDS)):
        try:
            if find_model(bucket, model) is None:
                missing.append(model)
        except ModelError:
            pass  # the check has accepted the request without this model
    if missing:
        with DeviceSlots([""]) as slots:
            for model in missing:
                with doing(f"importing {model}"):
                    slots.run(import_bundle, bucket.url, model, timeout_s=_IMPORT_TIMEOUT_S)
    return bool(missing)


def _name(request: Request) -> str:
    """Return the name of the deployment of a request: its models, or the model that it makes."""
    if isinstance(request, CompareRequest):
        name = f"{request.first}-{request.second}"
    elif isinstance(request, AttachRequest):
        name = request.name
    else:
        models = _models(request.model_dump(include=_MODEL_FIELDS))
        name = "-".join(models) or ON_DEMAND
    return name.replace("/", ".")  # Prefect allows no slash


def _apply(deployments: Sequence[RunnerDeployment], pool: str | None) -> list[str]:
    with get_client(sync_client=True) as client:
        pool = _ensure_pool(client, pool)
        for deployment in deployments:
            if not deployment.schedules:
                _forget_schedules(client, deployment.full_name)
            deployment.work_pool_name = pool
            deployment.apply()
    return [deployment.full_name for deployment in deployments]


def _ensure_pool(client: SyncPrefectClient, pool: str | None) -> str:
    """Return the name of a work pool that exists; create our own if it is missing."""
    try:
        return client.read_work_pool(pool or OWN_POOL).name
    except ObjectNotFound as error:
        if pool is not None:
            known = ", ".join(found.name for found in client.read_work_pools()) or "none"
            raise RequestError(
                f"the work pool {pool!r} does not exist: expected one of the server's ({known}). "
                f"Create it with `prefect work-pool create {pool} --type process`, or omit --pool "
                f"to use {OWN_POOL}."
            ) from error
    template = ProcessWorker.get_default_base_job_template()
    client.create_work_pool(
        WorkPoolCreate(name=OWN_POOL, type=ProcessWorker.type, base_job_template=template)
    )
    return OWN_POOL


def _forget_schedules(client: SyncPrefectClient, name: str) -> None:
    """Remove the schedules of a deployment, which Prefect keeps if the new one has none."""
    try:
        found = client.read_deployment_by_name(name)
    except ObjectNotFound:
        return
    for schedule in found.schedules:
        client.delete_deployment_schedule(found.id, schedule.id)
