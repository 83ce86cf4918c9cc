"""Measure the activations of the user's photos in a device's process; store them by layer."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.layout import photo_activations_key
from diamond_cutter.storage.sets.records import PhotoActivations
from diamond_cutter.storage.sets.sprite_set import commit, read_record
from diamond_cutter.tasks.importing.stored import read_bundle
from diamond_cutter.tasks.photos.image_set import BadPhotos, FoundImage, printable
from diamond_cutter.tasks.photos.reading import UnreadablePhoto, read_images

if TYPE_CHECKING:
    import tensorflow as tf

    from diamond_cutter.model_inventory.bundle import Bundle

_BATCH_SIZE = 16


def measure_and_commit(
    bucket_url: str,
    model: str,
    folder: str,
    images: Sequence[FoundImage],
    name: str,
    layers: tuple[str, ...],
    pre_activation: bool,
) -> None:
    """Measure some layers in this process, and commit a record for each."""
    bundle, unreadable = read_bundle(bucket_url, model), list[str]()
    highest = highest_activations(
        bundle,
        layers,
        _readable(images, bundle.card.image.shape, unreadable),
        pre_activation=pre_activation,
    )
    readable = len(images) - len(unreadable)
    if not readable:
        raise BadPhotos(
            f"all {len(images)} images in the folder {printable(folder)} are unreadable. The "
            f"first is {images[0].name}."
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


def highest_activations(
    bundle: "Bundle",
    layers: Sequence[str],
    photos: Iterable[npt.NDArray[np.float32]],
    *,
    pre_activation: bool = False,
) -> list[npt.NDArray[np.float32]]:
    """Return the highest activation of each channel over all positions and photos.

    Args:
        bundle: the model.
        layers: the names of the layers.
        photos: one or more, float32 `[height, width, channel]` in [0, 1], in the model's size.
        pre_activation: measure the input of each layer's activation function.

    Returns:
        By layer, float32 `[channel]`.

    Raises:
        UnknownLayer: the model lacks a layer; the message names similar layers.
    """
    import tensorflow as tf

    from diamond_cutter.model_inventory.bundle import layer_graph, to_model_input
    from diamond_cutter.model_inventory.graph.graph_def import run_inside

    card, (graph, tensors) = bundle.card, layer_graph(bundle, layers, pre_activation=pre_activation)

    @tf.function(input_signature=[tf.TensorSpec([_BATCH_SIZE, *card.image.shape])], autograph=False)
    def highest_of(images: "tf.Tensor") -> "list[tf.Tensor]":
        found = run_inside(graph, card.input_tensor, to_model_input(images, card), tensors)
        return [tf.reduce_max(values, axis=range(values.shape.rank - 1)) for values in found]

    highest = [np.full(card.layer(name).channels, -np.inf, np.float32) for name in layers]
    for batch in _batches(photos):
        highest = [
            np.maximum(so_far, found.numpy())
            for so_far, found in zip(highest, highest_of(batch), strict=True)
        ]
    return highest


def _batches(photos: Iterable[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[np.float32]]:
    """Yield batches of photos; the last photo fills the last batch."""
    batch: list[npt.NDArray[np.float32]] = []
    for photo in photos:
        batch.append(photo)
        if len(batch) == _BATCH_SIZE:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch + batch[-1:] * (_BATCH_SIZE - len(batch)))


def keep_activations(bucket: Bucket, record: PhotoActivations) -> None:
    """Commit a record; an existing record is replaced only if it does not match its key."""
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
    """Return the stored records by layer; `name` is the folder's name and hash."""
    bucket = open_bucket(bucket_url)
    keys = {
        layer: photo_activations_key(model, name, layer, pre_activation=pre_activation)
        for layer in layers
    }
    found = {layer: read_record(bucket, key, PhotoActivations) for layer, key in keys.items()}
    # A record of another layer or of other photos is damaged, so it is measured again.
    return {
        layer: record
        for layer, record in found.items()
        if record is not None and activations_key(record) == keys[layer]
    }


def _readable(
    images: Sequence[FoundImage], shape: tuple[int, int, int], unreadable: list[str]
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the readable images, and collect the names of the others."""
    for image, pixels in read_images(images, shape):
        if isinstance(pixels, UnreadablePhoto):
            unreadable.append(image.name)
        else:
            yield pixels
