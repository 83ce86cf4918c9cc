"""Tiny pictures and their records, put in the order in which the real tasks put them."""

from datetime import UTC, datetime

from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.flows.planning import LayerPlan
from diamond_cutter.storage import Bucket, NotFound, crc32c
from diamond_cutter.storage.sets.layout import card_key, graph_key
from diamond_cutter.storage.sets.records import RunRecord, SpritemapRecord
from diamond_cutter.storage.sets.sprite_set import commit, is_whole, put_fingerprinted
from diamond_cutter.tasks.rendering.shard import ShardJob
from tests.storage.shard_records import shard_record


def read_bundle(bucket: Bucket, job: ShardJob) -> None:
    """Read what a device's process reads of the model of a shard."""
    try:
        bucket.get(card_key(job.model)), bucket.get(graph_key(job.model))
    except NotFound:
        return


def commit_shard(bucket: Bucket, job: ShardJob) -> None:
    """Put the picture and the record of a shard."""
    data = job.record_key.encode()
    file = put_fingerprinted(bucket, job.record_key, data, "webp", crc32c(data))
    said = {"model": job.model, "recipe": job.recipe.key, "layer": job.name}
    record = shard_record(job.numbers, file).model_copy(update=said)
    commit(bucket, job.record_key, record, lambda theirs: is_whole(bucket, theirs.file))


def commit_spritemap(bucket: Bucket, run: ModelRun, layer: LayerPlan) -> None:
    """Put the picture and the record of a spritemap."""
    key = run.spritemap_key(layer)
    data = key.encode()
    file = put_fingerprinted(bucket, key, data, "webp", crc32c(data))
    record = SpritemapRecord(
        model=run.plan.card.key,
        recipe=run.request.recipe.key,
        layer=layer.layer,
        cell_px=32,
        columns=1,
        rows=1,
        sprites=(),
        shards=(),
        file=file,
    )
    commit(bucket, key, record, lambda theirs: True)


def commit_run(bucket: Bucket, run: ModelRun) -> None:
    """Put the record of a run."""
    names = [layer.layer for layer in run.plan.layers]
    record = RunRecord(
        model=run.plan.card.key,
        recipe=run.request.recipe.key,
        selection=dict.fromkeys(names, ()),
        shards=(),
        spritemaps=(),
        sprites=0,
        flagged={},
        pictures=dict.fromkeys(names, ""),
        finished=datetime.now(UTC),
    )
    commit(bucket, run.key, record, lambda theirs: True)
