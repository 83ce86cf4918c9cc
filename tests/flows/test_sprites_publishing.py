"""In which order a model is published: its record is the last to be written, unless it failed."""

from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.flows import sprites_publishing
from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.flows.sprites_publishing import publish_model
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.records import RunRecord
from diamond_cutter.storage.sets.sprite_set import read_record
from tests.flows.made_up_set import put_bundle
from tests.flows.test_shared_work import committed, planned_run


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    found = LocalBucket(tmp_path)
    put_bundle(found)
    return found


def ended_run(bucket: LocalBucket) -> ModelRun:
    """Return a run of one layer whose shards have ended."""
    run = planned_run(bucket)
    run.layers_left.clear()
    return run


@pytest.mark.parametrize("failed", [(), (3, 7)], ids=["complete", "failed"])
def test_the_gallery_of_a_run_that_failed_can_read_what_has_failed(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch, failed: tuple[int, ...]
) -> None:
    run = ended_run(bucket)
    if failed:
        run.fail("stem", "stem channels 3-7: it failed", failed)
    seen = list[RunRecord | None]()

    def note(*arguments: object) -> None:
        seen.append(read_record(bucket, run.key, RunRecord))

    monkeypatch.setattr(sprites_publishing, "publish_gallery", note)
    monkeypatch.setattr(run, "publish_index", note)
    assert publish_model(bucket, run, None)
    record = read_record(bucket, run.key, RunRecord)
    assert record is not None and record.failed == ({"stem": failed} if failed else {})
    assert seen == [record if failed else None] * 2


@pytest.mark.parametrize(
    ("before", "changes", "adopted"),
    [
        (False, {}, True),
        (True, {}, False),
        (False, {"failures": ("stem channels 3-7: it failed",)}, False),
        (False, {"pictures": {}}, False),
    ],
    ids=["meanwhile", "before the run", "failed", "without its spritemap"],
)
def test_a_model_that_another_run_has_just_published_is_not_published_again(
    bucket: LocalBucket,
    monkeypatch: pytest.MonkeyPatch,
    before: bool,
    changes: dict[str, Any],
    adopted: bool,
) -> None:
    run, published = ended_run(bucket), list[object]()
    theirs = committed(run, **changes)
    bucket.put(run.key, theirs.to_bytes())
    if before:
        run = ended_run(bucket)
    monkeypatch.setattr(sprites_publishing, "publish_gallery", lambda *_: published.append(1))
    monkeypatch.setattr(run, "publish_index", lambda: None)
    assert publish_model(bucket, run, None)
    assert run.committed == (theirs if adopted else None) and bool(published) is not adopted
    assert not list(bucket.list("claims/"))
