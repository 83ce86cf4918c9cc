"""The records of executions: what is added up, when they are written, and how they are shown."""

import signal
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from prefect.exceptions import TerminationSignal

from diamond_cutter.flows.artifacts import RunArtifacts
from diamond_cutter.flows.cli.copies import copy
from diamond_cutter.flows.cli.listing import list_sets
from diamond_cutter.flows.cli.records import SetReport, ShownRecord, show
from diamond_cutter.flows.cli.removal import collect, find_folder, remove_folder
from diamond_cutter.flows.events.executions import RunExecutions, kept_executions
from diamond_cutter.flows.events.observers import reason_of
from diamond_cutter.flows.events.stream import Part, PartFailed, ShardDone, publish
from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.flows.planning import plan_run
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.flows.verification import verify
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.executions import PhaseSeconds, executions_of
from diamond_cutter.storage.sets.layout import is_run_execution, run_record_key
from diamond_cutter.tasks.rendering.work import ShardOutcome, ShardWork
from tests.flows.cli.test_record_text import text
from tests.flows.made_up_set import RECIPE, finish, made_up_card, put_bundle, put_shard
from tests.storage.shard_records import VERSIONS

CARD = made_up_card()


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    found = LocalBucket(tmp_path / "bucket")
    put_bundle(found)
    return found


@pytest.fixture
def run(bucket: LocalBucket) -> ModelRun:
    request = SpritesRequest(
        model=CARD.name, bucket=bucket.url, layers=("stem", "block_0"), recipe=RECIPE
    )
    return ModelRun(request, plan_run(bucket, CARD, request), {}, cast(RunArtifacts, None))


def shard(layer: str, model: str = CARD.key) -> Part:
    return Part(kind="shard", title=f"{layer} channels 0-31", items=32, model=model, layer=layer)


def rendered(layer: str, device: str, retries: int = 0, model: str = CARD.key) -> ShardDone:
    work = ShardWork(
        host="box",
        device=device,
        tracing_s=8.0,
        rendering_s=30.0,
        writing_s=0.5,
        bytes=1000,
        picture="p.webp",
        versions=VERSIONS,
    )
    outcome = ShardOutcome(how="rendered", work=work, waiting_s=4.0, retries=retries)
    return ShardDone(part=shard(layer, model), outcome=outcome)


def run_key(run: ModelRun) -> str:
    return run_record_key(CARD.key, RECIPE.key, run.plan.selection_id)


def test_an_execution_adds_up_the_shards_of_its_model(bucket: LocalBucket, run: ModelRun) -> None:
    with kept_executions(bucket, "sprites", [run]) as executions:
        publish(rendered("stem", "gpu:0"))
        publish(rendered("block_0", "gpu:1", retries=1))
        publish(rendered("block_0", "gpu:0"))
        publish(rendered("stem", "gpu:0", model="other@0"))
        publish(ShardDone(part=shard("block_0"), outcome=ShardOutcome(how="there")))
        publish(PartFailed(part=shard("block_0"), problem="its worker was lost", retries=2))
        run.outcome.rendered, run.outcome.found, run.outcome.failed = 96, 32, 32
        executions.keep(run, "failed")
    (found,) = executions_of(bucket, run_key(run))
    once = PhaseSeconds(waiting=4.0, tracing=8.0, rendering=30.0, writing=0.5)
    assert found.layers == {"stem": once, "block_0": once + once}
    assert (found.seconds, found.seconds.busy) == (once + once + once, 3 * 38.5)
    used = [(use.device, use.shards, use.sprites, use.seconds) for use in found.devices]
    assert used == [("gpu:0", 2, 64, 77.0), ("gpu:1", 1, 32, 38.5)]
    assert (found.end, found.retries, found.failed, found.problem) == ("failed", 3, 32, None)
    assert found.started <= found.ended < found.started + timedelta(minutes=5)


def test_a_run_that_had_nothing_to_do_leaves_no_execution(
    bucket: LocalBucket, run: ModelRun
) -> None:
    with kept_executions(bucket, "sprites", [run]) as executions:
        executions.keep(run, "complete")
    assert not list(filter(is_run_execution, (info.key for info in bucket.list())))


def test_a_stopped_run_tells_why(bucket: LocalBucket, run: ModelRun) -> None:
    with pytest.raises(KeyboardInterrupt), kept_executions(bucket, "sprites", [run]):
        publish(rendered("stem", "cpu"))
        raise KeyboardInterrupt
    (found,) = executions_of(bucket, run_key(run))
    assert (found.end, found.problem) == ("stopped", "interrupted")
    assert reason_of(TerminationSignal(signal.SIGTERM)) == "terminated"
    # It is no commit: the set has neither a run nor the views of one.
    assert list_sets(bucket)[0].runs == 0
    assert [problem.key for problem in verify(bucket).problems] == [
        f"sprites/{CARD.key}/{RECIPE.key}/recipe.json"
    ]


def test_executions_are_shown_with_their_run_and_copied_and_removed_with_their_set(
    bucket: LocalBucket, run: ModelRun, tmp_path: Path
) -> None:
    for layer in ("stem", "block_0"):
        put_shard(bucket, layer, tuple(range(32)))
    committed = finish(bucket, ("stem", "block_0"))
    bucket.put(run_key(run), bucket.get(committed))
    bucket.delete(committed)
    for end in ("failed", "complete"):
        executions = RunExecutions(bucket, "sprites")
        executions(rendered("stem", "cpu"))
        executions.keep(run, end)  # type: ignore[arg-type]
    shown = show(bucket, run.plan.selection_id)
    assert isinstance(shown, ShownRecord) and len(shown.executions) == 2
    said = text(shown)
    for part in (
        "2 executions with something to do:\nstarted | took | on | ",
        "layer | waiting | tracing | rendering | writing\nstem | 8.0 s | 16 s | 60 s | 1.0 s\n",
        "tracing is 20.8% of the work\n",
        "cpu of box (none) | 2 | 64 | 77 s | TensorFlow 2, diamond-cutter 0",
    ):
        assert part in said
    keys = sorted(info.key for info in bucket.list() if is_run_execution(info.key))
    assert text(show(bucket, keys[0])).startswith(f"execution of the run {run.plan.selection_id} ")
    of_set = show(bucket, f"{CARD.key}/{RECIPE.key}")
    assert isinstance(of_set, SetReport) and of_set.runs == (run_key(run),)
    assert verify(bucket).problems == () and collect(bucket).leftovers == ()
    target = LocalBucket(tmp_path / "copy")
    assert (
        copy(bucket, target).problems == () and len(list(executions_of(target, run_key(run)))) == 2
    )
    bucket.put(keys[0], b"{", mode="overwrite")
    assert [problem.key for problem in verify(bucket).problems] == [keys[0]]
    assert len(list(executions_of(bucket, run_key(run)))) == 1
    remove_folder(target, find_folder(target, f"{CARD.key}/{RECIPE.key}").key)
    assert not list(target.list("sprites/"))
