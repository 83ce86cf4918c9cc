"""Measures in a device's process what the user's photos do to some layers, and keeps a record for
each layer.
"""

import logging
from collections.abc import Iterator, Sequence

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.layout import photo_activations_key
from diamond_cutter.storage.sets.records import PhotoActivations
from diamond_cutter.storage.sets.sprite_set import commit, read_record
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.importing.stored import read_bundle
from diamond_cutter.tasks.photos.finding import find_images
from diamond_cutter.tasks.photos.image_set import BadPhotos, FoundImage, printable
from diamond_cutter.tasks.photos.listing import NO_IMAGE
from diamond_cutter.tasks.photos.reading import UnreadablePhoto, check_channels, read_images

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
    """Return by layer how high the images in a folder, here or in a cloud, drive its channels,
    measuring what the bucket has no record of.

    Raises:
        BadPhotos: the folder is none, or has no image that can be read.
        StorageError: a place does not answer, or not to us.
    """
    found = find_images(folder)
    for bad in found.refused:
        if bad.reason != NO_IMAGE:
            logging.getLogger(__name__).warning("left out: %r: %s", bad.name, bad.reason)
    stored = stored_activations(bucket_url, model, found.name, layers, pre_activation)
    missing = tuple(layer for layer in layers if layer not in stored)
    if missing:
        open_bucket(bucket_url).check()
        arguments = (bucket_url, model, folder, found.images, found.name, missing, pre_activation)
        slots.run(measure_and_commit, *arguments, timeout_s=_START_S + _EACH_S * len(found.images))
        stored |= stored_activations(bucket_url, model, found.name, missing, pre_activation)
    return stored


def measure_and_commit(
    bucket_url: str,
    model: str,
    folder: str,
    images: Sequence[FoundImage],
    name: str,
    layers: tuple[str, ...],
    pre_activation: bool,
) -> None:
    """Measure some layers in this process and commit a record for each."""
    from diamond_cutter.tasks.photos.activations import highest_activations

    bundle, unreadable = read_bundle(bucket_url, model), list[str]()
    check_channels(bundle.card.image.channels)
    highest = highest_activations(
        bundle,
        layers,
        _readable(images, bundle.card.image.shape, unreadable),
        pre_activation=pre_activation,
    )
    readable = len(images) - len(unreadable)
    if not readable:
        raise BadPhotos(
            f"none of the {len(images)} images in the folder {printable(folder)} can be read; the "
            f"first is {images[0].name}"
        )
    bucket = open_bucket(bucket_url)
    for layer, values in zip(layers, highest, strict=True):
        record = PhotoActivations(
            model=model,
            layer=layer,
            pre_activation=pre_activation,
            photos=name,
            images=readable,
            unreadable=tuple(unreadable),
            highest=tuple(float(f"{value:.6g}") for value in values),
        )
        keep_activations(bucket, record)


def keep_activations(bucket: Bucket, record: PhotoActivations) -> None:
    """Commit a record; one that is there is replaced only if it is not what its key says."""
    key = activations_key(record)
    commit(bucket, key, record, lambda theirs: activations_key(theirs) == key)


def activations_key(record: PhotoActivations) -> str:
    """Return the key of a record."""
    return photo_activations_key(
        record.model, record.photos, record.layer, pre_activation=record.pre_activation
    )


def stored_activations(
    bucket_url: str, model: str, name: str, layers: Sequence[str], pre_activation: bool
) -> dict[str, PhotoActivations]:
    """Return by layer what the bucket knows of photos; `name` is their folder's name and hash."""
    bucket = open_bucket(bucket_url)
    keys = {
        layer: photo_activations_key(model, name, layer, pre_activation=pre_activation)
        for layer in layers
    }
    found = {layer: read_record(bucket, key, PhotoActivations) for layer, key in keys.items()}
    # A record of another layer, or of other photos, is damage: it is measured again.
    return {
        layer: record
        for layer, record in found.items()
        if record is not None and activations_key(record) == keys[layer]
    }


def _readable(
    images: Sequence[FoundImage], shape: tuple[int, int, int], unreadable: list[str]
) -> Iterator[np.ndarray]:
    """Yield the images that can be read, and note the names of the others."""
    for image, pixels in read_images(images, shape):
        if isinstance(pixels, UnreadablePhoto):
            unreadable.append(image.name)
        else:
            yield pixels
