"""The first sprites of a run can be seen long before its end, and leave nothing behind."""

from pathlib import Path
from typing import cast

import pytest

from diamond_cutter.flows.artifacts import RunArtifacts
from diamond_cutter.flows.early_galleries import EarlyGalleries
from diamond_cutter.flows.events.stream import Event, GalleryShown, heard_by
from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.flows.planning import plan_run
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.storage import Bucket, LocalBucket, Unavailable
from diamond_cutter.storage.sets.layout import gallery_key
from diamond_cutter.tasks.gallery.pages import page_data
from tests.flows.made_up_set import RECIPE, finish, made_up_card, put_bundle, put_shard
from tests.tasks.gallery.made_up_gallery import MODEL, publish

CARD = made_up_card()
PAGE = gallery_key(MODEL, RECIPE.key)


class Clock:
    now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    return clock


def run_of(bucket: Bucket) -> ModelRun:
    request = SpritesRequest(model=CARD.name, bucket=bucket.url, recipe=RECIPE, layers=("stem",))
    plan = plan_run(bucket, CARD, request, adopting=False)
    return ModelRun(request, plan, {}, cast(RunArtifacts, None))


def files_of(bucket: Bucket) -> dict[str, bytes]:
    """Return all files of the set, without what a publishing of its own writes."""
    return {info.key: bucket.get(info.key) for info in bucket.list("sprites/")}


def test_an_early_gallery_shows_the_layer_in_progress_and_leaves_nothing_behind(
    tmp_path: Path, clock: Clock
) -> None:
    early, undisturbed = (LocalBucket(tmp_path / name) for name in ("early", "undisturbed"))
    for bucket in (early, undisturbed):
        put_bundle(bucket)
        put_shard(bucket, "stem", (0, 1))
    galleries, run, events = EarlyGalleries(early), run_of(early), list[Event]()
    with heard_by(events.append):
        galleries.shard_done(run)
        assert events == [] and early.stat(PAGE) is None  # a short run publishes at its end only
        clock.now = 12.0
        galleries.shard_done(run)
    (layer,) = page_data(early.get(PAGE))["layers"]
    assert (layer["rendered"], layer["numbers"], layer["inline"]["channels"]) == (2, "", [0, 1])
    (event,) = events
    assert isinstance(event, GalleryShown) and event.key == PAGE
    for bucket in (early, undisturbed):
        put_shard(bucket, "stem", tuple(range(2, 32)))
        finish(bucket, ["stem"])
        publish(bucket)
    ends = [files_of(bucket) for bucket in (early, undisturbed)]
    for end in ends:
        # The records of runs hold times.
        for key in [key for key in end if "/runs/" in key]:
            end.pop(key)
    assert ends[0] == ends[1]


def test_galleries_become_rarer_and_never_end_a_run(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = LocalBucket(tmp_path)
    put_bundle(bucket)
    published: list[float] = []

    def fail(*_: object, **__: object) -> str:
        published.append(clock.now)
        raise Unavailable("The bucket does not answer.")

    monkeypatch.setattr("diamond_cutter.flows.early_galleries.put_gallery", fail)
    galleries, run = EarlyGalleries(bucket), run_of(bucket)
    for second in range(0, 1500, 5):
        clock.now = float(second)
        galleries.shard_done(run)
    assert published == [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 620.0, 920.0, 1220.0]
