"""A gallery is published whole, again only where something has changed, and no reader of a set
takes it for anything else.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from diamond_cutter.flows.cli.listing import list_sets
from diamond_cutter.flows.cli.records import SetReport, show
from diamond_cutter.flows.verification import verify
from diamond_cutter.storage import Bucket, GcsBucket, LocalBucket
from diamond_cutter.storage.sets.layout import (
    gallery_key,
    is_gallery_file,
    is_view,
    is_view_record,
    set_folder,
)
from diamond_cutter.tasks.gallery import stored
from diamond_cutter.tasks.gathering.task import publish_index
from tests.flows.damages import DAMAGES
from tests.flows.made_up_set import RECIPE, finish, made_up_card, put_bundle, put_shard
from tests.storage.gcs_server import GcsServer
from tests.tasks.gallery.made_up_gallery import MODEL, publish, put_layer, scores


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def gallery_files(bucket: LocalBucket) -> dict[str, object]:
    return {
        info.key: info.token
        for info in bucket.list("sprites/")
        if is_gallery_file(info.key) or info.key.endswith("index.html")
    }


def published_set(bucket: Bucket) -> dict[str, bytes]:
    """Publish a set of a layer, and return all that is published of it."""
    put_bundle(bucket)
    put_shard(bucket, "stem", (1, 2))
    finish(bucket, ["stem"])
    publish(bucket)
    return {
        info.key: bucket.get(info.key) for info in bucket.list("sprites/") if is_published(info.key)
    }


def is_published(key: str) -> bool:
    return is_gallery_file(key) or is_view(key) or is_view_record(key)


def put(bucket: Bucket, key: str, data: bytes | None) -> None:
    if data is None:
        bucket.delete(key)
    else:
        bucket.put(key, data, mode="overwrite")


def verified(bucket: Bucket) -> tuple[list[str], tuple[str, ...]]:
    """Return the keys of the files that are damaged, and of those that nobody can be sure of."""
    found = verify(bucket)
    return [problem.key for problem in found.problems], found.unchecked


def test_all_that_the_page_names_is_there(bucket: LocalBucket) -> None:
    put_layer(bucket, "stem", [scores(0), scores(1)])
    put_layer(bucket, "block_0", [scores(0)])
    key = publish(bucket)
    assert key == f"sprites/{MODEL}/{RECIPE.key}/index.html"
    page = bucket.get(key).decode()
    files = [
        name.removeprefix(key.removesuffix("index.html"))
        for name in gallery_files(bucket)
        if name != key
    ]
    assert (
        len(files) == 11
    )  # script, style, icon; words and their record; numbers, a preview and their record of a layer
    assert all(file in page for file in files if not file.endswith(".json"))


def test_the_same_again_writes_nothing(bucket: LocalBucket) -> None:
    put_layer(bucket, "stem", [scores(0), scores(1)])
    publish(bucket)
    before = gallery_files(bucket)
    publish(bucket)
    assert gallery_files(bucket) == before


def test_a_new_layer_leaves_the_files_of_the_others_alone(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_layer(bucket, "stem", [scores(0), scores(1)])
    key = publish(bucket)
    before, made = gallery_files(bucket), list[str]()
    layer_files = stored.layer_files
    monkeypatch.setattr(
        stored, "layer_files", lambda *of: (made.append(of[3].layer), layer_files(*of))[1]
    )
    put_layer(bucket, "block_0", [scores(0)])
    publish(bucket)
    after = gallery_files(bucket)
    assert {name for name in before if after[name] != before[name]} == {key}
    # Three of the layer, and the words of both layers with their record.
    assert len(after) == len(before) + 5 and made == ["block_0"]


def test_a_layer_whose_spritemap_is_damaged_is_left_out_until_it_is_mended(
    bucket: LocalBucket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put_layer(bucket, "stem", [scores(0)])
    record = put_layer(bucket, "block_0", [scores(0), scores(1)])
    file = tmp_path / "bucket" / record.file.key
    sound = file.read_bytes()
    file.write_bytes(sound[:-1] + b"x")
    assert b"block_0/" not in bucket.get(publish(bucket))
    assert "the gallery skips block_0: " in caplog.text
    file.write_bytes(sound)
    assert b"block_0" in bucket.get(publish(bucket))


def test_a_set_without_sprites_has_a_page_that_says_so(bucket: LocalBucket) -> None:
    assert b'"layers": []' in bucket.get(publish(bucket))


def test_nobody_takes_the_gallery_for_a_layer_or_a_record(bucket: LocalBucket) -> None:
    put_bundle(bucket)
    put_shard(bucket, "stem", (1, 2))
    finish(bucket, ["stem"])
    key = publish(bucket)
    (found,) = list_sets(bucket)
    assert [layer.layer for layer in found.layers] == ["stem"]
    assert [problem.key for problem in verify(bucket).problems] == []
    assert isinstance(show(bucket, key), SetReport)


@pytest.mark.slow
def test_each_published_file_that_is_damaged_is_named_and_published_again(
    bucket: LocalBucket,
) -> None:
    sound = published_set(bucket)
    kinds = {re.sub("[0-9a-f]{16}", "*", key.rpartition("/")[2]) for key in sound}
    gallery = {f"gallery.*.{suffix}" for suffix in ("js", "css", "svg", "webp", "json")}
    assert kinds == {
        "index.html",
        "index.html.json",
        "index.js",
        "index.js.json",
        "index.parquet",
        "index.parquet.json",
        *gallery,
    }
    assert verified(bucket) == ([], ())
    for damage in DAMAGES.values():
        for key, data in sound.items():
            put(bucket, key, damage(data))
            # Without its record a page is checked by its form.
            assert verified(bucket) == (
                [] if damage(data) is None and is_view_record(key) else [key],
                (),
            )
            put(bucket, key, data)
        for key, data in sound.items():
            put(bucket, key, damage(data))
        publish_index.fn(bucket.url, made_up_card(), RECIPE.key)
        publish(bucket)
        assert {key: bucket.get(key) for key in sound} == sound
        assert verified(bucket) == ([], ())


def test_where_the_bucket_knows_checksums_layers_are_listed_only(
    gcs_place: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = GcsBucket("place", "team")
    sound = published_set(bucket)
    with monkeypatch.context() as while_read:
        while_read.setattr(
            GcsBucket, "get", refusing(GcsBucket.get, "/gallery.", (".js", ".webp"), depth=4)
        )
        publish(bucket)
        assert verified(bucket) == ([], ())
        for key in (key for key in sound if key.count("/") == 4):
            bucket.put(key, DAMAGES["of the same length"](sound[key]) or b"", mode="overwrite")
            assert verified(bucket) == ([key], ())
            bucket.put(key, sound[key], mode="overwrite")


def refusing(
    get: Callable[..., bytes], name: str, endings: tuple[str, ...], depth: int
) -> Callable[..., bytes]:
    """Return a bucket's method that does not hand out some files."""

    def read(self: GcsBucket, key: str, *, want_crc: int | None = None) -> bytes:
        assert not (name in key and key.endswith(endings) and key.count("/") == depth), key
        return get(self, key, want_crc=want_crc)

    return read


