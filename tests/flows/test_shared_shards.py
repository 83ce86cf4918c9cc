"""Which shards a run renders, while others render, claim and lose some of them."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from diamond_cutter.flows import shared_shards
from diamond_cutter.flows.shared_shards import SUBMITTED_AT_MOST, SharedShards
from diamond_cutter.process_identity import ProcessIdentity
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.claims import LEASE_S, Claim
from diamond_cutter.storage.sets.layout import claim_key
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.shard import ShardJob
from diamond_cutter.tasks.rendering.subjects import Channels

ELSEWHERE = ProcessIdentity(host="another machine", pid=1, started="1")
Start = Callable[..., SharedShards]


class Clock:
    now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path)


@pytest.fixture
def found() -> list[ShardJob]:
    """Return the list that a run's finds are added to."""
    return []


@pytest.fixture
def start(bucket: LocalBucket, found: list[ShardJob], clock: Clock) -> Start:
    def start(jobs: list[ShardJob], seed: str = "a run", damaged: str = "") -> SharedShards:
        return SharedShards(bucket, jobs, seed, {damaged}, found.append)

    return start


def jobs_of(*layers: str, shards: int = 4) -> list[ShardJob]:
    return [
        ShardJob(
            bucket="unused",
            model="toy@00000000",
            subjects=Channels(layer=layer),
            numbers=tuple(range(32 * shard, 32 * shard + 32)),
            recipe=RenderRecipe(),
        )
        for layer in layers
        for shard in range(shards)
    ]


def put_claim(bucket: LocalBucket, job: ShardJob, process: ProcessIdentity = ELSEWHERE) -> None:
    content = Claim(id="theirs", process=process).to_bytes()
    bucket.put(claim_key(job.record_key), content, mode="overwrite")


def keys(jobs: Iterable[ShardJob | None]) -> list[str | None]:
    return [job and job.record_key for job in jobs]


def wait(clock: Clock, seconds: float = shared_shards.LOOKS_EVERY_S) -> None:
    clock.now += seconds


def test_runs_have_orders_of_their_own_layer_by_layer(start: Start) -> None:
    jobs = jobs_of(*"abcdef")
    orders = [keys(start(jobs, seed)) for seed in ("one", "one", "another")]
    assert orders[0] == orders[1] != orders[2] != keys(jobs)
    for order in orders:
        assert sorted(order) == sorted(keys(jobs))
        layers = [key.split("/")[3] for key in order if key]
        assert layers == sorted(layers, key=layers.index)


def test_what_has_landed_since_the_plan_is_found(
    start: Start, bucket: LocalBucket, found: list[ShardJob]
) -> None:
    damaged, landing, other = jobs_of("a", shards=3)
    bucket.put(damaged.record_key, b"a record that the plan does not trust")
    shards = start([damaged, landing, other], damaged=damaged.record_key)
    bucket.put(landing.record_key, b"{}")
    assert sorted(keys(shards)) == keys([damaged, other]) and found == [landing]


def test_a_shard_that_another_run_has_claimed_comes_last_and_again_once_its_claim_ends(
    start: Start, bucket: LocalBucket, clock: Clock
) -> None:
    claimed, *others = jobs_of("a")
    put_claim(bucket, claimed)
    shards = start([claimed, *others])
    assert sorted(keys(next(shards) for _ in others)) == keys(others)
    assert next(shards) is None
    bucket.delete(claim_key(claimed.record_key))
    assert next(shards) is None, "the run has not looked again yet"
    wait(clock)
    assert next(shards) == claimed
    shards.ended(claimed)
    with pytest.raises(StopIteration):
        next(shards)


def test_a_shard_that_its_task_found_claimed_is_not_submitted_again_at_once(
    start: Start, clock: Clock
) -> None:
    shards = start(jobs_of("a", shards=1))
    job = next(shards)
    assert job is not None
    for _ in range(2 * SUBMITTED_AT_MOST):
        shards.ended(job, claimed=True)
        assert next(shards) is None
        wait(clock)
        assert next(shards) == job


def test_a_claim_that_is_not_renewed_is_handed_on(
    start: Start, bucket: LocalBucket, clock: Clock
) -> None:
    (job,) = jobs_of("a", shards=1)
    put_claim(bucket, job)
    shards = start([job])
    waited = 0
    while next(shards) is None:
        wait(clock)
        waited += 1
    assert waited * shared_shards.LOOKS_EVERY_S > LEASE_S and shards.lost_claim(job) is not None


def test_the_claims_of_a_killed_run_of_this_machine_do_not_count(
    start: Start, bucket: LocalBucket
) -> None:
    (job,) = jobs_of("a", shards=1)
    gone = ProcessIdentity.of_this_process().model_copy(update={"started": "another time"})
    put_claim(bucket, job, gone)
    assert next(start([job])) == job


def test_a_task_whose_claim_is_lost_or_whose_shard_landed_long_ago_is_lost(
    start: Start, bucket: LocalBucket, clock: Clock
) -> None:
    lost, landed, alive = jobs_of("a", shards=3)
    shards = start([lost, landed, alive])
    assert len(list(shards)) == 3
    put_claim(bucket, lost)
    wait(clock)
    bucket.put(landed.record_key, b"{}")
    assert list(shards.lost()) == []
    for _ in range(10):
        wait(clock)
        put_claim(bucket, alive)
        gone = sorted(keys(shards.lost()))
    assert gone == keys([lost, landed])


def test_a_claim_that_a_task_will_take_over_does_not_make_the_task_lost(
    start: Start, bucket: LocalBucket, clock: Clock
) -> None:
    (job,) = jobs_of("a", shards=1)
    put_claim(bucket, job)
    shards = start([job])
    while next(shards) is None:
        wait(clock)
    for _ in range(20):
        wait(clock)
        assert not list(shards.lost()), "the task waits for a worker"


def test_a_shard_is_submitted_three_times_at_most(start: Start) -> None:
    shards = start(jobs_of("a", shards=1))
    for _ in range(SUBMITTED_AT_MOST - 1):
        job = next(shards)
        assert job is not None and shards.take_again(job)
    job = next(shards)
    assert job is not None and not shards.take_again(job)
    with pytest.raises(StopIteration):
        next(shards)
