"""A gallery is published whole, again only where something has changed, and no reader of a set takes it for anything else."""

from pathlib import Path

import pytest

from flows.looking import list_sets, verify
from flows.showing import SetReport, show
from storage import LocalBucket
from storage.layout import is_gallery_file
from tests.flows.made_up_set import RECIPE, finish, put_bundle, put_shard
from tests.tasks.gallery.made_up_gallery import MODEL, publish, put_layer, scores


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def gallery_files(bucket: LocalBucket) -> dict[str, object]:
    return {info.key: info.token for info in bucket.list("sprites/") if is_gallery_file(info.key) or info.key.endswith("index.html")}


def test_all_that_the_page_names_is_there(bucket: LocalBucket) -> None:
    put_layer(bucket, "stem", [scores(0), scores(1)])
    put_layer(bucket, "block_0", [scores(0)])
    key = publish(bucket)
    assert key == f"sprites/{MODEL}/{RECIPE.key}/index.html"
    page = bucket.get(key).decode()
    files = [name.removeprefix(key.removesuffix("index.html")) for name in gallery_files(bucket) if name != key]
    assert len(files) == 7  # script, style and icon; numbers and a preview of each layer
    assert all(file in page for file in files)


def test_the_same_again_writes_nothing(bucket: LocalBucket) -> None:
    put_layer(bucket, "stem", [scores(0), scores(1)])
    publish(bucket)
    before = gallery_files(bucket)
    publish(bucket)
    assert gallery_files(bucket) == before


def test_a_new_layer_leaves_the_files_of_the_others_alone(bucket: LocalBucket) -> None:
    put_layer(bucket, "stem", [scores(0), scores(1)])
    key = publish(bucket)
    before = gallery_files(bucket)
    put_layer(bucket, "block_0", [scores(0)])
    publish(bucket)
    after = gallery_files(bucket)
    assert {name for name in before if after[name] != before[name]} == {key}
    assert len(after) == len(before) + 2


def test_a_layer_whose_spritemap_is_damaged_is_left_out_until_it_is_mended(
    bucket: LocalBucket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put_layer(bucket, "stem", [scores(0)])
    record = put_layer(bucket, "block_0", [scores(0), scores(1)])
    file = tmp_path / "bucket" / record.file.key
    sound = file.read_bytes()
    file.write_bytes(sound[:-1] + b"x")
    assert b"block_0" not in bucket.get(publish(bucket))
    assert "the gallery leaves out block_0: " in caplog.text
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
