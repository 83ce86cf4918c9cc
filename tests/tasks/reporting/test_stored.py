"""A report's files are in its folder, named by what is in them, and remembered for its record."""

from pathlib import Path

import pytest

from diamond_cutter.storage import LocalBucket, crc32c
from diamond_cutter.storage.sets.report_keys import report_folder
from diamond_cutter.storage.sets.sprite_set import is_whole
from diamond_cutter.tasks.reporting.stored import ReportFiles

FOLDER = report_folder("pictures@0a1b2c3d", "toy@11111111", "attribution@22222222")
HOSTILE = "../../a/b <\u202e>"


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def test_files_are_in_the_folder_and_remembered(bucket: LocalBucket) -> None:
    files = ReportFiles(bucket, FOLDER)
    places = [
        files.image("00001", b"one", "webp"),
        files.layer("block/1", "sprites", b"two", "webp"),
        files.layer(HOSTILE, "numbers", b"three", "js"),
        files.table("images", b"four"),
    ]
    assert len(files.refs) == len(set(places)) == 4
    for place, data in zip(places, (b"one", b"two", b"three", b"four"), strict=True):
        assert ".." not in place.split("/") and not place.startswith("/")
        ref = files.refs[FOLDER + place]
        assert bucket.get(ref.key) == data and ref.crc32c == crc32c(data) and is_whole(bucket, ref)
    assert all(info.key.startswith(FOLDER) for info in bucket.list(""))


def test_another_content_is_another_file_and_the_same_is_the_same(bucket: LocalBucket) -> None:
    files = ReportFiles(bucket, FOLDER)
    first, same, other = (files.table("images", data) for data in (b"a", b"a", b"b"))
    assert first == same != other and len(files.refs) == 2


def test_damage_is_replaced(bucket: LocalBucket, tmp_path: Path) -> None:
    place = ReportFiles(bucket, FOLDER).table("images", b"sound")
    (tmp_path / "bucket" / (FOLDER + place)).write_bytes(b"spoilt")
    files = ReportFiles(bucket, FOLDER)
    assert files.table("images", b"sound") == place and bucket.get(FOLDER + place) == b"sound"
