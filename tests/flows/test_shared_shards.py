"""Which shards a run renders, while others render, claim and lose some of them."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.flows.shared_sets import SHORTEST_WAIT_S, SharedSets, folder_of
from diamond_cutter.flows.shared_shards import SUBMITTED_AT_MOST, SharedShards
from diamond_cutter.process_identity import ProcessIdentity
from diamond_cutter.storage import LocalBucket, Unavailable
from diamond_cutter.storage.sets.claims import LEASE_S, Claim
from diamond_cutter.storage.sets.layout import claim_key, spritemap_record_key
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.shard import ShardJob
from diamond_cutter.tasks.rendering.subjects import Channels

ELSEWHERE = ProcessIdentity(host="another machine", pid=1, started="1")


class Work(Iterator[ShardJob | None]):
    """Shards, waited for as a run does that has nothing else to do."""

    def __init__(self, bucket: LocalBucket, shards: SharedShards, sets: SharedSets) -> None:
        self.bucket, self.shards, self.sets = bucket, shards, sets

    def __next__(self) -> ShardJob | None:
        job = self.shards.next()
        if job is None and self.shards.left:
            self.sets.wait_for(self.shards.left)
            self.sets.check_owners()
            return self.shards.next()
        if job is None:
            raise StopIteration
        return job


Start = Callable[..., Work]


class Clock:
    """A clock that a test sets, and that moves a little whenever it is read, as all clocks do."""

    now = 0.0

    def read(self) -> float:
        self.now += 1e-6
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock.read)
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
    def start(jobs: list[ShardJob], seed: str = "a run", damaged: str = "", **options: Any) -> Work:
        folders = {folder_of(job.record_key) for job in jobs}
        sets = SharedSets(bucket, folders, seed=seed, damaged={damaged})
        return Work(bucket, SharedShards(sets, jobs, seed, found.append, **options), sets)

    return start


def jobs_of(*layers: str, shards: int = 4, model: str = "toy@00000000") -> list[ShardJob]:
    return [
        ShardJob(
            bucket="unused",
            model=model,
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


def wait(clock: Clock, seconds: float = 15.0) -> None:
    clock.now += seconds


def listings_of(bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list that each prefix is added to that is listed from now on."""
    listed, list_really = list[str](), bucket.list

    def list_noted(prefix: str = "") -> Iterator[Any]:
        listed.append(prefix)
        return list_really(prefix)

    monkeypatch.setattr(bucket, "list", list_noted)
    return listed


def test_runs_have_orders_of_their_own_layer_by_layer(start: Start) -> None:
    jobs = jobs_of(*"abcdef")
    orders = [keys(start(jobs, seed)) for seed in ("one", "one", "another")]
    assert orders[0] == orders[1] != orders[2] != keys(jobs)
    for order in orders:
        assert sorted(order) == sorted(keys(jobs))
        layers = [key.split("/")[3] for key in order if key]
        assert layers == sorted(layers, key=layers.index)


def test_a_device_is_told_its_next_shard_if_that_is_of_another_layer(start: Start) -> None:
    jobs = jobs_of("a", "b", "c", "d", shards=2)
    order = [job for job in start(jobs) if job is not None]
    work = start(jobs)
    assert next(work) == order[0]
    likely = [work.shards.likely_after(order[0], devices) for devices in range(5)]
    assert likely == [None, None, *order[2:5]]
    order = [job for job in start(jobs[:4]) if job is not None]
    work = start(jobs[:4])
    assert next(work) == order[0]
    assert work.shards.likely_after(order[0], 4) is None, "nothing is left there"


def test_a_device_is_told_nothing_if_there_are_many_more_devices_than_shards_of_a_layer(
    start: Start,
) -> None:
    jobs = jobs_of(*"abcdefghijklmnopqrst", shards=1)
    order = [job for job in start(jobs) if job is not None]
    work = start(jobs)
    assert next(work) == order[0]
    likely = [work.shards.likely_after(order[0], devices) for devices in range(1, 20)]
    assert likely == [*order[1:3], *[None] * 17]


