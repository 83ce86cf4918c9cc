"""What every bucket must do. A backend's test class inherits `BucketContract` and provides the
fixture `bucket`.
"""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any, TypeVar

import pytest

from diamond_cutter.storage import (
    BadKey,
    Bucket,
    Conflict,
    Corrupt,
    NotFound,
    ObjectInfo,
    StorageError,
    Token,
    crc32c,
)

MIB = 1 << 20
STALE = Token("1-2-3")

GOOD_KEYS = [
    "a",
    "0",
    "-",
    "index.html",
    "latest.json",
    "models/inception_v1@0a1b2c3d/graph.pb",
    "sprites/m@00000000/r@11111111/mixed4a_3x3+relu/00000-00031.0123456789abcdef.webp",
    "a=b,c+d@e_f-g.h",
    "a..b/c",
    "x" * 200,
    "/".join(["y" * 199] * 4) + "/" + "z" * 100,
]
BAD_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    ".hidden",
    "a/.staging/b",
    ".staging/lock",
    "a.",
    "a./b",
    "a\\b",
    "a\x00b",
    "a\nb",
    "a\n",
    "a\x7f",
    "C:/a",
    "~/a",
    "a%2Fb",
    "a b",
    "a?b",
    "a#b",
    "a*",
    "[a]",
    "é",
    "a\u202eb",
    "\U0001f4a9",
    "\udcff",
    "x" * 201,
    "/".join(["y" * 199] * 4) + "/" + "z" * 101,
]


