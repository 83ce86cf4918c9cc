"""Of several runs of a request, one gathers a layer and one publishes the model; kills included."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.flows.planning import plan_run
from diamond_cutter.flows.shared_sets import folder_of
from diamond_cutter.flows.shared_work import SharedWork
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.process_identity import ProcessIdentity
from diamond_cutter.storage import LocalBucket, Token
from diamond_cutter.storage.sets.claims import Claim, claim
from diamond_cutter.storage.sets.layout import claim_key, spritemap_record_key
from diamond_cutter.storage.sets.records import RunRecord, SpritemapRecord
from diamond_cutter.tasks.gathering.task import gather_spritemap
from tests.flows.made_up_set import CHANNELS, RECIPE, made_up_card, put_bundle, put_shard
from tests.flows.test_shared_shards import ELSEWHERE, Clock, clock

__all__ = ["clock"]

CARD = made_up_card()
STEM = tuple(range(CHANNELS["stem"]))


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    found = LocalBucket(tmp_path / "bucket")
    put_bundle(found)
    return found


def planned_run(bucket: LocalBucket) -> ModelRun:
    """Return the only layer of a model as a run has planned it."""
    asked = SpritesRequest(model=CARD.name, bucket=bucket.url, layers=("stem",), recipe=RECIPE)
    artifacts: Any = SimpleNamespace(layer_done=lambda layers: None)
    return ModelRun(asked, plan_run(bucket, CARD, asked), {}, artifacts)


@pytest.fixture
def run(bucket: LocalBucket) -> ModelRun:
    """Return a run that was planned before another one rendered its layer."""
    return planned_run(bucket)


@pytest.fixture
def work(bucket: LocalBucket, run: ModelRun, clock: Clock) -> SharedWork:
    def found(job: Any) -> None:
        layer = run.shard_done(job.name)
        assert layer is not None
        work.add_layer(run, layer)

    work = SharedWork(bucket, [run], "a run", found)
    job = next(work)
    assert job is not None
    put_shard(bucket, "stem", STEM)
    work.shards.ended(job, how="rendered")
    found(job)
    return work


def put_claim(bucket: LocalBucket, key: str, process: ProcessIdentity = ELSEWHERE) -> None:
    content = Claim(id="theirs", process=process).to_bytes()
    bucket.put(claim_key(key), content, mode="overwrite")


def gather(bucket: LocalBucket) -> SpritemapRecord | None:
    record: SpritemapRecord | None = gather_spritemap.fn(
        bucket.url, CARD, RECIPE.key, "stem", STEM, "webp"
    )
    return record


def committed(run: ModelRun, **changes: Any) -> RunRecord:
    record = RunRecord(
        model=CARD.key,
        recipe=RECIPE.key,
        selection={"stem": STEM},
        shards=(),
        spritemaps=(),
        sprites=len(STEM),
        flagged={},
        pictures={"stem": "a picture"},
        finished="2026-01-01T00:00:00Z",
    )
    return record.model_copy(update=changes)


def test_a_layer_is_gathered_by_one_run_and_its_model_published_by_one(
    bucket: LocalBucket, run: ModelRun, work: SharedWork
) -> None:
    ((gathered, layer, lost),) = work.layers_to_gather()
    assert (gathered, layer.layer, lost) == (run, "stem", None)
    assert list(work.layers_to_gather()) == []
    run.spritemap_done(layer)
    finished = list[ModelRun]()
    work.finish_models(lambda model, lost: not finished.append(model))
    assert finished == [run] and run.committed is None and not work.runs
    with pytest.raises(StopIteration):
        next(work)


def test_a_spritemap_that_another_run_has_gathered_is_adopted(
    bucket: LocalBucket, run: ModelRun, work: SharedWork, clock: Clock
) -> None:
    put_claim(bucket, run.spritemap_key(run.plan.layers[0]))
    ((_, layer, _),) = work.layers_to_gather()
    work.return_layer(run, layer)
    assert not list(work.layers_to_gather()) and next(work) is None
    bucket.delete(claim_key(run.spritemap_key(layer)))
    assert gather(bucket) is not None
    clock.now += 5
    assert next(work) is None and not list(work.layers_to_gather())
    assert run.gathered_elsewhere == {"stem"} and run.is_complete


@pytest.mark.parametrize("gathered", [True, False])
def test_if_many_runs_are_live_each_waits_for_its_turn_to_gather_and_then_looks(
    bucket: LocalBucket, run: ModelRun, work: SharedWork, clock: Clock, gathered: bool
) -> None:
    work._sets.claims.most = 5000
    assert not list(work.layers_to_gather())
    if gathered:
        assert gather(bucket) is not None
    turns = list[Any]()
    for _ in range(10):
        clock.now += 1.0
        turns += work.layers_to_gather()
    assert len(turns) == (not gathered) and run.is_complete is gathered


def test_a_layer_that_another_run_has_claimed_meanwhile_has_a_new_turn(
    bucket: LocalBucket, run: ModelRun, work: SharedWork, clock: Clock
) -> None:
    key = run.spritemap_key(run.plan.layers[0])
    work._sets.claims.most = 5000
    assert not list(work.layers_to_gather()), "its first turn is within 50 s"
    put_claim(bucket, key)
    work._sets.look(folder_of(key))
    clock.now += 60.0
    assert not list(work.layers_to_gather())
    bucket.delete(claim_key(key))
    work._sets.look(folder_of(key))
    assert not list(work.layers_to_gather()), "hundreds of runs see it at this time"
    clock.now += 60.0
    assert len(list(work.layers_to_gather())) == 1


def test_photos_of_this_run_forbid_to_adopt(
    bucket: LocalBucket, run: ModelRun, work: SharedWork
) -> None:
    run.request = run.request.model_copy(update={"photos": "/photos"})
    ((_, layer, _),) = work.layers_to_gather()
    assert gather(bucket) is not None
    work.return_layer(run, layer)
    work._sets.look(folder_of(run.key))
    assert len(list(work.layers_to_gather())) == 1


def test_the_record_of_a_run_that_has_published_the_model_is_adopted(
    bucket: LocalBucket, run: ModelRun, work: SharedWork, clock: Clock
) -> None:
    ((_, layer, _),) = work.layers_to_gather()
    run.spritemap_done(layer)
    put_claim(bucket, run.key)
    work.finish_models(lambda model, lost: False)
    clock.now += 5
    assert next(work) is None
    bucket.delete(claim_key(run.key))
    bucket.put(run.key, committed(run, failures=("it failed",)).to_bytes())
    clock.now += 5
    assert next(work) is None
    work.finish_models(lambda model, lost: model.committed is not None)
    assert work.runs, "what failed there is no reason to adopt it"
    bucket.put(run.key, committed(run).to_bytes(), mode="overwrite")
    clock.now += 5
    assert next(work) is None
    work.finish_models(lambda model, lost: model.committed == committed(run))
    assert not work.runs


def test_if_the_run_that_publishes_dies_another_one_takes_over(
    bucket: LocalBucket, run: ModelRun, work: SharedWork, clock: Clock
) -> None:
    ((_, layer, _),) = work.layers_to_gather()
    run.spritemap_done(layer)
    put_claim(bucket, run.key)
    work.finish_models(lambda model, lost: False)
    taken = list[Token | None]()
    while work.runs and clock.now < 300:
        clock.now += 5
        assert next(work) is None
        work.finish_models(lambda model, lost: not taken.append(lost))
    assert 120 < clock.now < 150
    with claim(bucket, run.key, taken[0]) as is_ours:
        assert is_ours


def test_a_layer_that_a_killed_run_of_this_machine_has_claimed_is_gathered_at_once(
    bucket: LocalBucket, run: ModelRun
) -> None:
    gone = ProcessIdentity.of_this_process().model_copy(update={"started": "another time"})
    put_claim(bucket, run.spritemap_key(run.plan.layers[0]), gone)
    put_shard(bucket, "stem", STEM)
    again = planned_run(bucket)
    work = SharedWork(bucket, [again], "a run", lambda job: None)
    assert not list(work.layers_to_gather())
    assert next(work) is None
    ((_, _, lost),) = work.layers_to_gather()
    assert lost is not None


def test_the_claims_of_a_killed_run_on_work_that_it_had_done_are_deleted(
    bucket: LocalBucket, run: ModelRun
) -> None:
    gone = ProcessIdentity.of_this_process().model_copy(update={"started": "another time"})
    shard = put_shard(bucket, "stem", STEM)
    for key in (shard, run.spritemap_key(run.plan.layers[0]), run.key):
        put_claim(bucket, key, gone)
    assert gather(bucket) is not None
    again = planned_run(bucket)
    assert again.plan.to_do == 0, "so the run claims nothing"
    SharedWork(bucket, [again], "a run", lambda job: None).end()
    assert not list(bucket.list("claims/"))


KILLED = """
import os, signal, sys
from unittest import mock
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.gathering import spritemap
from tests.flows.test_shared_work import gather
with mock.patch.object(spritemap, sys.argv[2], lambda *a: os.kill(os.getpid(), signal.SIGKILL)):
    gather(open_bucket(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["gather_sheet", "commit"])
def test_a_run_that_is_killed_while_it_gathers_is_replaced(bucket: LocalBucket, where: str) -> None:
    put_shard(bucket, "stem", STEM)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, bucket.url, where], env=os.environ, check=False
    )
    assert killed.returncode == -9
    (left,) = bucket.list("claims/")
    process = Claim.from_bytes(bucket.get(left.key), left.key).process
    assert process.host == ProcessIdentity.of_this_process().host
    assert gather(bucket) is not None
    assert not list(bucket.list("claims/"))


def test_another_live_process_gathers_and_nothing_is_done_twice(bucket: LocalBucket) -> None:
    put_shard(bucket, "stem", STEM)
    put_claim(bucket, spritemap_record_key(CARD.key, RECIPE.key, "stem", "all"))
    assert gather(bucket) is None
    assert not [info for info in bucket.list("sprites/") if "spritemap" in info.key]
