"""Score the layers of a model in a process without a device."""

from collections.abc import Callable
from typing import Any, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.cut_keys import scores_key, together_key
from diamond_cutter.storage.sets.sprite_set import read_record
from diamond_cutter.tasks.cutting.job import ScoringJob, join_and_commit, score_and_commit
from diamond_cutter.tasks.cutting.scores import ScoresRecord
from diamond_cutter.tasks.cutting.together import JoinRecord
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.retrying import RETRIED

_AnyRecord = TypeVar("_AnyRecord", ScoresRecord, JoinRecord)


@task(name="score layer", task_run_name="scores of {job.model}, {layer.name}", **RETRIED)
def score_layer(
    job: ScoringJob, layer: LayerCard, slots: DeviceSlots, timeout_s: float, on_progress: Any
) -> ScoresRecord:
    """Return the scores of a layer, computed in the next free process unless already stored."""
    return _stored_or_computed(
        open_bucket(job.bucket),
        scores_key(job.folder, layer.name),
        ScoresRecord,
        job.dataset.division,
        lambda: slots.run(
            score_and_commit, job, layer, timeout_s=timeout_s, on_progress=on_progress
        ),
    )


# Without retries: joining is an extra, and a search with very many classes may not finish it.
@task(
    name="join layers",
    task_run_name="joined layers of {job.model}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def join_layers(
    job: ScoringJob, slots: DeviceSlots, timeout_s: float, on_progress: Any
) -> JoinRecord:
    """Return what joining layers gains, computed in the next free process unless stored."""
    return _stored_or_computed(
        open_bucket(job.bucket),
        together_key(job.folder),
        JoinRecord,
        job.dataset.division,
        lambda: slots.run(join_and_commit, job, timeout_s=timeout_s, on_progress=on_progress),
    )


def _stored_or_computed(
    bucket: Bucket, key: str, kind: type[_AnyRecord], division: str, compute: Callable[[], None]
) -> _AnyRecord:
    stored = read_record(bucket, key, kind)
    if stored is None or stored.division != division:
        compute()
    return kind.from_bytes(bucket.get(key), key)
