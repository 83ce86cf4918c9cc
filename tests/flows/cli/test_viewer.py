"""A picture is opened from wherever it is."""

import webbrowser
from pathlib import Path

import pytest

from diamond_cutter.flows.cli.copies import copy
from diamond_cutter.flows.cli.viewer import open_key
from diamond_cutter.flows.errors import RequestError
from diamond_cutter.storage import Bucket, GcsBucket, LocalBucket
from diamond_cutter.storage.sets.layout import card_key
from tests.flows.made_up_set import RECIPE, finish, made_up_card, put_bundle, put_shard
from tests.storage.gcs_server import GcsServer

MODEL = made_up_card().key
SET = f"sprites/{MODEL}/{RECIPE.key}/"


@pytest.fixture(params=["local", "gs"])
def bucket(
    request: pytest.FixtureRequest,
    gcs_place: GcsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Bucket:
    from diamond_cutter.tasks.gallery.task import publish_gallery

    monkeypatch.setenv("DIAMOND_CUTTER_CACHE", str(tmp_path / "cache"))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    local = LocalBucket(tmp_path / "bucket #1")
    put_bundle(local)
    put_shard(local, "stem", tuple(range(32)))
    put_shard(local, "block_0", (3, 5))
    finish(local, ("stem",))
    publish_gallery.fn(local.url, made_up_card(), RECIPE.key)
    if request.param == "local":
        return local
    remote = GcsBucket("place", "team")
    copy(local, remote)
    return remote


@pytest.mark.parametrize(
    "given", ["stem", f"{SET}stem", f"{SET}stem/spritemap.all.json", "stem/spritemap.all.*.webp"]
)
def test_a_layers_spritemap(bucket: Bucket, given: str) -> None:
    file = next(
        info.key for info in bucket.list(f"{SET}stem/spritemap.all.") if info.key.endswith(".webp")
    )
    for _ in range(2):
        opened = open_key(
            bucket, file if "*" in given else f"{SET}{given}".replace(f"{SET}{SET}", SET)
        )
        assert (
            opened.key == file and opened.path.read_bytes() == bucket.get(file) and not opened.shown
        )


def test_a_shard(bucket: Bucket) -> None:
    opened = open_key(bucket, f"{SET}block_0/00003-00005.f129ab65.json")
    assert opened.path.read_bytes() == bucket.get(opened.key)
    assert open_key(bucket, "00003-00005.f129ab65.json") == opened
    assert open_key(bucket, "stem") == open_key(bucket, f"{SET}stem")


def test_a_gallery_is_opened_where_it_is(bucket: Bucket) -> None:
    if isinstance(bucket, LocalBucket):
        opened = open_key(bucket, SET)
        assert opened.path.name == "index.html" and opened.path.is_file()
    else:
        with pytest.raises(
            RequestError, match=f"diamond-cutter browse --bucket {bucket.url} to see it"
        ):
            open_key(bucket, SET)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (card_key(MODEL), "has no picture"),
        (f"{SET}block_0", "has no spritemap yet"),
        (f"{SET}nothing", "is not in"),
    ],
)
def test_what_is_no_picture(bucket: Bucket, given: str, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        open_key(bucket, given)


def test_where_there_is_a_screen_it_is_shown(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda url: asked.append(url) is None)
    opened = open_key(bucket, f"{SET}stem")
    assert opened.shown and asked == [opened.path.as_uri()]
