"""Gathers a layer's shards into its spritemap, and a set's records into its index; copies shards
that other sets have.
"""

from collections.abc import Mapping, Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, crc32c, open_bucket
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.layout import (
    channel_span,
    index_key,
    is_mixes,
    set_folder,
    spritemap_record_key,
)
from diamond_cutter.storage.sets.records import FileRef, SpritemapRecord, SpriteScores
from diamond_cutter.storage.sets.sprite_set import (
    SpritePlace,
    channels_missing,
    commit,
    is_whole,
    put_fingerprinted,
    read_layer,
    read_record,
)
from diamond_cutter.storage.sets.views import publish_view
from diamond_cutter.tasks.gathering.adoption import Adoptable, adopt
from diamond_cutter.tasks.gathering.index import sprite_table, to_parquet
from diamond_cutter.tasks.gathering.photo_ratios import with_photo_ratios
from diamond_cutter.tasks.gathering.spritemap import gather_sheet
from diamond_cutter.tasks.image_format import ImageFormat
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.sheets import encode, spritemap_shape


class SpritesMissing(DiamondCutterError):
    """A layer lacks sprites that its spritemap needs; the text says how many."""

    exit_code = 1


@task(name="adopt shards", retries=1, cache_policy=NO_CACHE, persist_result=False)
def adopt_shards(
    bucket_url: str, model: str, recipe: RenderRecipe, shards: Sequence[Adoptable]
) -> bool:
    """Copy shards of other sets into a set, and tell whether it has all of them now."""
    bucket = open_bucket(bucket_url)
    return all(list(at_once(bucket, lambda shard: adopt(bucket, model, recipe, shard), shards)))


@task(
    name="gather spritemap",
    task_run_name="spritemap of {layer}",
    retries=1,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def gather_spritemap(
    bucket_url: str,
    card: ModelCard,
    recipe: str,
    layer: str,
    channels: Sequence[int],
    image_format: ImageFormat,
    photo_highest: Mapping[int, float] | None = None,
    out_of: int | None = None,
) -> SpritemapRecord:
    """Return the record of the layer's spritemap, gathering it unless the one in the bucket still
    holds.

    Args:
        bucket_url: where.
        card: the model's.
        recipe: the recipe's key.
        layer: the layer, or the name of mixes.
        channels: which channels or mixes; all their variants are gathered, in ascending order.
        image_format: what the picture is written as.
        photo_highest: the highest activation on any photo, by channel.
        out_of: how many channels or mixes there are; as many as the card says of the layer if left
            out.

    Raises:
        SpritesMissing: not all of the channels have a sprite.
    """
    bucket = open_bucket(bucket_url)
    shards = read_layer(bucket, card.key, recipe, layer)
    missing = channels_missing(channels, shards.channels())
    if missing:
        raise SpritesMissing(
            f"{layer} lacks {len(missing)} of {len(channels)} sprites, the first of channel "
            f"{missing[0]}; run again"
        )
    wanted = frozenset(channels)
    places = [place for (channel, _), place in shards.places().items() if channel in wanted]
    sprites = with_photo_ratios((place.scores for place in places), photo_highest or {})
    part = part_name(channels, card.layer(layer).channels if out_of is None else out_of)
    key = spritemap_record_key(card.key, recipe, layer, part)
    stored = read_record(bucket, key, SpritemapRecord)
    if stored is not None and _still_holds(bucket, stored, places, sprites, image_format):
        return stored
    record = _gathered(bucket, key, places, sprites, image_format)
    return commit(
        bucket,
        key,
        record,
        lambda theirs: _still_holds(bucket, theirs, places, sprites, image_format),
    )


@task(name="publish index", cache_policy=NO_CACHE, persist_result=False)
def publish_index(
    bucket_url: str,
    card: ModelCard,
    recipe: str,
    photo_highest: Mapping[str, Mapping[int, float]] | None = None,
) -> str:
    """Rebuild the set's index from all its records, layers in forward order and mixes behind them,
    and return its key.

    Args:
        bucket_url: where.
        card: the model's.
        recipe: the recipe's key.
        photo_highest: the highest activation on any photo, by layer and channel.
    """
    bucket, key = open_bucket(bucket_url), index_key(card.key, recipe)

    def build() -> bytes:
        names = [*(layer.name for layer in card.layers), *_mixes_names(bucket, card.key, recipe)]
        layers = {name: read_layer(bucket, card.key, recipe, name) for name in names}
        return to_parquet(sprite_table(layers, layers, photo_highest))

    publish_view(bucket, key, build)
    return key


def part_name(channels: Sequence[int], layer_channels: int) -> str:
    """Return which part of a layer the channels are: `all`, or their span."""
    return "all" if len(channels) == layer_channels else channel_span(channels)


def _mixes_names(bucket: Bucket, model: str, recipe: str) -> list[str]:
    folders = (folder.split("/")[-2] for folder in bucket.folders(set_folder(model, recipe)))
    return [name for name in folders if is_mixes(name)]


def _still_holds(
    bucket: Bucket,
    record: SpritemapRecord,
    places: Sequence[SpritePlace],
    sprites: tuple[SpriteScores, ...],
    image_format: ImageFormat,
) -> bool:
    return (
        record.shards == _shards_of(places)
        and record.sprites == sprites
        and record.file.key.endswith(f".{image_format}")
        and is_whole(bucket, record.file)
    )


def _gathered(
    bucket: Bucket,
    key: str,
    places: Sequence[SpritePlace],
    sprites: tuple[SpriteScores, ...],
    image_format: ImageFormat,
) -> SpritemapRecord:
    first = places[0].shard
    cell_px = first.cell_px
    data = encode(gather_sheet(bucket, places, cell_px), image_format)
    columns, rows = spritemap_shape(len(places))
    return SpritemapRecord(
        model=first.model,
        recipe=first.recipe,
        layer=first.layer,
        cell_px=cell_px,
        columns=columns,
        rows=rows,
        sprites=sprites,
        shards=_shards_of(places),
        file=put_fingerprinted(bucket, key, data, image_format, crc32c(data)),
    )


def _shards_of(places: Sequence[SpritePlace]) -> tuple[FileRef, ...]:
    files = {place.record_key: place.shard.file for place in places}
    return tuple(files[key] for key in sorted(files))
