"""Tunes a model, layer by layer, each on the next free device; what is found is the preset that
`sprites` then renders by.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.progress import Progress, doing
from diamond_cutter.flows.sprites_request import AUTO, TuneRequest
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.devices import DeviceSlots, visible_devices
from diamond_cutter.tasks.importing.stored import find_model
from diamond_cutter.tasks.importing.task import import_bundle
from diamond_cutter.tasks.tuning.preset import LayerTuning, Preset, preset_to_continue, read_preset
from diamond_cutter.tasks.tuning.task import tune_and_store

_IMPORT_TIMEOUT_S = 1800.0


def tune(
    request: TuneRequest,
    on_layer: Callable[[LayerTuning], object] = lambda found: None,
    on_restart: Callable[[str], object] = lambda why: None,
) -> Preset:
    """Tune what the request asks for and is not tuned yet, and return the model's preset.

    Args:
        request: which layers to tune, and how.
        on_layer: called with each layer that is tuned.
        on_restart: called with a sentence if a preset is there and tuning starts from scratch
            nevertheless.

    Raises:
        ModelError, StorageError: what is asked for cannot be had.
        RequestError: the recipe has settings for single layers already, or may have: `auto`.
        WorkerError: a layer took too long, or its process died; the layers that were finished are
            kept.
    """
    if request.recipe.name == AUTO or request.recipe.layers or request.recipe.variants > 1:
        raise RequestError(
            "tuning starts from a recipe without settings for single layers and without variants; "
            "take fast or lucid"
        )
    bucket = open_bucket(request.bucket)
    with (
        DeviceSlots(visible_devices()) as slots,
        ThreadPoolExecutor(len(visible_devices())) as threads,
    ):
        card = find_model(bucket, request.model)
        if card is None:
            bucket.check()
            with doing(f"importing {request.model}"):
                card = slots.run(
                    import_bundle, request.bucket, request.model, timeout_s=_IMPORT_TIMEOUT_S
                )
        wanted = [layer.name for layer in card.select_layers(request.layers)]
        stored = preset_to_continue(bucket, card.key, request.recipe, request.budget_s, on_restart)
        done = (
            {layer.layer: layer for layer in stored.layers} if stored and not request.again else {}
        )
        if set(wanted) - set(done):
            bucket.check()
        for layer in wanted:
            if layer in done:
                on_layer(done[layer])

        def tuned(layer: str) -> LayerTuning:
            arguments = (request.bucket, card.key, layer, request.recipe, request.budget_s)
            return slots.run(tune_and_store, *arguments, timeout_s=request.layer_timeout_s)

        futures = [threads.submit(tuned, layer) for layer in wanted if layer not in done]
        try:
            with Progress("layers", len(futures)) as progress:
                for future in as_completed(futures):
                    on_layer(future.result())
                    progress.of_part(future.result().layer, 1)(1)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            slots.close()
            raise
    preset = read_preset(bucket, card.key)
    if preset is None:
        raise RequestError(f"no layer of {card.key} was tuned")
    return preset
