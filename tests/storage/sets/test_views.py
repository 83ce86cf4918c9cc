"""A view is as it was published or is told to be damaged, also where its writer was killed or met
another one.
"""

from pathlib import Path

import pytest

from diamond_cutter.storage import LocalBucket, ObjectInfo
from diamond_cutter.storage.bucket import PutMode
from diamond_cutter.storage.sets.records import PublishedView
from diamond_cutter.storage.sets.views import Finding, check_view, is_published, publish_view

KEY = "sprites/toy@01234567/fast@89abcdef/index.html"


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def finding(bucket: LocalBucket, *, due: bool = True, whole: bool | None = None) -> Finding | None:
    return check_view(bucket, KEY, due=due, judge=lambda data: whole)


def contents_known(bucket: LocalBucket) -> int:
    return len(PublishedView.from_bytes(bucket.get(f"{KEY}.json"), KEY).sha256)


def test_a_view_is_what_was_published_last(bucket: LocalBucket) -> None:
    for data in (b"first", b"second", b"second"):
        publish_view(bucket, KEY, lambda data=data: data)  # type: ignore[misc]
        assert bucket.get(KEY) == data and finding(bucket) is None and contents_known(bucket) == 1
    bucket.put(KEY, b"first", mode="overwrite")
    assert finding(bucket) == Finding(
        KEY, "the file differs from the published one. The next run publishes it again."
    )
    bucket.delete(KEY)
    assert finding(bucket, due=False) is None
    assert finding(bucket) == Finding(KEY, "the file is missing. The next run publishes it again.")


def test_a_view_without_a_record_is_judged_by_its_form(bucket: LocalBucket) -> None:
    bucket.put(KEY, b"of an earlier version")
    assert is_published(bucket, KEY, b"of an earlier version") is None
    assert finding(bucket, whole=True) is None
    assert finding(bucket, whole=None) == Finding(KEY, None)
    assert finding(bucket, whole=False) == Finding(
        KEY, "the file differs from the published one. The next run publishes it again."
    )


class Killed(LocalBucket):
    """A bucket whose writer is killed when it has put so many objects."""

    puts = 0

    def put(self, key: str, data: bytes | Path, *, mode: PutMode = "create") -> ObjectInfo:
        if self.puts == 0:
            raise KeyboardInterrupt
        self.puts -= 1
        return super().put(key, data, mode=mode)


@pytest.mark.parametrize("puts", [0, 1, 2])
def test_a_killed_writer_leaves_no_view_that_seems_to_be_damaged(
    bucket: LocalBucket, tmp_path: Path, puts: int
) -> None:
    publish_view(bucket, KEY, lambda: b"first")
    killed = Killed(tmp_path / "bucket")
    killed.puts = puts
    with pytest.raises(KeyboardInterrupt):
        publish_view(killed, KEY, lambda: b"second")
    assert finding(bucket) is None
    publish_view(bucket, KEY, lambda: b"second")
    assert bucket.get(KEY) == b"second" and finding(bucket) is None and contents_known(bucket) == 1


def test_of_two_writers_that_meet_one_view_stays_and_is_sound(bucket: LocalBucket) -> None:
    publish_view(bucket, KEY, lambda: b"first")
    built = iter((b"second", b"third"))

    def build() -> bytes:
        data = next(built)
        if data == b"second":
            publish_view(bucket, KEY, lambda: b"of another run")
        return data

    publish_view(bucket, KEY, build)
    assert bucket.get(KEY) == b"third" and finding(bucket) is None and contents_known(bucket) == 1
