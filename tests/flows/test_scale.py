"""The simulation of many workers, at a tiny size; benchmarks/scale.py runs it with a thousand."""

import pytest

from benchmarks.scale import made_up_model, planned_models, put_models, simulate
from diamond_cutter.flows.planning import shard_jobs
from tests.storage.gcs_server import GcsServer

LAYERS = {"one": 128, "two": 192}


@pytest.mark.slow
@pytest.mark.parametrize("plain", [False, True], ids=["cluster", "plain"])
def test_each_shard_is_rendered_once_and_costs_few_requests(
    gcs_place: GcsServer, plain: bool
) -> None:
    models = [made_up_model(number, LAYERS, further=1, classes=0) for number in range(2)]
    put_models(gcs_place, "place", models)
    planned = planned_models("gs://place")
    jobs = [job for run in planned for job in shard_jobs(run.plan, run.request)]
    assert len({job.record_key for job in jobs}) == len(jobs) == 20
    outcome = simulate(gcs_place, "gs://place", planned, workers=5, plain=plain)
    keys = set(gcs_place.buckets["place"])
    assert keys.issuperset(job.record_key for job in jobs)
    for run in planned:
        assert keys.issuperset([run.key, *map(run.spritemap_key, run.plan.layers)])
    assert not any(key.startswith("claims/") for key in keys)
    assert (outcome.shards, outcome.twice) == (20, 0)
    # A claim and its end; a look for the record, the picture and the record.
    assert outcome.by_kind["records"] >= 3 and outcome.by_kind["claims"] >= 2
    assert outcome.requests == pytest.approx(sum(outcome.by_kind.values()))
    assert outcome.for_sharing < (12 if plain else 8)
    results = outcome.by_kind.get("results", 0.0)  # of two models, for each of five plain runs
    assert 0.3 <= results <= 0.5 if plain else results == 0
    # Three of four shards at most, because the first one of a device counts for none.
    assert 0.1 < outcome.traced <= 0.75
    assert outcome.foreseen == 0 if plain else outcome.foreseen > 0.3
    assert 0.5 < outcome.busy <= outcome.ideal == 1 and outcome.busy <= outcome.busy_before <= 1
