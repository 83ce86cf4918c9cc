"""Tunes the layers of a model, each on the next free device, and keeps the preset."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.progress import Progress, doing
from diamond_cutter.flows.run_observers import observed
from diamond_cutter.flows.sprites_request import AUTO, TuneRequest
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.tasks.devices import DeviceSlots, devices_of
from diamond_cutter.tasks.importing.stored import find_model, import_bundle
from diamond_cutter.tasks.tuning.preset import LayerTuning, Preset, preset_to_continue, read_preset
from diamond_cutter.tasks.tuning.task import tune_and_store

_IMPORT_TIMEOUT_S = 1800.0


def tune(
    request: TuneRequest,
    on_layer: Callable[[LayerTuning], object] = lambda found: None,
    on_restart: Callable[[str], object] = lambda why: None,
) -> Preset:
    """Tune the requested layers that are not tuned yet, and return the preset of the model.

    Args:
        request: which layers to tune, and how.
        on_layer: called with each tuned layer.
        on_restart: called with a sentence if a stored preset cannot be continued.

    Raises:
        ModelError, StorageError: the request cannot be met.
        RequestError: the recipe has settings for single layers, or may have them: `auto`.
        WorkerError: a layer took too long, or its process died; finished layers are kept.
    """
    require_plain_recipe(request)
    bucket = open_bucket(request.bucket)
    with observed("tune"), DeviceSlots(devices_of(request.devices)) as slots:
        card = _card(bucket, request, slots)
        wanted = [layer.name for layer in card.select_layers(request.layers)]
        stored = preset_to_continue(bucket, card.key, request.recipe, request.budget_s, on_restart)
        kept = stored.layers if stored and not request.again else ()
        done = {layer.layer: layer for layer in kept}
        missing = [layer for layer in wanted if layer not in done]
        if missing:
            bucket.check()
        for layer in wanted:
            if layer in done:
                on_layer(done[layer])
        _tune_layers(card.key, missing, request, slots, on_layer)
    preset = read_preset(bucket, card.key)
    if preset is None:
        raise RequestError(f"no layer of {card.key} was tuned")
    return preset


def require_plain_recipe(request: TuneRequest) -> None:
    """Check that tuning can start from the recipe.

    Raises:
        RequestError: it has settings for single layers, or may have them: `auto`; or variants.
    """
    if request.recipe.name == AUTO or request.recipe.layers or request.recipe.variants > 1:
        raise RequestError(
            "tuning needs a recipe without settings for single layers and without variants. Use "
            "fast or lucid."
        )


def _card(bucket: Bucket, request: TuneRequest, slots: DeviceSlots) -> ModelCard:
    """Return the card of the model, importing the model first if the bucket lacks it."""
    card = find_model(bucket, request.model)
    if card is not None:
        return card
    bucket.check()
    with doing(f"importing {request.model}"):
        return slots.run(import_bundle, request.bucket, request.model, timeout_s=_IMPORT_TIMEOUT_S)


def _tune_layers(
    model: str,
    layers: Sequence[str],
    request: TuneRequest,
    slots: DeviceSlots,
    on_layer: Callable[[LayerTuning], object],
) -> None:
    def tuned(layer: str) -> LayerTuning:
        count = progress.of_part(layer, 1)
        arguments = (request.bucket, model, layer, request.recipe, request.budget_s)
        found = slots.run(tune_and_store, *arguments, timeout_s=request.layer_timeout_s)
        count.complete()
        return found

    with (
        Progress("layers", len(layers), parts="layer") as progress,
        ThreadPoolExecutor(len(slots)) as threads,
    ):
        futures = [threads.submit(tuned, layer) for layer in layers]
        try:
            for future in as_completed(futures):
                on_layer(future.result())
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            slots.close()
            raise
