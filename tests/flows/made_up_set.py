"""A sprite set of a model that does not exist, made without rendering."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np

from model_inventory.card import LayerCard, ModelCard, ModelSource
from storage import Bucket, crc32c
from storage.layout import card_key, graph_key, recipe_key, run_record_key, shard_record_key
from storage.records import RunRecord
from storage.sprite_set import put_fingerprinted, read_layer
from tasks.rendering.recipe import RenderRecipe
from tasks.sheets import compose, encode_lossless
from tests.storage.shard_records import shard_record

RECIPE = RenderRecipe(size_px=32, steps=4)
CHANNELS = {"stem": 32, "block_0": 80}
_GRAPH = b"a graph"


def made_up_card() -> ModelCard:
    """Return the card of a model with two layers."""
    layers = (
        LayerCard(name=name, tensor=f"{name}:0", kind="block", main=True, channels=count, height=4, width=4, sha256="0" * 64)
        for name, count in CHANNELS.items()
    )
    return ModelCard(
        name="made-up",
        source=ModelSource(origin="a test", weights_sha256="0" * 64, importer="none/1"),
        graph_sha256=hashlib.sha256(_GRAPH).hexdigest(),
        input_tensor="input:0",
        image_size=32,
        value_range=(0, 1),
        channel_order="rgb",
        logits_tensor=None,
        layers=tuple(layers),
    )


def put_bundle(bucket: Bucket) -> None:
    """Keep the model's bundle."""
    card = made_up_card()
    bucket.put(graph_key(card.key), _GRAPH)
    bucket.put(card_key(card.key), card.model_dump_json().encode())


def put_shard(bucket: Bucket, layer: str, channels: Sequence[int]) -> str:
    """Keep a shard of noise and its record, and return the record's key."""
    model = made_up_card().key
    key = shard_record_key(model, RECIPE.key, layer, channels)
    noise = (np.random.default_rng(channel).integers(0, 256, (32, 32, 3), np.uint8) for channel in channels)
    data = encode_lossless(compose(enumerate(noise), len(channels), len(channels), 32))
    file = put_fingerprinted(bucket, key, data, "webp", crc32c(data))
    names = {"model": model, "recipe": RECIPE.key, "layer": layer}
    bucket.put(key, shard_record(channels, file, cell_px=32).model_copy(update=names).to_bytes())
    return key


def finish(bucket: Bucket, layers: Iterable[str]) -> str:
    """Gather and publish what is there, as a run does at its end; return the key of the run's record."""
    from tasks.gathering.task import gather_spritemap, publish_index

    card = made_up_card()
    bucket.put(recipe_key(card.key, RECIPE.key), RECIPE.to_bytes())
    places = {layer: read_layer(bucket, card.key, RECIPE.key, layer).places() for layer in layers}
    for layer, found in places.items():
        gather_spritemap.fn(bucket.url, card, RECIPE.key, layer, tuple(found), "webp")
    publish_index.fn(bucket.url, card, RECIPE.key)
    record = RunRecord(
        model=card.key,
        recipe=RECIPE.key,
        selection={layer: tuple(found) for layer, found in places.items()},
        shards=tuple({place.record_key for found in places.values() for place in found.values()}),
        spritemaps=(),
        sprites=sum(map(len, places.values())),
        flagged={},
        finished=datetime.now(UTC),
    )
    key = run_record_key(card.key, RECIPE.key, "01234567")
    bucket.put(key, record.to_bytes())
    return key
