"""Tunes the layers of a model, each on the next free device, and keeps the preset."""

import itertools
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.events.observers import observed
from diamond_cutter.flows.events.progress import Progress, doing
from diamond_cutter.flows.expected_seconds import expect_tuning
from diamond_cutter.flows.planning import suited_recipe
from diamond_cutter.flows.request_fields import AUTO
from diamond_cutter.flows.sprites_request import TuneRequest
from diamond_cutter.flows.stops import Stop, current_stop, handling
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.tasks.devices import DeviceSlots, devices_of
from diamond_cutter.tasks.importing.stored import find_model, import_bundle
from diamond_cutter.tasks.tuning.job import tune_and_store
from diamond_cutter.tasks.tuning.preset import LayerTuning, Preset, preset_to_continue, read_preset

OnLayer = Callable[[LayerTuning], object]
# Tunes some layers of a model on devices.
TuneLayers = Callable[[str, Sequence[str], TuneRequest, DeviceSlots, OnLayer], None]

_IMPORT_TIMEOUT_S = 1800.0
_LOOKS_EVERY_S = 1.0


def tune(
    request: TuneRequest,
    on_layer: OnLayer = lambda found: None,
    on_restart: Callable[[str], object] = lambda why: None,
) -> Preset:
    """Tune the requested layers that are not tuned yet, and return the preset of the model.

    Args:
        request: which layers to tune, and how.
        on_layer: called with each tuned layer.
        on_restart: called with a sentence if a stored preset cannot be continued.

    Raises:
        ModelError, StorageError: the request cannot be met.
        RequestError: the recipe has settings for single layers, or variants.
        WorkerError: a layer took too long, or its process died; finished layers are kept.
    """
    current_stop().grace_s = request.grace_s
    devices = devices_of(request.devices)
    with handling((signal.SIGTERM, signal.SIGINT)), DeviceSlots(devices) as slots:
        return tune_on(slots, request, on_layer, on_restart, _tune_in_threads)


def tune_on(
    slots: DeviceSlots,
    request: TuneRequest,
    on_layer: OnLayer,
    on_restart: Callable[[str], object],
    tune_layers: TuneLayers,
) -> Preset:
    """Do the work of `tune` on devices; `tune_layers` tunes the layers that are missing."""
    require_plain_recipe(request)
    with observed("tune"):
        return _tune(slots, request, on_layer, on_restart, tune_layers)


def _tune(
    slots: DeviceSlots,
    request: TuneRequest,
    on_layer: OnLayer,
    on_restart: Callable[[str], object],
    tune_layers: TuneLayers,
) -> Preset:
    bucket = open_bucket(request.bucket)
    card = _card(bucket, request, slots)
    if request.recipe.name == AUTO:
        request = request.model_copy(update={"recipe": suited_recipe(card)})
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
    expect_tuning(len(missing), request.budget_s)
    tune_layers(card.key, missing, request, slots, on_layer)
    preset = read_preset(bucket, card.key)
    if preset is None:
        raise RequestError(f"no layer of {card.key} was tuned")
    return preset


def require_plain_recipe(request: TuneRequest) -> None:
    """Check that tuning can start from the recipe; `auto` is another one for each model.

    Raises:
        RequestError: it has settings for single layers, or variants.
    """
    if request.recipe.layers or request.recipe.variants > 1:
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


def _tune_in_threads(
    model: str,
    layers: Sequence[str],
    request: TuneRequest,
    slots: DeviceSlots,
    on_layer: OnLayer,
) -> None:
    def tuned(layer: str) -> LayerTuning:
        count, trials = progress.of_part(layer, 1), itertools.count(1)

        def on_progress(found: int | str) -> None:
            count(found if isinstance(found, str) else f"trial {next(trials)} done")

        arguments = (request.bucket, model, layer, request.recipe, request.budget_s)
        limit_s = request.layer_timeout_s
        found = slots.run(tune_and_store, *arguments, timeout_s=limit_s, on_progress=on_progress)
        count.complete()
        return found

    stop, ended = current_stop(), list[str]()

    def counted() -> str:
        return f"{len(ended)} of {len(layers)} layers"

    with (
        Progress("layers", len(layers), parts="layer") as progress,
        ThreadPoolExecutor(len(slots)) as threads,
    ):
        futures = [threads.submit(tuned, layer) for layer in layers]
        try:
            with stop.held(counted):
                for future in _as_completed(futures, stop):
                    found = future.result()
                    on_layer(found)
                    ended.append(found.layer)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            slots.close()
            raise


def _as_completed(
    futures: Sequence[Future[LayerTuning]], stop: Stop
) -> Iterator[Future[LayerTuning]]:
    """Yield each future when it ends; after a signal, only those that run already."""
    left = set(futures)
    while left and not stop.is_over:
        stop.obey()
        if stop.is_requested:
            left = {future for future in left if not future.cancel()}
        done, left = wait(left, timeout=_LOOKS_EVERY_S, return_when=FIRST_COMPLETED)
        yield from done
