"""Tunes one layer on the next free device, as a task of a flow."""

from typing import Any

from prefect import task

from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.retrying import RETRIED
from diamond_cutter.tasks.tuning.job import tune_and_store
from diamond_cutter.tasks.tuning.preset import LayerTuning


@task(name="tune layer", task_run_name="tune {layer}", **RETRIED)
def tune_layer(
    bucket_url: str,
    model: str,
    layer: str,
    recipe: RenderRecipe,
    budget_s: float | None,
    slots: DeviceSlots,
    timeout_s: float,
    on_progress: Any,
) -> LayerTuning:
    """Tune a layer of a model, and put the result into the model's preset."""
    arguments = (bucket_url, model, layer, recipe, budget_s)
    return slots.run(tune_and_store, *arguments, timeout_s=timeout_s, on_progress=on_progress)
