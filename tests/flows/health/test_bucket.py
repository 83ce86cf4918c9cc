"""A bucket is tried with one object, of which nothing stays."""

import threading
from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.flows.health.bucket import check_bucket
from diamond_cutter.flows.health.findings import Check, Finding, run_checks
from diamond_cutter.storage import GcsBucket, LocalBucket, Unavailable, trial
from diamond_cutter.storage.retries import CallRetries
from tests.storage.gcs_server import GcsServer

STEPS = ["write", "read", "conditional write", "listing", "delete"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_RETRIES", CallRetries(0.5, 0.05, 0.1, silence_s=0.5))


def findings_of(url: object) -> list[Finding]:
    check = Check("bucket", 60, lambda stop: check_bucket(str(url), stop))
    return run_checks([check])


def states(found: list[Finding]) -> dict[str, str]:
    return {each.check: each.state for each in found}


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_a_folder_passes_and_is_left_as_it_was(tmp_path: Path) -> None:
    bucket = LocalBucket(tmp_path / "used")
    bucket.put("kept", b"x")
    bucket.delete("kept-not")
    (tmp_path / "empty").mkdir()
    before = files_in(tmp_path)
    for place in ("used", "empty", "new/one"):
        assert states(findings_of(tmp_path / place)) == {f"bucket: {step}": "ok" for step in STEPS}
    assert set(files_in(tmp_path)) <= {*before, tmp_path / "used" / ".staging" / "lock"}


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_is_not_a_bucket(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (found,) = findings_of(tmp_path / place)
    assert found.state == "failed"
    assert "expected the folder" in found.found
    assert found.found.endswith("Give the path of a folder.")


def test_a_folder_that_is_read_only_fails(tmp_path: Path, only_read: None) -> None:
    (found,) = findings_of(tmp_path)
    assert found == Finding(
        check="bucket",
        state="failed",
        found="Not allowed to keep objects here. Give another folder.",
    )


def test_a_used_folder_that_became_read_only_can_still_be_listed(
    tmp_path: Path, only_read: None
) -> None:
    (tmp_path / ".staging").mkdir()
    assert states(findings_of(tmp_path)) == {"bucket: write": "failed", "bucket: listing": "ok"}


def test_a_bucket_in_the_cloud_passes_and_tells_the_time(gcs_place: GcsServer) -> None:
    found = findings_of("gs://place/prefix")
    assert states(found) == {f"bucket: {step}": "ok" for step in STEPS} | {"clock": "ok"}
    assert not gcs_place.buckets["place"]


def test_a_bucket_that_may_only_be_listed(
    gcs_place: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs_place, "granted", set())
    found = findings_of("gs://place/prefix")
    assert states(found) == {"bucket: write": "failed", "bucket: listing": "ok"}
    assert "roles/storage.objectUser" in found[0].found


def test_a_service_that_does_not_answer(
    gcs_place: GcsServer, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", nowhere)
    (found,) = findings_of("gs://place/prefix")
    assert found.state == "failed"
    assert "does not respond" in found.found


def test_an_object_whose_reply_was_lost_is_deleted(
    gcs_place: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_put = GcsBucket.put

    def put(self: GcsBucket, *arguments: Any, **options: Any) -> None:
        real_put(self, *arguments, **options)
        raise Unavailable("the reply was lost")

    monkeypatch.setattr(GcsBucket, "put", put)
    assert states(findings_of("gs://place/prefix")) == {"bucket: write": "failed"}
    assert not gcs_place.buckets["place"]


def test_a_bucket_that_ignores_conditions_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_put = LocalBucket.put
    monkeypatch.setattr(
        LocalBucket, "put", lambda self, key, data, mode="create": real_put(
            self, key, data, mode="overwrite"
        )
    )  # fmt: skip
    found = findings_of(tmp_path)
    assert states(found)["bucket: conditional write"] == "failed"
    assert states(found)["bucket: delete"] == "ok"
    assert "could lose results" in found[2].found


def test_a_stopped_check_deletes_its_object(gcs_place: GcsServer) -> None:
    stop = threading.Event()
    check = check_bucket("gs://place/prefix", stop)
    assert next(check).check == "bucket: write"
    assert len(gcs_place.buckets["place"]) == 1
    check.close()
    assert not gcs_place.buckets["place"]
