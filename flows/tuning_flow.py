"""The flow that tunes a model, for deployments. The command calls `tuning.tune` without Prefect."""

from prefect import flow, get_run_logger

from diamond_cutter.flows.run_scope import run_scope
from diamond_cutter.flows.server.crashed_runs import name_process
from diamond_cutter.flows.server.loss import outlive_the_server
from diamond_cutter.flows.sprites_request import TuneRequest
from diamond_cutter.flows.triggers import in_deployed_bucket
from diamond_cutter.flows.tuning import tune as tune_layers
from diamond_cutter.tasks.tuning.preset import LayerTuning, Preset


@flow(name="tune", persist_result=False)
def tune(request: TuneRequest) -> Preset:
    """Find the best settings for each layer of a model, and store them as its preset recipe.

    Raises:
        ModelError, StorageError, RequestError: the request cannot be met.
        WorkerError: a layer took too long, or its process died; finished layers are kept.
    """
    outlive_the_server()
    name_process()
    log = get_run_logger()

    def log_layer(found: LayerTuning) -> None:
        log.info("%s: merit %.3g after %d trials", found.layer, found.merit, found.trials)

    with run_scope():
        return tune_layers(in_deployed_bucket(request), log_layer, log.warning)
