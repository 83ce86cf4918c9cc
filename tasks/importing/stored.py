"""Models in the bucket: found, kept, read."""

import functools
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import ValidationError

from model_inventory.card import ModelCard, ModelSource
from model_inventory.catalogue import import_model, model_names, model_source, unknown_model
from model_inventory.errors import AmbiguousModel, UnknownModel, WeightsMissing
from storage import Bucket, NotFound, open_bucket
from storage.layout import card_key, graph_key
from storage.sprite_set import put_determined

if TYPE_CHECKING:
    from model_inventory.bundle import Bundle


def find_model(bucket: Bucket, name: str) -> ModelCard | None:
    """Return the card of a model whose bundle is in the bucket, or None where one that we know has yet to be imported.

    A known model is that of the weights on this machine. Without them, as with a user's own model, it is the one of that name in the
    bucket. A name with a hash, such as `mine@1a2b3c4d`, says which.

    Raises:
        UnknownModel: there is none of that name.
        AmbiguousModel: the bucket has several of that name; names them.
        WeightsMissing: it is known, but neither its weights nor its bundle are here.
    """
    if "@" in name:
        return _named_exactly(bucket, name)
    source = _source_here(name)
    found = [card for card in stored_cards(bucket, name) if source in (None, card.source) and graph_is_whole(bucket, card)]
    if len(found) > 1:
        raise AmbiguousModel(
            f"the bucket {bucket.url} has {len(found)} models {name!r}; say which: {', '.join(card.key for card in found)}"
        )
    if not found and name not in model_names():
        raise unknown_model(name, (card.name for card in stored_cards(bucket)))
    if not found:
        model_source(name)
    return found[0] if found else None


def stored_cards(bucket: Bucket, name: str | None = None) -> Iterator[ModelCard]:
    """Yield the cards of all models in the bucket that can be read, or only of those of a name."""
    for folder in bucket.folders("models/"):
        model = folder.split("/")[1]
        # Only what may be of that name is read: it may be far away.
        if name is None or model.rpartition("@")[0] == name.replace("/", "."):
            card = read_card(bucket, model)
            if card is not None and name in (None, card.name):
                yield card


def read_card(bucket: Bucket, model: str) -> ModelCard | None:
    """Return the card of a bundle, `model` being its name and hash, or None where there is none that can be read."""
    try:
        return ModelCard.model_validate_json(bucket.get(card_key(model)))
    except (NotFound, ValidationError):
        return None


def graph_is_whole(bucket: Bucket, card: ModelCard) -> bool:
    """Tell whether the graph beside a card is the one that the card describes.

    It is read only where the bucket does not know its checksum: one that does has compared it with that of who wrote the graph, and
    `read_bundle` reads it anyway.
    """
    found = bucket.stat(graph_key(card.key))
    if found is None or found.crc32c is not None:
        return found is not None
    try:
        return hashlib.sha256(bucket.get(graph_key(card.key))).hexdigest() == card.graph_sha256
    except NotFound:
        return False


def keep_bundle(bucket_url: str, bundle: "Bundle") -> ModelCard:
    """Put a bundle into the bucket: the graph first, then the card that makes it count."""
    bucket, card = open_bucket(bucket_url), bundle.card
    put_determined(bucket, graph_key(card.key), bundle.graph_bytes)
    put_determined(bucket, card_key(card.key), card.model_dump_json(indent=1).encode() + b"\n")
    return card


@functools.lru_cache(maxsize=2)
def read_bundle(bucket_url: str, model: str) -> "Bundle":
    """Return the bundle of a model in the bucket, `model` being its name and hash.

    Raises:
        NotFound: the bucket has no such bundle.
        BadModel: it is damaged.
    """
    from model_inventory.bundle import load_bundle

    bucket = open_bucket(bucket_url)
    return load_bundle(bucket.get(card_key(model)), bucket.get(graph_key(model)))


def find_or_import(bucket_url: str, name: str) -> "Bundle":
    """Return a model's bundle from the bucket, or import it without keeping it.

    Raises:
        ModelError: the model is unknown, or its weights are missing or unusable.
    """
    card = find_model(open_bucket(bucket_url), name)
    return read_bundle(bucket_url, card.key) if card else import_model(name)


def _source_here(name: str) -> ModelSource | None:
    """Return where the weights of a known model come from, or None if it is not known or they are not here."""
    if name not in model_names():
        return None
    try:
        return model_source(name)
    except WeightsMissing:
        return None


def _named_exactly(bucket: Bucket, name: str) -> ModelCard:
    wanted = name.replace("/", ".")
    for card in stored_cards(bucket):
        if card.key == wanted and graph_is_whole(bucket, card):
            return card
    raise UnknownModel(f"the bucket {bucket.url} has no model {name!r}; diamond-cutter models lists those that it has")
