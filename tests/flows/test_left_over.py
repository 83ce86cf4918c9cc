"""Runs that leave sprites to the next one: their budget is used up, or they only retry."""

import json
from pathlib import Path

import pytest

from diamond_cutter.flows import feature_steps, run_scope
from diamond_cutter.flows.left_over import BudgetSpent
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import is_run_record
from diamond_cutter.storage.sets.records import RunRecord
from diamond_cutter.tasks.photos.finding import find_images
from tests.flows import broken_rendering
from tests.flows.conftest import SMALL, Command
from tests.flows.explained_images import make_images

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

TWO_SHARDS = ("--layers", "two", *SMALL)


def run_records(bucket: Path) -> list[RunRecord]:
    found = LocalBucket(bucket)
    keys = [info.key for info in found.list("sprites/") if is_run_record(info.key)]
    return [RunRecord.from_bytes(found.get(key), key) for key in keys]


def test_after_its_budget_a_run_publishes_what_is_there_and_the_next_one_goes_on(
    wide_bucket: Path, at_once: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = wide_bucket
    three_shards = ("--layers", "one", "--channels", "0:72", *SMALL)
    command = ("sprites", "wide", "--bucket", str(bucket), *three_shards)

    def may_start() -> bool:
        """Tell whether no shard has ended: two of them have started by then."""
        return not list((bucket / "sprites").rglob("one/0*.json"))

    with monkeypatch.context() as patch:
        patch.setattr("diamond_cutter.flows.sprites_rendering.may_start", may_start)
        done = at_once(*command, "--budget-minutes", "50", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    rendered, left = summary["rendered"], summary["left"]
    assert rendered >= 8 <= left and rendered + left == 72 and summary["spritemaps"] == {}
    assert run_records(bucket) == [] and list(bucket.rglob("index.parquet"))
    again = json.loads(at_once(*command, "--json").stdout)
    assert (again["rendered"], again["reused"], again["left"]) == (left, rendered, 0)
    assert at_once("verify", "--bucket", str(bucket)).returncode == 0


def test_only_what_failed_is_retried(
    wide_bucket: Path, at_once: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = wide_bucket
    command = ("sprites", "wide", "--bucket", str(bucket), *TWO_SHARDS)
    done = at_once(*command, "--retry-failed")
    assert done.returncode == 0
    assert "nothing failed before, so nothing was retried\n40 sprites left; without" in done.stdout
    with monkeypatch.context() as patch:
        broken = broken_rendering.fail_on_second_shard
        patch.setattr("diamond_cutter.tasks.rendering.task.render_and_commit", broken)
        assert at_once(*command).returncode == 1
    (record,) = run_records(bucket)
    assert record.failed == {"two": tuple(range(32, 40))}
    # Something else is missing now, but it did not fail.
    (first,) = bucket.rglob("sprites/**/two/00000-00031.json")
    first.unlink()
    done = at_once(*command, "--retry-failed", "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["retried"], summary["rendered"], summary["left"]) == (
        0,
        8,
        8,
        32,
    )
    assert run_records(bucket) == [record]
    summary = json.loads(at_once(*command, "--json").stdout)
    assert (summary["rendered"], summary["reused"], summary["left"]) == (32, 8, 0)
    (record,) = run_records(bucket)
    assert (record.failed, record.failures) == ({}, ())


def test_a_budget_begins_with_the_flow_and_holds_for_its_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(run_scope.time, "monotonic", lambda: now[0])
    with run_scope.run_scope():
        assert run_scope.may_start()
        with run_scope.workplace("local", [""], budget_minutes=2):
            now[0] += 60
            with run_scope.workplace("local", [""]):
                assert run_scope.may_start()
                now[0] += 60
                assert not run_scope.may_start()
        assert run_scope.may_start()


def test_without_time_a_report_says_how_many_images_are_left(
    wide_bucket: Path, tmp_path: Path, at_once: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, images = wide_bucket, make_images(tmp_path / "images")
    monkeypatch.setattr("diamond_cutter.flows.attribution.may_start", lambda: False)
    command = ("attribute", "wide", str(images), "--bucket", str(bucket))
    done = at_once(*command, "--budget-minutes", "50", "--json")
    count = len(find_images(str(images)).images)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"left": count, "parts": "images"}
    done = at_once(*command)
    line = f"{count} images left; run the same command to continue\n"
    assert (done.returncode, done.stdout) == (0, line)
    assert not (bucket / "reports").exists()


def test_steps_of_a_comparison_that_have_no_time_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feature_steps, "may_start", lambda: False)
    with pytest.raises(BudgetSpent, match=r"^3 layers left; run the same command to continue$"):
        feature_steps.run_all("abc", "layers", None, lambda: 2)


def test_one_thing_is_left_in_the_singular() -> None:
    spent = BudgetSpent(1, "layers to score")
    assert str(spent) == "1 layer to score left; run the same command to continue"
