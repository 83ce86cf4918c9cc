"""The number of requests that a run of `sprites` sends to its bucket, counted in the code.

On a strict server, the count differs from that of a run by less than a tenth
(tests/flows/test_bucket_requests.py). Not counted are photos, retries, the search in other sets,
and further pages of listings of more than 1,000 objects.
"""

import math

from diamond_cutter.flows.model_run import INDEXED_TOGETHER
from diamond_cutter.flows.planning import LayerPlan, RunPlan
from diamond_cutter.tasks.rendering.shard import SHARD_CHANNELS

# The task claims the shard, looks for the record, writes the picture and the record, and deletes
# the claim. The spritemap reads both, and the index and the gallery read the record.
PER_SHARD = 9
# A copy reads and writes the picture and the record. The rest is as above.
_PER_ADOPTED_SHARD = 8
# The spritemap, the index and the gallery read shards that are there; the spritemap only if it
# changes.
_PER_SHARD_THERE = 4
_PER_SHARD_THERE_UNCHANGED = 2
# A listing, the spritemap and its record, the files of the gallery, and the claim on the spritemap,
# after which its record is read again.
_PER_LAYER = 15
_PER_LAYER_UNCHANGED = 8
# The model, the settings, the plan, a listing of claims, the page with its scripts and words, the
# index and the run's record.
_PER_RUN = 38
# The claim on the publication.
_PER_PUBLICATION = 2
# Settings and scripts of an older run are looked at, and the records of the page and of the index
# are written before and after them.
_PER_CHANGED_SET = 12
# The bundle: its card and its graph.
_PER_PROCESS = 2
# The index and its record, beside a listing for each layer of the model.
_PER_INDEX = 7


def count_requests(plan: RunPlan, processes: int) -> int:
    """Return the number of requests to the bucket of a run.

    Args:
        plan: of the run.
        processes: the number of device processes.
    """
    layers = sum(map(_requests_of_layer, plan.layers))
    first = _PER_RUN + len(plan.card.layers) + _PER_PROCESS * min(processes, plan.shard_count)
    if plan.to_do or plan.adoptable:
        first += _PER_PUBLICATION
    if plan.done > plan.adopted and (plan.to_do or plan.adoptable):
        first += _PER_CHANGED_SET
    return first + layers + _intermediate_indexes(plan)


def _requests_of_layer(layer: LayerPlan) -> int:
    new, adopted = len(layer.shards), len(layer.adoptable)
    there = math.ceil((layer.done - layer.adopted) / layer.variants / SHARD_CHANNELS)
    if new or adopted:
        return (
            _PER_LAYER + PER_SHARD * new + _PER_ADOPTED_SHARD * adopted + _PER_SHARD_THERE * there
        )
    return _PER_LAYER_UNCHANGED + _PER_SHARD_THERE_UNCHANGED * there


def _intermediate_indexes(plan: RunPlan) -> int:
    """Return the requests of the indexes before the last one; each reads all records so far."""
    requests, so_far, due = 0, 0, INDEXED_TOGETHER
    for layer in plan.layers:
        so_far += len(layer.shards)
        if due <= so_far < plan.shard_count:
            requests += _PER_INDEX + len(plan.card.layers) + so_far
            due = 2 * so_far
    return requests
