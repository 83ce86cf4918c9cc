"""Lists, describes, adds, exports, fetches and removes models."""

from collections.abc import Callable
from pathlib import Path

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.events.progress import doing
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.catalogue import (
    ModelListing,
    is_known,
    list_hub_presets,
    list_models,
    origin_of,
)
from diamond_cutter.model_inventory.file_kinds import model_format
from diamond_cutter.model_inventory.labels import read_labels
from diamond_cutter.model_inventory.user_models import ImportOptions, check_name
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.new_folder import check_new_folder
from diamond_cutter.storage.sets.layout import card_key, model_folder
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.importing.exporting import Exported, export_model
from diamond_cutter.tasks.importing.fetching import fetch_weights
from diamond_cutter.tasks.importing.stored import (
    Added,
    add_model,
    bundles_named,
    find_model,
    find_or_import,
    stored_cards,
)

_TIMEOUT_S = 1800.0


class Removed(FrozenModel):
    """The result of `models remove`."""

    model: str
    files: int
    bytes: int


def all_models(bucket: Bucket) -> list[ModelListing]:
    """Return all available models: those of the catalogue, then the user's own in the bucket."""
    cards = list(stored_cards(bucket))
    latest = {card.name: card for card in cards}
    known = [
        _with_card(listing, latest[listing.name]) if listing.name in latest else listing
        for listing in [*list_models(), *list_hub_presets()]
    ]
    listed = {listing.name for listing in known}
    # A preset that another machine fetched is in the bucket, but not in the list.
    own = [card for card in cards if card.name not in listed]
    times = {card.name: sum(other.name == card.name for other in own) for card in own}
    return known + [_of_card(card, card.key if times[card.name] > 1 else card.name) for card in own]


def describe(bucket_url: str, name: str) -> ModelCard:
    """Return the card of a model, from the bucket if possible, otherwise by importing the model.

    Raises:
        ModelError: the model is unknown, or its weights are missing or unusable.
    """
    stored = find_model(open_bucket(bucket_url), name)
    if stored is not None:
        return stored
    with doing(f"importing {name}"), DeviceSlots([""]) as slots:
        return slots.run(_import_card, bucket_url, name, timeout_s=_TIMEOUT_S)


def add(
    bucket_url: str, path: Path, name: str, labels: Path | None, options: ImportOptions
) -> Added:
    """Import a user's model and store it in the bucket.

    Raises:
        BadModel, StorageError: the model cannot be rendered or stored.
    """
    check_name(name)
    options.scaling()
    model_format(path)
    named = read_labels(labels) if labels else ()
    open_bucket(bucket_url).check()
    with doing(f"importing {name}"), DeviceSlots([""]) as slots:
        return slots.run(add_model, bucket_url, path, name, named, options, timeout_s=_TIMEOUT_S)


def export(bucket_url: str, name: str, folder: Path, source: Path | None) -> Exported:
    """Write a model into a new folder, as a SavedModel and if possible as a Keras file.

    Raises:
        ModelError: the model is unknown or damaged, or `source` is not its Keras file.
        StorageError: the folder is not new, or cannot be written.
    """
    check_new_folder(folder)
    find_model(open_bucket(bucket_url), name)
    with doing(f"exporting {name}"), DeviceSlots([""]) as slots:
        return slots.run(export_model, bucket_url, name, folder, source, timeout_s=_TIMEOUT_S)


def fetch(
    name: str, given: tuple[str, ...], on_progress: Callable[[str, int, int | None], object]
) -> list[Path]:
    """Download the weights of a model of the catalogue, and return their files.

    Raises:
        ModelError, StorageError: the model has no weights to fetch, or the download failed.
    """
    return fetch_weights(name, given, on_progress)


def remove(bucket_url: str, name: str) -> Removed:
    """Remove a model's bundle from the bucket, with its preset and photo activations, not sprites.

    Raises:
        ModelError: the model does not exist, or its name is ambiguous.
        RequestError: its bundle is not in the bucket.
    """
    bucket = open_bucket(bucket_url)
    model = _stored(bucket, name)
    # The card first: without it, the remaining files are not a bundle.
    files = sorted(bucket.list(model_folder(model)), key=lambda file: file.key != card_key(model))
    for file in files:
        bucket.delete(file.key)
    return Removed(model=model, files=len(files), bytes=sum(file.size for file in files))


def _import_card(bucket_url: str, name: str) -> ModelCard:
    return find_or_import(bucket_url, name).card


def _stored(bucket: Bucket, name: str) -> str:
    """Return the name and hash of a bundle, which may be damaged."""
    same = bundles_named(bucket, name)
    if len(same) == 1:
        return next(iter(same))
    card = find_model(bucket, name)
    if card is None:
        raise RequestError(
            f"the bundle of {name} is not in the bucket {bucket.url}: there is nothing to remove"
        )
    return card.key


def _with_card(listing: ModelListing, card: ModelCard) -> ModelListing:
    found = {"layers": len(card.layers), "channels": sum(layer.channels for layer in card.layers)}
    weights = listing.weights if listing.weights.startswith("here") else "in the bucket"
    return listing.model_copy(update={**found, "weights": weights})


def _of_card(card: ModelCard, name: str) -> ModelListing:
    return ModelListing(
        name=name,
        source=origin_of(card.name) if is_known(card.name) else "yours",
        height=card.image.height,
        width=card.image.width,
        layers=len(card.layers),
        channels=sum(layer.channels for layer in card.layers),
        weights=f"in the bucket, from {card.source.origin}",
    )