class BucketContract:
    """Inherit, provide the fixture `bucket` (empty) and `raw_write`."""

    def raw_write(self, bucket: Any, key: str, data: bytes) -> None:
        """Change an object's bytes behind the bucket's back."""
        raise NotImplementedError

    # put, mode create

    @pytest.mark.parametrize(
        ("size", "from_file"),
        [(0, False), (1, True), (8 * MIB - 1, False), (8 * MIB, True), (8 * MIB + 1, False)],
    )
    def test_what_was_put_comes_back(
        self, bucket: Bucket, tmp_path: Path, size: int, from_file: bool
    ) -> None:
        data = random.Random(size).randbytes(size)
        source = tmp_path / "source"
        source.write_bytes(data)
        info = bucket.put("a/b.webp", source if from_file else data)
        assert (info.key, info.size, info.crc32c, info.content_type) == (
            "a/b.webp",
            size,
            crc32c(data),
            "image/webp",
        )
        assert bucket.get("a/b.webp", want_crc=info.crc32c) == data
        assert source.read_bytes() == data
        fetched = tmp_path / "new" / "folder" / "copy"
        assert same_version(bucket.fetch("a/b.webp", fetched, want_crc=info.crc32c), info)
        assert fetched.read_bytes() == data

    def test_create_again_with_the_same_bytes_is_a_success(self, bucket: Bucket) -> None:
        first = bucket.put("k", b"same")
        second = bucket.put("k", b"same")
        assert second == first

    def test_create_with_other_bytes_keeps_the_old(self, bucket: Bucket) -> None:
        first = bucket.put("k", b"old")
        for other in (b"", b"new", b"ole", b"older"):
            with pytest.raises(Conflict, match="'k'"):
                bucket.put("k", other)
        assert bucket.get("k") == b"old"
        assert same_version(bucket.stat("k"), first)

    def test_create_sees_bytes_changed_behind_its_back(self, bucket: Bucket) -> None:
        info = bucket.put("k", b"bytes")
        self.raw_write(bucket, "k", b"bites")
        with pytest.raises(Conflict):
            bucket.put("k", b"bytes")
        with pytest.raises(Corrupt):
            bucket.get("k", want_crc=info.crc32c)

    def test_put_of_a_missing_file_leaves_nothing(self, bucket: Bucket, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match="nowhere"):
            bucket.put("k", tmp_path / "nowhere")
        with pytest.raises(StorageError, match="folder"):
            (tmp_path / "folder").mkdir()
            bucket.put("k", tmp_path / "folder")
        assert bucket.stat("k") is None

    def test_an_unknown_mode_is_refused(self, bucket: Bucket) -> None:
        with pytest.raises(ValueError, match="'replace'"):
            bucket.put("k", b"", mode="replace")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="1-2-3"):
            bucket.put("k", b"", mode=STALE.value)  # type: ignore[arg-type]
        assert bucket.stat("k") is None

    # put, modes overwrite and compare-and-swap

    def test_overwrite_replaces_or_creates(self, bucket: Bucket) -> None:
        first = bucket.put("k", b"one", mode="overwrite")
        second = bucket.put("k", b"two", mode="overwrite")
        assert bucket.get("k") == b"two"
        assert first.token != second.token
        assert same_version(bucket.stat("k"), second)

    def test_swap_with_the_right_token(self, bucket: Bucket) -> None:
        bucket.put("k", b"one")
        seen = bucket.stat("k")
        assert seen
        swapped = bucket.put("k", b"two", mode=seen.token)
        assert bucket.get("k") == b"two"
        third = bucket.put("k", b"three", mode=swapped.token)
        assert bucket.get("k", want_crc=third.crc32c) == b"three"

    def test_swap_with_a_token_from_a_listing_and_from_fetch(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        bucket.put("k", b"one")
        [listed] = bucket.list()
        bucket.put("k", b"two", mode=listed.token)
        fetched = bucket.fetch("k", tmp_path / "copy")
        bucket.put("k", b"three", mode=fetched.token)
        assert bucket.get("k") == b"three"

    def test_swap_with_a_stale_token_keeps_the_old(self, bucket: Bucket) -> None:
        first = bucket.put("k", b"one")
        bucket.put("k", b"two", mode=first.token)
        for data in (b"three", b"one"):
            with pytest.raises(Conflict, match="'k'"):
                bucket.put("k", data, mode=first.token)
        assert bucket.get("k") == b"two"

    def test_swap_of_an_absent_object_creates_nothing(self, bucket: Bucket) -> None:
        gone = bucket.put("k", b"one")
        bucket.delete("k")
        for token in (gone.token, STALE):
            with pytest.raises(Conflict, match="'k'"):
                bucket.put("k", b"two", mode=token)
        assert bucket.stat("k") is None

    def test_every_version_has_its_own_token(self, bucket: Bucket) -> None:
        tokens = [bucket.put("k", b"same", mode="overwrite").token for _ in range(100)]
        bucket.delete("k")
        tokens.append(bucket.put("k", b"same").token)
        assert len(set(tokens)) == 101

    # reading

    def test_what_is_not_there(self, bucket: Bucket, tmp_path: Path) -> None:
        for missing in ("k", "a/b/c"):
            assert bucket.stat(missing) is None
            for read in (
                lambda key: bucket.get(key),
                lambda key: bucket.fetch(key, tmp_path / "copy"),
            ):
                with pytest.raises(NotFound, match=f"'{missing}'"):
                    read(missing)
        assert not list(bucket.list()) and not list(bucket.folders())
        assert not (tmp_path / "copy").exists()

    def test_a_folder_is_no_object(self, bucket: Bucket) -> None:
        bucket.put("a/b", b"data")
        assert bucket.stat("a") is None
        with pytest.raises(NotFound):
            bucket.get("a")
        bucket.delete("a")
        assert bucket.get("a/b") == b"data"

    def test_get_of_the_wrong_bytes(self, bucket: Bucket) -> None:
        bucket.put("k", b"data")
        with pytest.raises(Corrupt, match="'k'"):
            bucket.get("k", want_crc=crc32c(b"date"))
        with pytest.raises(Corrupt):
            bucket.get("k", want_crc=0)

    def test_fetch_of_the_wrong_bytes_leaves_no_file(self, bucket: Bucket, tmp_path: Path) -> None:
        bucket.put("k", b"data")
        target = tmp_path / "new" / "copy"
        with pytest.raises(Corrupt, match="'k'"):
            bucket.fetch("k", target, want_crc=crc32c(b"date"))
        assert list(target.parent.iterdir()) == []
        target.write_bytes(b"before")
        with pytest.raises(Corrupt):
            bucket.fetch("k", target, want_crc=crc32c(b"date"))
        assert [path.read_bytes() for path in target.parent.iterdir()] == [b"before"]
        bucket.fetch("k", target)
        assert [path.read_bytes() for path in target.parent.iterdir()] == [b"data"]

    def test_stat_tells_when_and_what(self, bucket: Bucket) -> None:
        put = bucket.put("k.json", b"{}")
        found = bucket.stat("k.json")
        assert found and same_version(found, put)
        assert found.crc32c in (None, crc32c(b"{}"))
        assert found.content_type.startswith("application/json")
        assert abs(datetime.now(UTC) - found.updated) < timedelta(minutes=1)

    # listing

    def test_listing_is_in_byte_order_of_keys(self, bucket: Bucket) -> None:
        keys = [
            "a/b",
            "a-b",
            "a.b",
            "a0",
            "a=b",
            "A",
            "Z/a",
            "_",
            "a+",
            "ab/c/d",
            "ab/c-d",
            "ab/c.d",
            "ab/c/d.e",
            "0",
            "a@",
            "a,",
        ]
        for key in random.Random(0).sample(keys, len(keys)):
            bucket.put(key, key.encode())
        listed = list(bucket.list())
        assert [info.key for info in listed] == sorted(keys, key=str.encode)
        for info in listed:
            assert same_version(bucket.stat(info.key), info)
            assert info.size == len(info.key)
            assert info.crc32c in (None, crc32c(info.key.encode()))

    @pytest.mark.slow
    def test_listing_of_more_than_a_thousand(self, bucket: Bucket) -> None:
        keys = [f"many/{number:05}" for number in range(1050)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: bucket.put(key, b""), keys))
        assert [info.key for info in bucket.list("many/")] == keys

    def test_a_prefix_is_no_folder(self, bucket: Bucket) -> None:
        for key in ("runs/r1/a", "runs/r1/b/c", "runs/r10/a", "runs/r1-x", "other/r1"):
            bucket.put(key, b"")

        def keys(prefix: str) -> list[str]:
            return [info.key for info in bucket.list(prefix)]

        assert keys("runs/r1") == ["runs/r1-x", "runs/r1/a", "runs/r1/b/c", "runs/r10/a"]
        assert keys("runs/r1/") == ["runs/r1/a", "runs/r1/b/c"]
        assert keys("runs/r1/a") == ["runs/r1/a"]
        assert keys("r") == ["runs/r1-x", "runs/r1/a", "runs/r1/b/c", "runs/r10/a"]
        assert keys("runs/r1/a/") == keys("nothing/") == keys("x") == []

    def test_folders(self, bucket: Bucket) -> None:
        for key in ("a/b/c", "a/b/d", "a-/x", "a.b/c/d", "file", "a0/y"):
            bucket.put(key, b"")
        assert list(bucket.folders()) == ["a-/", "a.b/", "a/", "a0/"]
        assert list(bucket.folders("a.b/")) == ["a.b/c/"]
        assert list(bucket.folders("a/b/")) == list(bucket.folders("nothing/")) == []
        with pytest.raises(BadKey, match="ends in '/'"):
            bucket.folders("a")

    def test_a_folder_goes_with_its_last_object(self, bucket: Bucket) -> None:
        bucket.put("a/b/c", b"")
        bucket.delete("a/b/c")
        assert (
            not list(bucket.folders())
            and not list(bucket.folders("a/"))
            and not list(bucket.list())
        )
        bucket.put("a/b/c", b"again")
        assert list(bucket.folders()) == ["a/"]

    def test_prefixes_that_no_key_can_have(self, bucket: Bucket) -> None:
        for prefix in ("/", "../", "a//", ".staging/", ".", "a b", "a/../", "a/.", "é"):
            for call in (bucket.list, bucket.folders):
                with pytest.raises(BadKey):
                    call(prefix)
                    pytest.fail(f"{prefix!r} is accepted")

    # deleting

    def test_delete_twice(self, bucket: Bucket) -> None:
        info = bucket.put("k", b"data")
        bucket.delete("k")
        assert bucket.stat("k") is None
        bucket.delete("k")
        bucket.delete("k", token=info.token)

    def test_delete_of_one_version(self, bucket: Bucket) -> None:
        first = bucket.put("k", b"one")
        second = bucket.put("k", b"two", mode=first.token)
        with pytest.raises(Conflict, match="'k'"):
            bucket.delete("k", token=first.token)
        assert bucket.get("k") == b"two"
        bucket.delete("k", token=second.token)
        assert bucket.stat("k") is None

    # keys

    def test_keys_that_are_kept(self, bucket: Bucket) -> None:
        for key in GOOD_KEYS:
            bucket.put(key, b"data")
            assert bucket.get(key) == b"data", key
            assert [info.key for info in bucket.list()] == [key]
            bucket.delete(key)

    def test_keys_that_are_refused(self, bucket: Bucket, tmp_path: Path) -> None:
        for key in BAD_KEYS:
            self.assert_refused(bucket, tmp_path, key)

    def assert_refused(self, bucket: Bucket, tmp_path: Path, key: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: bucket.put(key, b"data"),
            lambda: bucket.put(key, b"data", mode="overwrite"),
            lambda: bucket.put(key, b"data", mode=STALE),
            lambda: bucket.get(key),
            lambda: bucket.fetch(key, tmp_path / "copy"),
            lambda: bucket.stat(key),
            lambda: bucket.delete(key),
        ]
        for call in calls:
            with pytest.raises(BadKey) as refused:
                call()
            assert str(refused.value).isprintable() and str(refused.value).isascii()
            assert ascii(key)[:50] in str(refused.value)
        assert list(bucket.list()) == []

    # many at once

    def test_threads_creating_the_same_bytes_all_succeed(self, bucket: Bucket) -> None:
        data = random.Random(1).randbytes(100_000)
        infos = at_once(16, lambda _: bucket.put("shared/k", data))
        assert len(set(infos)) == 1
        assert bucket.get("shared/k", want_crc=crc32c(data)) == data

    def test_of_threads_creating_other_bytes_one_wins(self, bucket: Bucket) -> None:
        for round_ in range(5):
            key = f"k{round_}"
            outcomes = at_once(
                16, lambda number, key=key: put_or_conflict(bucket, key, b"%d" % number)
            )
            [winner] = [number for number, info in enumerate(outcomes) if info]
            assert bucket.get(key) == b"%d" % winner

    def test_of_threads_swapping_one_version_one_wins(self, bucket: Bucket) -> None:
        token = bucket.put("k", b"before").token
        outcomes = at_once(
            16, lambda number: put_or_conflict(bucket, "k", b"%d" % number, mode=token)
        )
        [winner] = [number for number, info in enumerate(outcomes) if info]
        assert bucket.get("k") == b"%d" % winner

    def test_a_reader_sees_whole_versions_only(self, bucket: Bucket) -> None:
        versions = [bytes([value]) * MIB for value in range(10)]
        bucket.put("k", versions[0])
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(
                lambda: [bucket.put("k", data, mode="overwrite") for data in versions]
            )
            while not writing.done():
                assert bucket.get("k") in versions
            writing.result()

    # the place

    def test_check_of_a_good_place(self, bucket: Bucket) -> None:
        bucket.check()
        assert list(bucket.list()) == []
        bucket.put("k", b"data")
        bucket.check()
        assert "://" in bucket.url


def same_version(found: ObjectInfo | None, expected: ObjectInfo) -> bool:
    """Compare all but the checksum, which some calls of some buckets do not know."""
    if not found:
        return False
    return (found.key, found.size, found.token, found.updated) == (
        expected.key,
        expected.size,
        expected.token,
        expected.updated,
    )


def put_or_conflict(bucket: Bucket, key: str, data: bytes, **options: Any) -> ObjectInfo | None:
    try:
        return bucket.put(key, data, **options)
    except Conflict:
        return None


T = TypeVar("T")


def at_once(count: int, call: Callable[[int], T]) -> list[T]:
    barrier = Barrier(count)

    def run(number: int) -> T:
        barrier.wait()
        return call(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
