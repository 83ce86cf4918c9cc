"""Bundles that are in the bucket already."""

import hashlib
from collections.abc import Iterator

from pydantic import ValidationError

from model_inventory.card import ModelCard, ModelSource
from storage import Bucket, NotFound
from storage.layout import card_key, graph_key


def find_card(bucket: Bucket, name: str, source: ModelSource) -> ModelCard | None:
    """Return the card of the bundle that was imported from these weights by this code, if its graph is whole."""
    for card in stored_cards(bucket):
        if card.name == name and card.source == source and _graph_is_whole(bucket, card):
            return card
    return None


def stored_cards(bucket: Bucket) -> Iterator[ModelCard]:
    """Yield the cards of the bundles in the bucket; one that cannot be read is passed over."""
    for folder in bucket.folders("models/"):
        try:
            yield ModelCard.model_validate_json(bucket.get(card_key(folder.split("/")[1])))
        except (ValidationError, NotFound):
            continue


def _graph_is_whole(bucket: Bucket, card: ModelCard) -> bool:
    try:
        return hashlib.sha256(bucket.get(graph_key(card.key))).hexdigest() == card.graph_sha256
    except NotFound:
        return False
