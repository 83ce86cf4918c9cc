"""The flow that tunes a model, for deployments and clusters; the command needs no Prefect."""

from collections.abc import Sequence
from typing import Any

from prefect import flow, get_run_logger

from diamond_cutter.flows.deployments.triggers import in_deployed_bucket
from diamond_cutter.flows.events.progress import PartProgress, Progress
from diamond_cutter.flows.run_scope import tasks_in_flight, workplace
from diamond_cutter.flows.server.crashed_runs import name_process
from diamond_cutter.flows.server.loss import outlive_the_server
from diamond_cutter.flows.sprites_request import TuneRequest
from diamond_cutter.flows.task_futures import FutureQueue, error_of
from diamond_cutter.flows.tuning import OnLayer, tune_on
from diamond_cutter.tasks.devices import DeviceSlots, devices_of
from diamond_cutter.tasks.tuning.preset import LayerTuning, Preset
from diamond_cutter.tasks.tuning.task import tune_layer


@flow(name="tune", persist_result=False)
def tune(request: TuneRequest) -> Preset:
    """Find the best settings for each layer of a model, and store them as its preset recipe.

    Raises:
        ModelError, StorageError, RequestError: the request cannot be met.
        WorkerError: a layer took too long, or its process died; finished layers are kept.
        RunnerLost: the cluster on which the tasks worked is gone.
    """
    outlive_the_server()
    name_process()
    log = get_run_logger()

    def log_layer(found: LayerTuning) -> None:
        log.info("%s: merit %.3g after %d trials", found.layer, found.merit, found.trials)

    request = in_deployed_bucket(request)
    with workplace(request.runner, devices_of(request.devices), request.grace_s) as slots:
        return tune_on(slots, request, log_layer, log.warning, _tune_as_tasks)


def _tune_as_tasks(
    model: str, layers: Sequence[str], request: TuneRequest, slots: DeviceSlots, on_layer: OnLayer
) -> None:
    errors, ended = list[BaseException](), list[str]()
    counts = dict[str, PartProgress]()

    def counted() -> str:
        return f"{len(ended)} of {len(layers)} layers"

    with Progress("layers", len(layers), parts="layer") as progress:

        def submit(layer: str) -> Any:
            counts[layer] = progress.of_part(layer, 1)
            what = (request.bucket, model, layer, request.recipe, request.budget_s)
            return tune_layer.submit(*what, slots, request.layer_timeout_s, None)

        for layer, future in FutureQueue(layers, submit, tasks_in_flight, done=counted):
            error = error_of(future)
            if error is not None:
                errors.append(error)
                continue
            on_layer(future.result())
            ended.append(layer)
            counts[layer].complete()
    if errors:
        raise errors[0]