def test_a_gallery_from_before_checksums_is_checked_by_its_form_until_it_is_published_again(
    bucket: LocalBucket,
) -> None:
    sound = published_set(bucket)
    for info in list(bucket.list("sprites/")):
        if is_view_record(info.key) or (is_gallery_file(info.key) and info.key.endswith(".json")):
            bucket.delete(info.key)
    old = {key: data for key, data in sound.items() if not key.endswith(".json")}
    (words,) = re.findall(rb'"words": "(.+?)"', sound[gallery_key(MODEL, RECIPE.key)])
    layers = {key for key in old if key.count("/") == 4 and is_gallery_file(key)}
    layers.add(set_folder(MODEL, RECIPE.key) + words.decode())
    assert verified(bucket) == ([], tuple(sorted(layers)))
    for key, data in old.items():
        for name in ("cut", "hostile"):
            put(bucket, key, DAMAGES[name](data))
            assert verified(bucket)[0] == [key]
        put(bucket, key, data)
    page = next(key for key in old if key.endswith(".html"))
    of_another_version = re.sub(
        rb"gallery\.[0-9a-f]{16}\.css", b"gallery.0123456789abcdef.css", old[page]
    )
    style = page.replace("index.html", "gallery.0123456789abcdef.css")
    put(bucket, page, of_another_version)
    assert verified(bucket) == ([style], (page, *sorted(layers)))
    publish_index.fn(bucket.url, made_up_card(), RECIPE.key)
    publish(bucket)
    assert {key: bucket.get(key) for key in sound} == sound
    assert verified(bucket) == ([], ())