@pytest.mark.parametrize("claimed", [(), (1,), (2, 3, 4, 5)], ids=["no", "next", "scarce"])
def test_a_device_is_not_told_a_next_shard_that_depends_on_other_runs(
    start: Start, bucket: LocalBucket, claimed: tuple[int, ...]
) -> None:
    jobs = jobs_of(*"abcdefghijklmnopqrst", shards=1)
    order = [job for job in start(jobs) if job is not None]
    for place in claimed:
        put_claim(bucket, order[place])
    work = start(jobs)
    assert next(work) == order[0] and work.shards.are_scarce is (len(claimed) > 1)
    assert work.shards.likely_after(order[0], 1) == (None if claimed else order[1])


def test_what_has_landed_since_the_plan_is_found(
    start: Start, bucket: LocalBucket, found: list[ShardJob]
) -> None:
    damaged, landing, other = jobs_of("a", shards=3)
    bucket.put(damaged.record_key, b"a record that the plan does not trust")
    work = start([damaged, landing, other], damaged=damaged.record_key)
    bucket.put(landing.record_key, b"{}")
    work.sets.look(folder_of(landing.record_key))
    assert sorted(keys(work)) == keys([damaged, other]) and found == [landing]


def test_a_shard_that_another_run_has_claimed_comes_last_and_again_once_its_claim_ends(
    start: Start, bucket: LocalBucket, clock: Clock
) -> None:
    claimed, *others = jobs_of("a")
    put_claim(bucket, claimed)
    work = start([claimed, *others])
    assert sorted(keys(next(work) for _ in others)) == keys(others)
    assert next(work) is None
    bucket.delete(claim_key(claimed.record_key))
    assert next(work) is None, "the run has not looked again yet"
    wait(clock, SHORTEST_WAIT_S)
    assert next(work) == claimed
    work.shards.ended(claimed, how="rendered")
    with pytest.raises(StopIteration):
        next(work)


def test_a_run_that_meets_another_one_looks_once_and_finds_all_that_has_landed(
    start: Start, bucket: LocalBucket, found: list[ShardJob]
) -> None:
    jobs = jobs_of("a", "b")
    work = start(jobs)
    first = next(work)
    assert first is not None
    landed = [job for job in jobs if job != first][:6]
    for job in (first, *landed):
        bucket.put(job.record_key, b"{}")
    work.shards.ended(first, how="there")
    assert next(work) not in landed
    assert sorted(keys(found)) == keys(landed)


def test_a_shard_that_its_task_found_claimed_is_taken_again_once_nobody_is_at_work_on_it(
    start: Start, bucket: LocalBucket, clock: Clock
) -> None:
    work = start(jobs_of("a", shards=1))
    (job,) = jobs_of("a", shards=1)
    for _ in range(2 * SUBMITTED_AT_MOST):
        assert next(work) == job
        put_claim(bucket, job)
        work.shards.ended(job, how="claimed")
        assert next(work) is None
        bucket.delete(claim_key(job.record_key))
        wait(clock)


def test_a_claim_that_is_not_renewed_is_handed_on(
    start: Start, bucket: LocalBucket, clock: Clock
) -> None:
    (job,) = jobs_of("a", shards=1)
    put_claim(bucket, job)
    work = start([job])
    while next(work) is None:
        wait(clock)
    assert clock.now > LEASE_S and work.shards.lost_claim(job) is not None


@pytest.mark.parametrize(("claims", "looks"), [(1, (40, 80)), (150, (3, 8))])
def test_the_more_runs_are_live_the_less_often_a_waiting_run_looks(
    start: Start,
    bucket: LocalBucket,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    claims: int,
    looks: tuple[int, int],
) -> None:
    jobs = jobs_of("a", shards=claims)
    for job in jobs:
        put_claim(bucket, job)
    work = start(jobs[:1])
    listed = listings_of(bucket, monkeypatch)
    for _ in range(120):
        wait(clock, 1.0)
        for job in jobs:
            if round(clock.now) % 40 == 0:
                put_claim(bucket, job)
        assert next(work) is None
    assert looks[0] <= len(listed) <= looks[1]
    # All the same, the shard is taken over when its claim is not renewed any more.
    stopped = clock.now
    while next(work) is None:
        wait(clock, 1.0)
    assert LEASE_S - 40 < clock.now - stopped < LEASE_S + 85


