"""Tasks that gather spritemaps, publish a set's index, and adopt shards of other sets."""

from collections.abc import Mapping, Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, Token, open_bucket
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.claims import claim
from diamond_cutter.storage.sets.layout import index_key, is_mixes, set_folder, shard_record_key
from diamond_cutter.storage.sets.records import ShardRecord, SpritemapRecord
from diamond_cutter.storage.sets.sprite_set import is_whole, read_layer, read_record
from diamond_cutter.storage.sets.views import publish_view
from diamond_cutter.tasks.gathering.adoption import Adoptable, adopt
from diamond_cutter.tasks.gathering.index import sprite_table, to_parquet
from diamond_cutter.tasks.gathering.spritemap import commit_spritemap
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.work import ShardOutcome
from diamond_cutter.tasks.sheets import ImageFormat


@task(name="adopt shards", retries=1, cache_policy=NO_CACHE, persist_result=False)
def adopt_shards(
    bucket_url: str, model: str, recipe: RenderRecipe, shards: Sequence[Adoptable]
) -> bool:
    """Copy shards of other sets into a set, and tell whether it has all of them now."""
    bucket = open_bucket(bucket_url)
    return all(list(at_once(bucket, lambda shard: adopt(bucket, model, recipe, shard), shards)))


@task(name="adopt shard", retries=1, cache_policy=NO_CACHE, persist_result=False)
def adopt_shard(
    bucket_url: str, model: str, recipe: RenderRecipe, shard: Adoptable, lost: Token | None = None
) -> ShardOutcome:
    """Copy a shard of another set into a set, unless another process has claimed it.

    `lost` is a claim on the shard that its owner no longer renews.
    """
    bucket = open_bucket(bucket_url)
    key = shard_record_key(model, recipe.key, shard.layer, shard.channels)
    with claim(bucket, key, lost) as is_ours:
        if not is_ours:
            return ShardOutcome(how="claimed")
        present = read_record(bucket, key, ShardRecord)
        is_there = present is not None and is_whole(bucket, present.file)
        if is_there or adopt(bucket, model, recipe, shard):
            return ShardOutcome(how="there")
        return ShardOutcome(how="gone")


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
    lost: Token | None = None,
) -> SpritemapRecord | None:
    """Return the record of a layer's spritemap, and gather it if the bucket's is out of date.

    The work is claimed before anything is written. None if another process has claimed it.

    Args:
        bucket_url: where.
        card: the model's.
        recipe: the recipe's key.
        layer: the layer, or the name of mixes.
        channels: the channels or mixes. All their variants are gathered, in ascending order.
        image_format: of the picture.
        photo_highest: the highest activation on any photo, by channel.
        out_of: the number of channels or mixes. Default: the layer's channels on the card.
        lost: a claim on the spritemap that its owner no longer renews.

    Raises:
        SpritesMissing: some channels have no sprite.
    """
    whole = card.layer(layer).channels if out_of is None else out_of
    bucket = open_bucket(bucket_url)
    return commit_spritemap(
        bucket,
        card.key,
        recipe,
        layer,
        channels,
        image_format,
        photo_highest or {},
        whole,
        claimed=lambda key: claim(bucket, key, lost),
    )


@task(name="publish index", cache_policy=NO_CACHE, persist_result=False)
def publish_index(
    bucket_url: str,
    card: ModelCard,
    recipe: str,
    photo_highest: Mapping[str, Mapping[int, float]] | None = None,
) -> str:
    """Rebuild a set's index from all its records, and return its key.

    Layers are in forward order, and mixes behind them.

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


def _mixes_names(bucket: Bucket, model: str, recipe: str) -> list[str]:
    folders = (folder.split("/")[-2] for folder in bucket.folders(set_folder(model, recipe)))
    return [name for name in folders if is_mixes(name)]
