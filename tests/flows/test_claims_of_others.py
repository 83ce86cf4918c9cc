"""A run tells its own claims from those of others, and knows when to list them again."""

from pathlib import Path

import pytest

from diamond_cutter.flows.claims_of_others import ClaimsOfOthers
from diamond_cutter.flows.shared_sets import folder_of
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import claim_key, spritemap_record_key
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from tests.flows.test_shared_shards import Clock, clock, jobs_of, put_claim, wait

__all__ = ["clock"]

FIRST, SECOND, THIRD = jobs_of("a", shards=3)
FOLDER = folder_of(FIRST.record_key)


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path)


@pytest.fixture
def claims(bucket: LocalBucket, clock: Clock) -> ClaimsOfOthers:
    return ClaimsOfOthers(bucket, [FOLDER])


def test_a_claim_of_this_run_counts_only_after_its_task_has_ended(
    bucket: LocalBucket, claims: ClaimsOfOthers
) -> None:
    claims.note_begun(FIRST.record_key)
    put_claim(bucket, FIRST)
    claims.look()
    assert (claims.on_shards, claims.most, claims.most_on_shards) == (0, 0, 0)
    claims.note_ended(FIRST.record_key, seconds=0.0)  # it is another run's
    claims.look()
    assert (claims.on_shards, claims.most, claims.most_on_shards) == (1, 1, 1)


def test_claims_on_spritemaps_are_not_on_shards_and_those_elsewhere_do_not_count(
    bucket: LocalBucket, clock: Clock
) -> None:
    third = jobs_of("a", model="third@00000000")[0]
    folders = [FOLDER, folder_of(jobs_of("a", model="other@00000000")[0].record_key)]
    claims = ClaimsOfOthers(bucket, folders)
    put_claim(bucket, third)
    spritemap = spritemap_record_key("toy@00000000", RenderRecipe().key, "a", "all")
    bucket.put(claim_key(spritemap), b"{}")
    assert claims.look() == set() and (claims.most, claims.on_shards) == (1, 0)
    bucket.delete(claim_key(third.record_key))
    bucket.delete(claim_key(spritemap))
    assert claims.look() == {spritemap}


def test_the_highest_number_falls_some_looks_after_the_claims_of_killed_runs_are_lost(
    bucket: LocalBucket, clock: Clock
) -> None:
    for job in (FIRST, SECOND, THIRD):
        put_claim(bucket, job)
    claims, highest = ClaimsOfOthers(bucket, [FOLDER]), list[int]()
    for _ in range(12):
        wait(clock, 30.0)
        claims.look()
        highest.append(claims.most_on_shards)
    # They are lost at the fourth look, and the third is one of eight for some time.
    assert highest == [3] * 10 + [0] * 2
    assert claims.most == 3


def test_claims_are_due_before_one_can_come_and_go_and_late_if_one_may_have(
    claims: ClaimsOfOthers, clock: Clock
) -> None:
    claims.note_ended(FIRST.record_key, seconds=100.0)
    due = list[bool]()
    for seconds in (64.0, 2.0):
        wait(clock, seconds)
        due.append(claims.is_due())
    claims.look()
    assert due == [False, True] and claims.late_at < 0
    wait(clock, 81.0)
    claims.look()
    assert claims.late_at == claims.listed_at


def test_it_is_unknown_when_claims_are_due_if_the_times_of_shards_differ_much(
    claims: ClaimsOfOthers, clock: Clock
) -> None:
    for seconds in (100.0, 10.0):
        claims.note_ended(FIRST.record_key, seconds=seconds)
    wait(clock, 1000.0)
    assert claims.shard_s() == 0.0 and not claims.is_due()