def test_if_shards_are_scarce_a_run_that_goes_on_elsewhere_finds_what_has_landed_there(
    start: Start, bucket: LocalBucket, clock: Clock, found: list[ShardJob]
) -> None:
    jobs = jobs_of("a", shards=8)
    work = start(jobs)
    first = next(work)
    assert first is not None
    order = [job for job in jobs if job != first]
    after = jobs[(jobs.index(first) + 1) % len(jobs)]
    put_claim(bucket, after)
    others = [job for job in order if job != after]
    for job in others[:-1]:
        bucket.put(job.record_key, b"{}")
    wait(clock, 40.0)
    work.shards.ended(first, how="rendered")
    assert next(work) == others[-1] and sorted(keys(found)) == keys(others[:-1])


def test_a_run_that_has_watched_the_claims_of_others_needs_no_records(
    start: Start, bucket: LocalBucket, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others render all shards but three, four at a time, each in almost 30 s."""
    jobs = jobs_of("a", shards=15)
    work = start(jobs)
    first, second = next(work), next(work)
    assert first is not None and second is not None
    work.shards.ended(first, how="rendered", seconds=30.0)
    *others, last = [job for job in jobs if job not in (first, second)]
    listed = listings_of(bucket, monkeypatch)
    for now in range(90):
        for number, job in enumerate(others):
            begin = 30 * (number // 4) + number % 4
            if now == begin:
                put_claim(bucket, job)
            if now == begin + 26:
                bucket.put(job.record_key, b"{}")
                bucket.delete(claim_key(job.record_key))
        wait(clock, 1.0)
        work.shards.watch_others()
    work.shards.ended(second, how="rendered", seconds=90.0)
    assert next(work) == last
    assert {prefix.split("/")[0] for prefix in listed} == {"claims"} and 4 <= len(listed) <= 6


def test_a_run_that_is_alone_looks_for_others_once_at_its_start(
    start: Start, bucket: LocalBucket, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = start(jobs_of("a"))
    listed = listings_of(bucket, monkeypatch)
    under_way = [next(work) for _ in range(4)]
    for job in under_way:
        assert job is not None
        put_claim(bucket, job)
        for _ in range(100):
            wait(clock, 1.0)
            work.shards.watch_others()
        bucket.put(job.record_key, b"{}")
        bucket.delete(claim_key(job.record_key))
        work.shards.ended(job, how="rendered", seconds=100.0)
    assert len(listed) == 0, "nothing is left to choose"
    work = start([*jobs_of("a"), *jobs_of("b")])
    first = next(work)
    assert first is not None
    for _ in range(300):
        wait(clock, 1.0)
        work.shards.watch_others()
    assert len(listed) == 2, "one listing is that of the start"


@pytest.mark.parametrize(
    ("second", "others", "listings"),
    [("toy@00000000", 40, 0), ("other@00000000", 40, 3), ("other@00000000", 20, 0)],
    ids=["one set", "two sets", "few others"],
)
def test_if_shards_abound_claims_are_only_watched_if_many_runs_work_on_several_sets(
    start: Start,
    bucket: LocalBucket,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    second: str,
    others: int,
    listings: int,
) -> None:
    jobs = [*jobs_of("a", shards=300), *jobs_of("b", shards=300, model=second)]
    for claimed in jobs[:others]:
        put_claim(bucket, claimed)
    work = start(jobs)
    first, under_way = next(work), next(work)
    assert first is not None and under_way is not None and not work.shards.are_scarce
    wait(clock, 30.0)
    work.shards.watch_others()
    work.shards.ended(first, how="rendered", seconds=30.0)
    listed = listings_of(bucket, monkeypatch)
    for _ in range(70):
        wait(clock, 1.0)
        work.shards.watch_others()
    assert len(listed) == listings


def test_the_claims_of_a_run_itself_do_not_make_its_shards_scarce(
    start: Start, bucket: LocalBucket, clock: Clock
) -> None:
    jobs = [*jobs_of("a", shards=9), *jobs_of("a", shards=9, model="other@00000000")]
    work = start(jobs)
    spritemap = spritemap_record_key("toy@00000000", jobs[0].recipe.key, "a", "all")
    bucket.put(claim_key(spritemap), b"{}")
    under_way = list[ShardJob]()
    while work.shards.left:
        while len(under_way) < 4 and work.shards.left:
            job = next(work)
            assert job is not None
            put_claim(bucket, job)
            under_way.append(job)
        for _ in range(29):
            wait(clock, 1.0)
            work.shards.watch_others()
        ended = under_way.pop(0)
        bucket.put(ended.record_key, b"{}")
        bucket.delete(claim_key(ended.record_key))
        work.shards.ended(ended, how="rendered", seconds=29.0)
        assert not work.shards.are_scarce
    assert work.sets.looks > 5


def test_shards_that_a_run_has_rendered_itself_do_not_make_the_others_scarce(
    start: Start, bucket: LocalBucket, clock: Clock
) -> None:
    ours, theirs = jobs_of("a", shards=200), jobs_of("b", shards=1)[0]
    put_claim(bucket, theirs)
    work = start(ours)
    under_way = list[ShardJob]()
    for _ in range(150):
        job = next(work)
        assert job is not None
        put_claim(bucket, job)
        under_way.append(job)
        wait(clock, 40.0)
        for ended in under_way[:-1]:
            bucket.put(ended.record_key, b"{}")
            bucket.delete(claim_key(ended.record_key))
            work.shards.ended(ended, how="rendered", seconds=40.0)
            under_way.remove(ended)
    assert len(work.shards.left) == 50 and not work.shards.are_scarce


def test_the_claim_of_a_lost_task_of_a_run_does_not_make_its_shards_scarce(
    start: Start, bucket: LocalBucket
) -> None:
    work = start(jobs_of("a", shards=5))
    job = next(work)
    assert job is not None
    put_claim(bucket, job)
    assert work.shards.take_again(job)
    work.sets.look(folder_of(job.record_key))
    assert not work.shards.are_scarce


def test_a_task_of_a_run_that_is_alone_is_lost_soon_after_its_claim(
    start: Start, bucket: LocalBucket, clock: Clock
) -> None:
    work = start(jobs_of("a", shards=1))
    job = next(work)
    assert job is not None
    put_claim(bucket, job)
    lost = list[ShardJob]()
    while not lost and clock.now < 200.0:
        wait(clock, 1.0)
        lost += work.shards.lost()
    assert lost == [job] and LEASE_S < clock.now <= LEASE_S + 45.0


def test_shards_under_way_are_not_free(start: Start, bucket: LocalBucket) -> None:
    claimed, *others = jobs_of("a", shards=15)
    put_claim(bucket, claimed)
    work = start([claimed, *others])
    scarce = [work.shards.are_scarce]
    while not work.shards.are_scarce:
        assert next(work) is not None
        scarce.append(work.shards.are_scarce)
    assert scarce.index(True) == 7, "then 7 of the 15 are free, for one claim"


def test_claims_on_sets_that_a_run_does_not_work_on_do_not_make_its_shards_scarce(
    start: Start, bucket: LocalBucket
) -> None:
    ours = [*jobs_of("a", shards=20), *jobs_of("a", shards=20, model="other@00000000")]
    for job in jobs_of("b", shards=40, model="third@00000000"):
        put_claim(bucket, job)
    assert not start(ours).shards.are_scarce


def test_a_run_that_watches_claims_still_looks_for_records_while_it_waits(
    start: Start, bucket: LocalBucket, clock: Clock
) -> None:
    """Another run ends in the middle of its shard, while a task of this run goes on."""
    others = jobs_of("a", shards=160)
    for job in others:
        put_claim(bucket, job)
    work = start([*jobs_of("b", shards=3), *others])
    quick, slow = next(work), next(work)
    assert quick is not None and slow is not None
    (theirs,) = [job for job in jobs_of("b", shards=3) if job not in (quick, slow)]
    put_claim(bucket, theirs)
    work.shards.ended(quick, how="rendered", seconds=15.0)
    wait(clock, 15.0)
    assert next(work) is None
    bucket.delete(claim_key(theirs.record_key))
    waited = 0
    while next(work) is None:
        wait(clock, 1.0)
        work.shards.watch_others()
        waited += 1
        assert waited < 90


def test_a_run_that_waits_beside_hundreds_of_others_lists_the_records_rarely(
    start: Start, bucket: LocalBucket, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = jobs_of("a", shards=12)
    for job in others:
        put_claim(bucket, job)
    work = start(others)
    work.sets.claims.most = 900
    listed = listings_of(bucket, monkeypatch)
    for job in others[:-1]:
        bucket.put(job.record_key, b"{}")
        bucket.delete(claim_key(job.record_key))
        wait(clock, 10.0)
        assert next(work) is None
    assert listed.count(folder_of(others[0].record_key)) == 1 < len(listed) - 1


def test_an_outage_while_claims_are_watched_ends_nothing(
    start: Start, bucket: LocalBucket, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(prefix: str = "") -> Iterator[Any]:
        raise Unavailable("no response")

    claimed, *others = jobs_of("a")
    put_claim(bucket, claimed)
    work = start([claimed, *others])
    assert next(work) in others
    monkeypatch.setattr(bucket, "list", cut_off)
    for _ in range(60):
        wait(clock, 1.0)
        work.shards.watch_others()
    assert not work.sets.is_free(claimed.record_key), "the claim is forgotten"


def test_claims_are_not_watched_if_their_length_cannot_be_told(
    start: Start, bucket: LocalBucket, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_of("a", shards=6)
    for job in jobs[:3]:
        put_claim(bucket, job)
    work = start(jobs)
    for seconds in (3.0, 300.0):
        job = next(work)
        assert job is not None
        work.shards.ended(job, how="rendered", seconds=seconds)
    assert next(work) is not None and work.shards.are_scarce
    listed = listings_of(bucket, monkeypatch)
    for _ in range(300):
        wait(clock, 1.0)
        work.shards.watch_others()
    assert listed == []


def test_of_equal_shards_one_is_rendered_and_the_others_are_copied_from_it(
    start: Start,
) -> None:
    def drawing_of(job: ShardJob) -> tuple[int, ...]:
        return job.numbers

    first, copy = (jobs_of(layer, shards=1)[0] for layer in "ab")
    for how in ("rendered", "there"):
        work = start([first, copy], drawing_of=drawing_of)
        assert next(work) == first and not work.shards.left, "the copy waits"
        work.shards.ended(first, how=how)
        assert work.shards.origin_of(first) is None
        assert next(work) == copy and work.shards.origin_of(copy) == first.record_key
    work.shards.ended(copy, how="gone")
    assert next(work) == copy and work.shards.origin_of(copy) is None


def test_a_device_is_not_told_a_shard_that_is_copied(start: Start) -> None:
    jobs = [jobs_of(layer, shards=2)[number] for layer, number in [("a", 0), ("b", 1), ("c", 0)]]
    work = start(jobs, drawing_of=lambda job: job.numbers)
    first, second = next(work), next(work)
    assert first is not None and second is not None
    work.shards.ended(jobs[0], how="rendered")
    assert work.shards.left == {jobs[2].record_key}
    assert work.shards.likely_after(second, 1) is None


def test_if_an_equal_shard_fails_the_next_one_is_rendered(start: Start) -> None:
    equal = [jobs_of(layer, shards=1)[0] for layer in "abc"]
    work = start(equal, drawing_of=lambda job: job.numbers)
    for number, job in enumerate(equal[:2]):
        assert next(work) == job and work.shards.origin_of(job) is None and not work.shards.left
        work.shards.ended(job, how="rendered" if number else "failed")
    assert next(work) == equal[2] and work.shards.origin_of(equal[2]) == equal[1].record_key


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
    work = start([lost, landed, alive])
    shards = work.shards
    assert len(list(work)) == 3
    put_claim(bucket, lost)
    wait(clock)
    bucket.put(landed.record_key, b"{}")
    assert list(shards.lost()) == []
    gone = set[str | None]()
    for _ in range(20):
        wait(clock)
        put_claim(bucket, alive)
        gone |= set(keys(shards.lost()))
    assert gone == set(keys([lost, landed]))


def test_a_claim_that_a_task_will_take_over_does_not_make_the_task_lost(
    start: Start, bucket: LocalBucket, clock: Clock
) -> None:
    (job,) = jobs_of("a", shards=1)
    put_claim(bucket, job)
    work = start([job])
    while next(work) is None:
        wait(clock)
    for _ in range(20):
        wait(clock)
        assert not list(work.shards.lost()), "the task waits for a worker"


def test_a_shard_is_submitted_three_times_at_most(start: Start) -> None:
    work = start(jobs_of("a", shards=1))
    for _ in range(SUBMITTED_AT_MOST - 1):
        job = next(work)
        assert job is not None and work.shards.take_again(job)
    job = next(work)
    assert job is not None and not work.shards.take_again(job)
    with pytest.raises(StopIteration):
        next(work)
