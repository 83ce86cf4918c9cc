"""Bundles that are in the bucket already."""

import hashlib

from pydantic import ValidationError

from model_inventory.card import ModelCard, ModelSource
from storage import Bucket, NotFound
from storage.layout import card_key, graph_key


def find_card(bucket: Bucket, name: str, source: ModelSource) -> ModelCard | None:
    """Return the card of the bundle that was imported from these weights by this code, if its graph is whole."""
    for folder in bucket.folders("models/"):
        card = read_card(bucket, folder.split("/")[1])
        if card is not None and card.name == name and card.source == source and graph_is_whole(bucket, card):
            return card
    return None


def read_card(bucket: Bucket, model: str) -> ModelCard | None:
    """Return the card of a bundle, `model` being its name and hash, or None where there is none that can be read."""
    try:
        return ModelCard.model_validate_json(bucket.get(card_key(model)))
    except (NotFound, ValidationError):
        return None


def graph_is_whole(bucket: Bucket, card: ModelCard) -> bool:
    """Tell whether the graph beside a card is the one that the card describes."""
    try:
        return hashlib.sha256(bucket.get(graph_key(card.key))).hexdigest() == card.graph_sha256
    except NotFound:
        return False
