"""Finds a model's bundle in the bucket, or imports the model and keeps it there."""

import functools
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from model_inventory.card import ModelCard
from model_inventory.catalogue import import_model, model_source
from storage import open_bucket
from storage.layout import card_key, graph_key
from storage.sprite_set import put_determined
from tasks.devices import DeviceSlots
from tasks.importing.stored import find_card

if TYPE_CHECKING:
    from model_inventory.bundle import Bundle

_TIMEOUT_S = 1800.0


@task(name="ensure bundle", task_run_name="ensure bundle of {name}", cache_policy=NO_CACHE, persist_result=False)
def ensure_bundle(bucket_url: str, name: str, slots: DeviceSlots) -> ModelCard:
    """Return the card of the model's bundle in the bucket, importing the model first if need be.

    Raises:
        ModelError: the model is unknown, its weights are not here, or they cannot be used.
    """
    stored = find_card(open_bucket(bucket_url), name, model_source(name))
    return stored or slots.run(import_bundle, bucket_url, name, timeout_s=_TIMEOUT_S)


def import_bundle(bucket_url: str, name: str) -> ModelCard:
    """Import a model and keep its bundle: the graph first, then the card that makes it count."""
    bundle = import_model(name)
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
