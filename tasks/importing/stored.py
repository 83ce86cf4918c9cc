"""Models in the bucket: found, kept, read."""

import functools
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import ValidationError

from diamond_cutter.model_inventory.card import ModelCard, ModelSource
from diamond_cutter.model_inventory.catalogue import (
    import_model,
    model_names,
    model_source,
    unknown_model,
)
from diamond_cutter.model_inventory.errors import (
    AmbiguousModel,
    BadModel,
    UnknownModel,
    WeightsMissing,
)
from diamond_cutter.storage import Bucket, NotFound, open_bucket
from diamond_cutter.storage.sets.layout import card_key, graph_key
from diamond_cutter.storage.sets.sprite_set import put_determined

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.bundle import Bundle


def find_model(bucket: Bucket, name: str) -> ModelCard | None:
    """Return the card of a model whose bundle is in the bucket, or None where one that we know has
    yet to be imported.

    A known model is that of the weights on this machine. Without them, as with a user's own model,
    it is the one of that name in the bucket. A name with a hash, such as `mine@1a2b3c4d`, says
    which.

    Raises:
        UnknownModel: there is none of that name.
        AmbiguousModel: the bucket has several of that name; names them. A damaged one counts, too:
            it may be the one that is meant.
        BadModel: the bundle in the bucket is damaged, and only the user can bring the model again.
        WeightsMissing: it is known, but neither its weights nor its bundle are here.
    """
    source, found = _source_here(name), bundles_named(bucket, name)
    if source is not None:
        # The others of its name are of other weights, and a damaged one is written again by the
        # import.
        found = {
            model: card
            for model, card in found.items()
            if card and card.source == source and graph_is_whole(bucket, card)
        }
    if len(found) > 1:
        which = ", ".join(
            f"{model} (damaged)" if bundle_damage(bucket, model) else model for model in found
        )
        raise AmbiguousModel(
            f"the bucket {bucket.url} has {len(found)} models {name!r}; say which: {which}"
        )
    if name in model_names():
        for model, card in found.items():
            if source is not None or bundle_damage(bucket, model) is None:
                return card
        model_source(name)
        return None
    for model in found:
        return _sound(bucket, model)
    if "@" in name:
        raise UnknownModel(
            f"the bucket {bucket.url} has no model {name!r}; diamond-cutter models lists those "
            "that it has"
        )
    raise unknown_model(name, (card.name for card in stored_cards(bucket)))


def bundles_named(bucket: Bucket, name: str) -> dict[str, ModelCard | None]:
    """Return the cards of the bundles of a name, or of a name with a hash, by their name and hash;
    None for cards that cannot be read.

    Only what may be of that name is read: it may be far away. A graph without a card is what an
    interrupted import leaves; it is returned only where the bucket has nothing else of the name.
    """
    wanted, begun, found = (
        name.replace("/", "."),
        dict[str, ModelCard | None](),
        dict[str, ModelCard | None](),
    )
    for model in _stored_models(bucket):
        if wanted in (model, model.rpartition("@")[0]):
            card = read_card(bucket, model)
            if card is None and bucket.stat(card_key(model)) is None:
                begun |= {model: None} if bucket.stat(graph_key(model)) else {}
            elif card is None or wanted == model or card.name == name:
                found[model] = card
    return found or begun


def stored_cards(bucket: Bucket) -> Iterator[ModelCard]:
    """Yield the cards of all models in the bucket that can be read."""
    cards = (read_card(bucket, model) for model in _stored_models(bucket))
    return (card for card in cards if card is not None)


def read_card(bucket: Bucket, model: str) -> ModelCard | None:
    """Return the card of a bundle, `model` being its name and hash, or None where there is none of
    it that can be read.
    """
    try:
        card = ModelCard.model_validate_json(bucket.get(card_key(model)))
    except (NotFound, ValidationError):
        return None
    return card if card.key == model else None


def bundle_damage(bucket: Bucket, model: str, *, reread: bool = False) -> tuple[str, str] | None:
    """Return the key of what is wrong with a bundle and a sentence that says so, or None if the
    bundle is sound.
    """
    card = read_card(bucket, model)
    if card is None:
        return card_key(model), "The card is missing, cannot be read, or is that of another model."
    if not graph_is_whole(bucket, card, reread=reread):
        return graph_key(model), "The graph is not the one that its card describes."
    return None


def bundle_remedy(model: str) -> str:
    """Return what mends a damaged bundle, in a sentence: nobody but the user has the file that the
    user's own model came from.
    """
    name = model.rpartition("@")[0]
    known = next((known for known in model_names() if known.replace("/", ".") == name), None)
    if known is None:
        return (
            f"Run `diamond-cutter models add FILE --name {name}` with the same file and "
            "options to write it again."
        )
    return f"The next run of {known} imports it again."


def graph_is_whole(bucket: Bucket, card: ModelCard, *, reread: bool = False) -> bool:
    """Tell whether the graph beside a card is the one that the card describes.

    It is read with `reread`, and where the bucket stores no checksum: one that does has compared
    it with that of who wrote the graph, and `read_bundle` reads it anyway.
    """
    found = bucket.stat(graph_key(card.key))
    if found is None or (found.crc32c is not None and not reread):
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
    from diamond_cutter.model_inventory.bundle import load_bundle

    bucket = open_bucket(bucket_url)
    try:
        return load_bundle(bucket.get(card_key(model)), bucket.get(graph_key(model)))
    except BadModel as error:
        raise BadModel(
            f"model {model} in the bucket {bucket.url} cannot be used: {error}. "
            f"{bundle_remedy(model)}"
        ) from error


def find_or_import(bucket_url: str, name: str) -> "Bundle":
    """Return a model's bundle from the bucket, or import it without keeping it.

    Raises:
        ModelError: the model is unknown, or its weights are missing or unusable.
    """
    card = find_model(open_bucket(bucket_url), name)
    return read_bundle(bucket_url, card.key) if card else import_model(name)


def _source_here(name: str) -> ModelSource | None:
    """Return where the weights of a known model come from, or None if it is not known or they are
    not here.
    """
    if name not in model_names():
        return None
    try:
        return model_source(name)
    except WeightsMissing:
        return None


def _stored_models(bucket: Bucket) -> list[str]:
    return [folder.split("/")[1] for folder in bucket.folders("models/")]


def _sound(bucket: Bucket, model: str) -> ModelCard:
    """Return the card of a bundle that is there.

    Raises:
        BadModel: it is damaged; says what mends it.
    """
    card, damage = read_card(bucket, model), bundle_damage(bucket, model)
    if card is None or damage is not None:
        what = damage[1] if damage else "The card is missing."
        raise BadModel(
            f"model {model} in the bucket {bucket.url} is damaged. {what} {bundle_remedy(model)}"
        )
    return card
