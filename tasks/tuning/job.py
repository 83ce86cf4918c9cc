"""Tunes one layer in a device's process."""

from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.devices import report_progress
from diamond_cutter.tasks.importing.stored import read_bundle
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.tuning.preset import LayerTuning, add_layer


def tune_and_store(
    bucket_url: str, model: str, layer: str, recipe: RenderRecipe, budget_s: float | None
) -> LayerTuning:
    """Tune a layer of a model in the bucket, and put the result into the model's preset."""
    from diamond_cutter.tasks.tuning.search import tune_layer

    found = tune_layer(
        read_bundle(bucket_url, model),
        layer,
        recipe,
        budget_s,
        on_trial=lambda trial: report_progress(1),
    )
    add_layer(open_bucket(bucket_url), model, recipe, budget_s, found)
    return found
