"""A sprite set of a model that does not exist, made without rendering."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np

from diamond_cutter.model_inventory.card import ImageSpec, LayerCard, ModelCard, ModelSource
from diamond_cutter.storage import Bucket, crc32c
from diamond_cutter.storage.sets.layout import (
    card_key,
    graph_key,
    is_mixes,
    mixes_key,
    recipe_key,
    run_record_key,
    shard_record_key,
)
from diamond_cutter.storage.sets.records import RunRecord, SpriteScores
from diamond_cutter.storage.sets.sprite_set import put_fingerprinted, read_layer
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Mix, Mixes, Term
from diamond_cutter.tasks.sheets import compose, encode_lossless
from tests.storage.shard_records import shard_record

RECIPE = RenderRecipe(size_px=32, steps=4)
CHANNELS = {"stem": 32, "block_0": 80}
GRAPH = b"a graph"


def made_up_card() -> ModelCard:
    """Return the card of a model with two layers."""
    layers = (
        LayerCard(
            name=name,
            tensor=f"{name}:0",
            kind="block",
            main=True,
            channels=count,
            height=4,
            width=4,
            sha256="0" * 64,
        )
        for name, count in CHANNELS.items()
    )
    return ModelCard(
        name="made-up",
        source=ModelSource(origin="a test", weights_sha256="0" * 64, importer="none/1"),
        graph_sha256=hashlib.sha256(GRAPH).hexdigest(),
        input_tensor="input:0",
        image=ImageSpec(height=32, width=32, value_range=((0, 1),)),
        logits_tensor=None,
        layers=tuple(layers),
    )


def put_bundle(bucket: Bucket) -> None:
    """Keep the model's bundle."""
    card = made_up_card()
    bucket.put(graph_key(card.key), GRAPH)
    bucket.put(card_key(card.key), card.model_dump_json().encode())


def put_old_bundle(bucket: Bucket, card: ModelCard, graph: bytes = GRAPH) -> bytes:
    """Keep a bundle as earlier versions wrote it, and return the bytes of its card."""
    text = card.model_dump_json(indent=1, exclude={"imagenet", "attached", "head"}).encode() + b"\n"
    bucket.put(graph_key(card.key), graph)
    bucket.put(card_key(card.key), text)
    return text


def put_mixes(bucket: Bucket) -> Mixes:
    """Keep two mixes and return them."""
    stem, block = (
        Term(layer="stem", channels=(1,), weights=(1.0,)),
        Term(layer="block_0", channels=(2, 3), weights=(0.5, -1.0)),
    )
    mixes = Mixes(
        mixes=(
            Mix(label="stem and block", terms=(stem, block)),
            Mix(label="[red]層\x1b[31m", terms=(block,)),
        )
    )
    bucket.put(
        mixes_key(made_up_card().key, RECIPE.key, mixes.name),
        mixes.model_dump_json(indent=1).encode(),
    )
    return mixes


def put_shard(
    bucket: Bucket,
    layer: str,
    channels: Sequence[int],
    *,
    variants: int = 1,
    scores: Sequence[SpriteScores] | None = None,
    recipe: RenderRecipe = RECIPE,
    model: str | None = None,
) -> str:
    """Keep a shard of noise and its record, and return the record's key; without scores they are
    made up, too, and without a model it is the made-up one.
    """
    model, count = model or made_up_card().key, len(channels) * variants
    key = shard_record_key(model, recipe.key, layer, channels)
    noise = (
        np.random.default_rng([*channels, cell]).integers(0, 256, (32, 32, 3), np.uint8)
        for cell in range(count)
    )
    data = encode_lossless(compose(enumerate(noise), count, count, 32))
    file = put_fingerprinted(bucket, key, data, "webp", crc32c(data))
    record = shard_record(channels, file, variants=variants, cell_px=32)
    said = {
        "model": model,
        "recipe": recipe.key,
        "layer": layer,
        "sprites": tuple(scores or record.sprites),
    }
    bucket.put(key, record.model_copy(update=said).to_bytes())
    return key


def finish(bucket: Bucket, layers: Iterable[str]) -> str:
    """Gather and publish what is there, as a run does at its end; return the key of the run's
    record.
    """
    from diamond_cutter.tasks.gathering.task import gather_spritemap, publish_index

    card = made_up_card()
    bucket.put(recipe_key(card.key, RECIPE.key), RECIPE.to_bytes())
    shards = {layer: read_layer(bucket, card.key, RECIPE.key, layer) for layer in layers}
    for layer, found in shards.items():
        # A made-up set of mixes is always whole.
        out_of = len(found.channels()) if is_mixes(layer) else None
        gather_spritemap.fn(
            bucket.url, card, RECIPE.key, layer, found.channels(), "webp", out_of=out_of
        )
    publish_index.fn(bucket.url, card, RECIPE.key)
    record = RunRecord(
        model=card.key,
        recipe=RECIPE.key,
        selection={layer: found.channels() for layer, found in shards.items()},
        shards=tuple(sorted(key for found in shards.values() for key in found.sound)),
        spritemaps=(),
        sprites=sum(len(found.places()) for found in shards.values()),
        flagged={},
        finished=datetime.now(UTC),
    )
    key = run_record_key(card.key, RECIPE.key, "01234567")
    bucket.put(key, record.to_bytes(), mode="overwrite")
    return key
