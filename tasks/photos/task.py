"""Measure the activations of the user's photos on the next free device."""

import logging
from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.records import PhotoActivations
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.photos.activations import measure_and_commit, stored_activations
from diamond_cutter.tasks.photos.finding import find_images
from diamond_cutter.tasks.photos.listing import NO_IMAGE

_START_S, _EACH_S = 600.0, 5.0


@task(
    name="measure photos",
    task_run_name="photos in {folder}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def measure_photos(
    bucket_url: str,
    model: str,
    folder: str,
    layers: Sequence[str],
    pre_activation: bool,
    slots: DeviceSlots,
) -> dict[str, PhotoActivations]:
    """Return the highest activations on the images of a folder, by layer.

    Layers without a record in the bucket are measured.

    Raises:
        BadPhotos: the folder is missing or has no readable image.
        StorageError: the cloud is unreachable or denies access.
    """
    found = find_images(folder)
    for bad in found.refused:
        if bad.reason != NO_IMAGE:
            logging.getLogger(__name__).warning("skipped %r: %s", bad.name, bad.reason)
    stored = stored_activations(bucket_url, model, found.name, layers, pre_activation)
    missing = tuple(layer for layer in layers if layer not in stored)
    if missing:
        open_bucket(bucket_url).check()
        arguments = (bucket_url, model, folder, found.images, found.name, missing, pre_activation)
        slots.run(measure_and_commit, *arguments, timeout_s=_START_S + _EACH_S * len(found.images))
        stored |= stored_activations(bucket_url, model, found.name, missing, pre_activation)
    return stored
