"""A claim keeps other processes away from the work on a record, until it ends or is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from diamond_cutter.process_identity import ProcessIdentity
from diamond_cutter.storage import LocalBucket, Token
from diamond_cutter.storage.sets import claims
from diamond_cutter.storage.sets.claims import Claim, ClaimWatch, claim
from diamond_cutter.storage.sets.layout import claim_key

FOLDER = "sprites/toy@00000000/fast@00000000/"
RECORD = f"{FOLDER}stem/00000-00031.json"
ELSEWHERE = ProcessIdentity(host="another machine", pid=1, started="1")


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path)


def put_claim(bucket: LocalBucket, process: ProcessIdentity = ELSEWHERE) -> Token:
    content = Claim(id="theirs", process=process).to_bytes()
    return bucket.put(claim_key(RECORD), content, mode="overwrite").token


def gone_process() -> ProcessIdentity:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return ProcessIdentity.of_this_process().model_copy(update={"pid": process.pid})


def test_only_one_claims_a_record_and_its_claim_goes_with_the_work(bucket: LocalBucket) -> None:
    with claim(bucket, RECORD) as first:
        with claim(bucket, RECORD) as second:
            assert first and not second
        assert bucket.stat(claim_key(RECORD)) is not None
    assert list(bucket.list()) == []


def test_a_claim_goes_even_if_the_work_fails(bucket: LocalBucket) -> None:
    with pytest.raises(RuntimeError), claim(bucket, RECORD):
        raise RuntimeError
    assert list(bucket.list()) == []


def test_the_owner_renews_its_claim(bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "RENEWED_EVERY_S", 0.01)
    tokens = set[Token | None]()
    with claim(bucket, RECORD):
        while len(tokens) < 4:
            present = bucket.stat(claim_key(RECORD))
            tokens.add(present and present.token)
    assert None not in tokens and list(bucket.list()) == []


def test_a_lost_claim_is_taken_over_and_its_owner_leaves_the_new_one_alone(
    bucket: LocalBucket,
) -> None:
    with claim(bucket, RECORD):
        present = bucket.stat(claim_key(RECORD))
        assert present is not None
        with claim(bucket, RECORD, present.token) as is_ours:
            assert is_ours
            taken = bucket.stat(claim_key(RECORD))
        assert taken is not None and taken.token != present.token
        put_claim(bucket)
    assert bucket.stat(claim_key(RECORD)) is not None


def test_a_renewed_claim_is_not_taken_over(bucket: LocalBucket) -> None:
    seen = put_claim(bucket)
    put_claim(bucket)
    with claim(bucket, RECORD, seen) as is_ours:
        assert not is_ours


def test_the_claim_of_a_process_of_this_machine_that_is_gone_is_taken_over(
    bucket: LocalBucket,
) -> None:
    put_claim(bucket, gone_process())
    watch = ClaimWatch(bucket, FOLDER)
    assert watch.check_owners() and not watch.is_claimed(RECORD)
    with claim(bucket, RECORD) as is_ours:
        assert is_ours


def test_few_owners_are_checked_between_two_looks_and_none_of_a_renewed_claim(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"{FOLDER}stem/{number:05}-{number:05}.json" for number in range(40)]
    for key in keys:
        bucket.put(claim_key(key), Claim(id="theirs", process=gone_process()).to_bytes())
    watch = ClaimWatch(bucket, FOLDER)
    bucket.put(claim_key(keys[0]), b"renewed", mode="overwrite")
    found = []
    for _ in range(4):
        watch.look()
        watch.check_owners()
        assert not watch.check_owners()
        found.append(sum(not watch.is_claimed(key) for key in keys))
    assert found == [16, 32, 39, 39]


def test_the_claims_of_gone_processes_are_deleted_and_others_are_kept(bucket: LocalBucket) -> None:
    put_claim(bucket, gone_process())
    kept = claim_key(f"{FOLDER}stem/00032-00063.json")
    bucket.put(kept, Claim(id="theirs", process=ELSEWHERE).to_bytes())
    ClaimWatch(bucket, FOLDER).delete_lost()
    assert [info.key for info in bucket.list()] == [kept]


def test_an_unreadable_claim_is_respected_until_its_lease_ends(bucket: LocalBucket) -> None:
    bucket.put(claim_key(RECORD), b"{")
    with claim(bucket, RECORD) as is_ours:
        assert not is_ours


def test_a_claim_is_lost_when_it_was_not_renewed_for_the_lease(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    put_claim(bucket)
    watch = ClaimWatch(bucket, FOLDER)

    def look_at(*times: float) -> None:
        for clock[0] in times:
            watch.look()

    look_at(15, 30, 45)
    assert watch.is_claimed(RECORD)
    token = put_claim(bucket)
    # While nobody can look, nobody can renew either: a long break counts as a short one.
    look_at(60, 1000)
    assert watch.is_claimed(RECORD) and watch.lost_claim(RECORD) is None
    look_at(1030, 1060, 1090, 1120)
    assert watch.lost_claim(RECORD) == token and not watch.is_claimed(RECORD)


def test_a_claim_that_has_ended_is_not_seen(bucket: LocalBucket) -> None:
    put_claim(bucket)
    watch = ClaimWatch(bucket, FOLDER)
    bucket.delete(claim_key(RECORD))
    assert watch.claimed_in(FOLDER) and len(watch) == 1
    assert watch.look() == {RECORD}
    assert not watch.claimed_in(FOLDER) and len(watch) == 0
    assert not watch.is_claimed(RECORD) and watch.lost_claim(RECORD) is None
