"""Finds, reads and writes the models of a bucket."""

import functools
import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ClassLabel, ModelCard, ModelSource
from diamond_cutter.model_inventory.catalogue import (
    import_model,
    is_known,
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
from diamond_cutter.model_inventory.keras.hub_catalogue import is_hub_name
from diamond_cutter.model_inventory.preprocessing import options_of
from diamond_cutter.model_inventory.user_models import ImportOptions, import_user_model
from diamond_cutter.storage import Bucket, NotFound, open_bucket
from diamond_cutter.storage.bucket import is_key
from diamond_cutter.storage.sets.layout import card_key, graph_key
from diamond_cutter.storage.sets.sprite_set import put_determined
from diamond_cutter.tasks.devices.messages import report_progress

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.bundle import Bundle

_one_reads = threading.Lock()


class Added(FrozenModel):
    """A model that a user has added, with what the import guessed about it and what it lacks."""

    card: ModelCard
    guesses: tuple[str, ...]
    notes: tuple[str, ...] = ()


def add_model(
    bucket_url: str, path: Path, name: str, labels: Sequence[ClassLabel], options: ImportOptions
) -> Added:
    """Import a user's model in this process, and store its bundle.

    Raises:
        BadModel: the model cannot be rendered, a necessary fact about it is unknown, or it is in
            the bucket under this name with another preprocessing.
    """
    imported = import_user_model(path, name, labels, options)
    _check_same_images(open_bucket(bucket_url), imported.bundle.card)
    return Added(
        card=keep_bundle(bucket_url, imported.bundle),
        guesses=imported.guesses,
        notes=imported.notes,
    )


def _check_same_images(bucket: Bucket, card: ModelCard) -> None:
    """Refuse a model whose equal graph is in the bucket for other images.

    The key of a model is the hash of its graph, so sprites and features of both would be one.
    """
    stored = read_card(bucket, card.key)
    if stored is None or stored.image == card.image:
        return
    raise BadModel(
        f"{card.name} is in the bucket with another preprocessing or image size: expected "
        f"`{options_of(stored.image)}` and {stored.image.height} x {stored.image.width} pixels, "
        f"found `{options_of(card.image)}` and {card.image.height} x {card.image.width}. Choose "
        f"another --name; or, if nothing was computed with it yet, run `diamond-cutter models "
        f"remove {card.name}` first."
    )


def import_bundle(bucket_url: str, name: str) -> ModelCard:
    """Import a known model in this process, and store its bundle."""
    report_progress(f"importing {name}")
    return keep_bundle(bucket_url, import_model(name))


def find_model(bucket: Bucket, name: str) -> ModelCard | None:
    """Return the card of a model in the bucket, or None for a known model that is not imported yet.

    A known model is the one of the weights on this machine. Without them, and for a user's own
    model, it is the bucket's model of that name. A name with a hash, such as `mine@1a2b3c4d`,
    selects one of several.

    Raises:
        UnknownModel: there is no model of that name.
        AmbiguousModel: the bucket has several of that name; lists them. Damaged ones count, because
            the user may mean them.
        BadModel: the bundle in the bucket is damaged, and only the user can import the model again.
        WeightsMissing: the model is known, but neither its weights nor its bundle are here.
    """
    source, found = _source_here(name), bundles_named(bucket, name)
    if source is not None:
        # Others of that name have other weights, and the import replaces a damaged one.
        found = {
            model: card
            for model, card in found.items()
            if card and card.source == source and graph_is_whole(bucket, card)
        }
    if len(found) > 1:
        raise _ambiguous(bucket, name, found)
    if is_known(name):
        for model, card in found.items():
            if source is not None or _damage(bucket, model, card) is None:
                return card
        model_source(name)
        return None
    for model, card in found.items():
        return _sound(bucket, model, card)
    if "@" in name:
        raise UnknownModel(
            f"the bucket {bucket.url} has no model {name!r}. Run `diamond-cutter models` to list "
            "its models."
        )
    raise unknown_model(name, (card.name for card in stored_cards(bucket)))


def _ambiguous(bucket: Bucket, name: str, found: Iterable[str]) -> AmbiguousModel:
    names = [f"{model} (damaged)" if bundle_damage(bucket, model) else model for model in found]
    return AmbiguousModel(
        f"the bucket {bucket.url} has {len(names)} models {name!r}. Name one of them: "
        f"{', '.join(names)}"
    )


def bundles_named(bucket: Bucket, name: str) -> dict[str, ModelCard | None]:
    """Return the cards of a name's bundles by name and hash, with None for unreadable cards.

    The name may include a hash. Only bundles that may have the name are read, because the bucket
    may be far away. An interrupted import leaves a graph without a card. It is returned only if the
    bucket has nothing else of that name.
    """
    wanted, begun, found = (
        name.replace("/", "."),
        dict[str, ModelCard | None](),
        dict[str, ModelCard | None](),
    )
    # A run of many models names each with its hash, and need not list all of them each time.
    card = read_card(bucket, wanted) if "@" in wanted and is_key(wanted) else None
    if card is not None:
        return {wanted: card}
    for model in stored_models(bucket):
        if wanted in (model, model.rpartition("@")[0]):
            card = read_card(bucket, model)
            if card is None and bucket.stat(card_key(model)) is None:
                begun |= {model: None} if bucket.stat(graph_key(model)) else {}
            elif card is None or wanted == model or card.name == name:
                found[model] = card
    return found or begun


def stored_cards(bucket: Bucket) -> Iterator[ModelCard]:
    """Yield the cards of all models in the bucket that can be read."""
    cards = (read_card(bucket, model) for model in stored_models(bucket))
    return (card for card in cards if card is not None)


def read_card(bucket: Bucket, model: str) -> ModelCard | None:
    """Return the card of a bundle, or None if it is missing or unreadable.

    Args:
        bucket: where.
        model: the bundle's name and hash.
    """
    try:
        card = ModelCard.model_validate_json(bucket.get(card_key(model)))
    except (NotFound, ValidationError):
        return None
    return card if card.key == model else None


def bundle_damage(bucket: Bucket, model: str, *, reread: bool = False) -> tuple[str, str] | None:
    """Return the key of a bundle's damaged file and a sentence about it, or None if sound."""
    return _damage(bucket, model, read_card(bucket, model), reread=reread)


def _damage(
    bucket: Bucket, model: str, card: ModelCard | None, *, reread: bool = False
) -> tuple[str, str] | None:
    if card is None:
        return card_key(model), "The card is missing, unreadable, or of another model."
    if not graph_is_whole(bucket, card, reread=reread):
        return graph_key(model), "The graph differs from its card."
    return None


def bundle_remedy(model: str) -> str:
    """Return a sentence that says how to repair a damaged bundle.

    Only the user has the file or the images that the user's own model came from.
    """
    name = model.rpartition("@")[0]
    known = next((known for known in model_names() if known.replace("/", ".") == name), None)
    preset = name.replace(".", "/", 1)
    if is_hub_name(preset):
        return (
            f"Run `diamond-cutter models fetch {preset}` if its weights are not on this machine. "
            "The next run imports it again."
        )
    if known is None:
        return (
            f"Run the command that made it again: `diamond-cutter models add FILE --name {name}`, "
            "or `diamond-cutter attach` if it was trained here, with the same options."
        )
    return f"The next run of {known} imports it again."


def graph_is_whole(bucket: Bucket, card: ModelCard, *, reread: bool = False) -> bool:
    """Tell whether the graph beside a card is the one that the card describes.

    It is read with `reread`, and if the bucket stores no checksums. A bucket with checksums
    compared them when the graph was written, and `read_bundle` reads the graph anyway.
    """
    found = bucket.stat(graph_key(card.key))
    if found is None or (found.crc32c is not None and not reread):
        return found is not None
    try:
        return hashlib.sha256(bucket.get(graph_key(card.key))).hexdigest() == card.graph_sha256
    except NotFound:
        return False


def keep_bundle(bucket_url: str, bundle: "Bundle") -> ModelCard:
    """Put a bundle into the bucket: the graph first, then the card that commits it."""
    bucket, card = open_bucket(bucket_url), bundle.card
    put_determined(bucket, graph_key(card.key), bundle.graph_bytes)
    # Earlier versions wrote none of these fields. Without them, the card has their bytes, so that a
    # user's model that is added again leaves the bucket as it is.
    absent = {field for field in ("imagenet", "attached", "head") if getattr(card, field) is None}
    text = card.model_dump_json(indent=1, exclude=absent)
    put_determined(bucket, card_key(card.key), text.encode() + b"\n")
    return card


def read_bundle(bucket_url: str, model: str) -> "Bundle":
    """Return the bundle of a model in the bucket; it is read once if several threads need it.

    Args:
        bucket_url: where.
        model: the model's name and hash.

    Raises:
        NotFound: the bucket has no such bundle.
        BadModel: it is damaged.
    """
    with _one_reads:
        return _read_bundle(bucket_url, model)


@functools.lru_cache(maxsize=2)
def _read_bundle(bucket_url: str, model: str) -> "Bundle":
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
    """Return a model's bundle from the bucket, or import it without storing it.

    Raises:
        ModelError: the model is unknown, or its weights are missing or unusable.
    """
    card = find_model(open_bucket(bucket_url), name)
    return read_bundle(bucket_url, card.key) if card else import_model(name)


def _source_here(name: str) -> ModelSource | None:
    """Return the source of a known model's weights, or None if they or the model are missing."""
    if not is_known(name):
        return None
    try:
        return model_source(name)
    except WeightsMissing:
        return None


def stored_models(bucket: Bucket) -> list[str]:
    """Return the names of all models in the bucket, each with its hash."""
    return [folder.split("/")[1] for folder in bucket.folders("models/")]


def _sound(bucket: Bucket, model: str, card: ModelCard | None) -> ModelCard:
    """Return the card of a stored bundle.

    Raises:
        BadModel: it is damaged; says how to repair it.
    """
    damage = _damage(bucket, model, card)
    if card is None or damage is not None:
        what = damage[1] if damage else "The card is missing."
        raise BadModel(
            f"model {model} in the bucket {bucket.url} is damaged. {what} {bundle_remedy(model)}"
        )
    return card
