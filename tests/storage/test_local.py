"""A local folder keeps the contract, and survives what folders go through."""

import errno
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from diamond_cutter.storage import (
    AccessDenied,
    BadKey,
    Bucket,
    Conflict,
    LocalBucket,
    NotFound,
    StorageError,
    Unavailable,
    crc32c,
)
from tests.storage.conformance import MIB, BucketContract, at_once, put_or_conflict
from tests.waiting import AT_MOST_S

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "bucket"


@pytest.fixture
def bucket(root: Path) -> LocalBucket:
    return LocalBucket(root)


class TestContract(BucketContract):
    def raw_write(self, bucket: Any, key: str, data: bytes) -> None:
        (path_of(bucket) / key).write_bytes(data)


class TestContractWithoutHardLinks(BucketContract):
    @pytest.fixture(autouse=True)
    def no_hard_links(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "link", failing(errno.EPERM))

    def raw_write(self, bucket: Any, key: str, data: bytes) -> None:
        (path_of(bucket) / key).write_bytes(data)


# what is on the disk


def test_reading_creates_nothing(bucket: LocalBucket, root: Path) -> None:
    bucket.check()
    assert bucket.stat("a/b") is None
    assert not list(bucket.list("a/")) and not list(bucket.folders())
    bucket.delete("a/b")
    with pytest.raises(NotFound):
        bucket.get("a/b")
    assert not root.exists()


def test_an_object_is_a_plain_file_and_staging_is_left_empty(
    bucket: LocalBucket, root: Path
) -> None:
    bucket.put("a/b.json", b"{}")
    bucket.put("a/b.json", b"[]", mode="overwrite")
    assert files(root) == [".staging/lock", "a/b.json"]
    assert (root / "a/b.json").read_bytes() == b"[]"
    umask = os.umask(0)
    os.umask(umask)
    assert (root / "a/b.json").stat().st_mode & 0o777 == 0o666 & ~umask


def test_the_bucket_stays_where_it_was_when_the_working_directory_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bucket = LocalBucket(Path("here"))
    monkeypatch.chdir("/")
    bucket.put("k", b"data")
    assert (tmp_path / "here" / "k").read_bytes() == b"data"


def test_names_that_are_no_keys_are_not_listed(bucket: LocalBucket, root: Path) -> None:
    bucket.put("a/b", b"")
    for stray in (".DS_Store", "a/.b.swp", "a/with space", "a/b~", "a/é"):
        (root / stray).write_bytes(b"")
    os.mkfifo(root / "a" / "pipe")
    assert [info.key for info in bucket.list()] == ["a/b"]
    with pytest.raises(NotFound):
        bucket.get("a/pipe")


def test_the_link_and_every_new_folder_are_flushed(
    bucket: LocalBucket, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    fsync = os.fsync

    def recording_fsync(descriptor: int) -> None:
        flushed.append(os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), root))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    bucket.put("a/b/c", b"data")
    staged = flushed.pop(-2)
    assert staged.startswith(".staging/") and staged.count(".") == 3
    assert flushed == ["..", ".", ".", "a", "a/b"]


def test_a_stopped_clock_still_dates_each_version_later(
    bucket: LocalBucket, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    dates = []
    for _ in range(4):
        bucket.put("k", b"same", mode="overwrite")
        dates.append((root / "k").stat().st_mtime_ns - 10**18)
    assert dates == [0, 1, 2, 3]


# leftovers


def test_old_leftovers_of_any_host_are_swept_and_new_ones_kept(
    bucket: LocalBucket, root: Path
) -> None:
    bucket.put("k", b"data", mode="overwrite")
    staging = root / ".staging"
    for name, age in {"here.1.aa": 25, "there.2.bb": 25, "here.3.cc": 23, "there.4.dd": 0}.items():
        (staging / name).write_bytes(b"half")
        age_by(staging / name, timedelta(hours=age))
    age_by(staging / "lock", timedelta(days=9))
    (staging / "folder").mkdir()
    age_by(staging / "folder", timedelta(days=9))
    assert [info.key for info in bucket.list()] == ["k"]
    LocalBucket(root).put("other", b"data")
    assert sorted(os.listdir(staging)) == ["folder", "here.3.cc", "lock", "there.4.dd"]


def test_two_hosts_do_not_share_staging_names(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    names: list[str] = []
    link = os.link

    def recording_link(source: Path, target: Path) -> None:
        names.append(Path(source).name)
        link(source, target)

    monkeypatch.setattr(os, "link", recording_link)
    bucket.put("a", b"")
    bucket.put("b", b"")
    host, pid, unique = names[0].rsplit(".", 2)
    assert (host, pid) == (os.uname().nodename, str(os.getpid()))
    assert len(unique) == 32 and names[0] != names[1]


WRITER = """
import sys, random, pathlib
from diamond_cutter.storage import LocalBucket
bucket = LocalBucket(pathlib.Path(sys.argv[1]))
print("ready", flush=True)
while True:
    number = random.randrange(10**9)
    data = bytes([number % 256]) * (1 << 20)
    bucket.put(f"created/{number}", data)
    bucket.put("replaced/one", data, mode="overwrite")
"""


@pytest.mark.slow
def test_a_killed_writer_leaves_no_half_object(root: Path) -> None:
    chance = random.Random()
    objects = leftovers = 0
    for _ in range(16):
        writer = python(WRITER, root)
        assert writer.stdout and writer.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.02, 0.3))
        writer.kill()
        writer.communicate()
        objects += verify_whole(root)
        leftovers += len(staging_leftovers(root))
        age_leftovers(root)
    assert objects > 10
    LocalBucket(root).put("after", b"data")
    assert staging_leftovers(root) == []


def verify_whole(root: Path) -> int:
    """Check each object against its name, then remove the created ones to spare the disk; return
    how many there were.
    """
    bucket = LocalBucket(root)
    listed = list(bucket.list())
    assert sorted(info.key for info in listed) == [
        name for name in files(root) if not name.startswith(".staging/")
    ]
    for info in listed:
        data = bucket.get(info.key)
        assert len(data) == MIB and data == data[:1] * MIB
        if info.key.startswith("created/"):
            assert data[0] == int(info.key.removeprefix("created/")) % 256
            bucket.delete(info.key)
    return len(listed)


# processes

CREATOR = """
import sys, pathlib
from diamond_cutter.storage import Conflict, LocalBucket
bucket = LocalBucket(pathlib.Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for key in range(20):
    bucket.put(f"same/{key}", b"same")
    try:
        bucket.put(f"other/{key}", sys.argv[2].encode())
        print(key, flush=True)
    except Conflict:
        pass
"""


@pytest.mark.slow
def test_of_eight_processes_creating_one_key_one_wins(root: Path, bucket: LocalBucket) -> None:
    won = run_together([python(CREATOR, root, str(number)) for number in range(8)])
    winners = {int(key): str(number) for number, keys in enumerate(won) for key in keys.split()}
    assert sum(len(keys.split()) for keys in won) == len(winners) == 20
    for key, winner in winners.items():
        assert bucket.get(f"other/{key}").decode() == winner
        assert bucket.get(f"same/{key}") == b"same"


COUNTER = """
import sys, pathlib
from diamond_cutter.storage import Conflict, LocalBucket
bucket = LocalBucket(pathlib.Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(25):
    while True:
        seen = bucket.stat("count")
        count = int(bucket.get("count"))
        try:
            bucket.put("count", b"%06d" % (count + 1), mode=seen.token)
            break
        except Conflict:
            pass
"""


@pytest.mark.slow
def test_eight_processes_swapping_lose_no_update(root: Path, bucket: LocalBucket) -> None:
    bucket.put("count", b"%06d" % 0)
    run_together([python(COUNTER, root) for _ in range(8)])
    assert int(bucket.get("count")) == 200


def test_a_lock_dies_with_its_holder(root: Path, bucket: LocalBucket) -> None:
    holder = python(
        "import sys, pathlib, time\nfrom diamond_cutter.storage import staging\n"
        "with staging.locked(pathlib.Path(sys.argv[1]) / '.staging'):\n    print('ready', "
        "flush=True)\n    time.sleep(60)",
        root,
    )
    assert holder.stdout and holder.stdout.readline() == "ready\n"
    holder.kill()
    holder.communicate()
    bucket.put("k", b"data", mode="overwrite")


def test_creating_and_deleting_at_once(bucket: LocalBucket) -> None:
    def work(number: int) -> None:
        for _ in range(30):
            try:
                put_or_conflict(bucket, "k", b"%d" % (number % 2))
            except Unavailable as error:
                assert "try again" in str(error)
            bucket.delete("k")

    at_once(8, work)
    assert bucket.stat("k") is None


# places that are not as they should be


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "mounted"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mount.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {mount.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(mounted: Path) -> None:
    bucket = LocalBucket(mounted / "bucket")
    bucket.put("kept", b"data")
    too_big = bytes(2 * MIB)
    calls: list[Callable[[], object]] = [
        lambda: bucket.put("big", too_big),
        lambda: bucket.put("kept", too_big, mode="overwrite"),
    ]
    for call in calls:
        with pytest.raises(Unavailable, match=r"no space left to write '\w+' to .*bucket"):
            call()
    assert files(mounted / "bucket") == ["kept"]
    with open(mounted / "filler", "wb", buffering=0) as filler, pytest.raises(OSError):
        while filler.write(bytes(4096)):
            pass
    with pytest.raises(Unavailable, match="no space left"):
        bucket.check()
    (mounted / "filler").unlink()
    bucket.check()
    assert bucket.get("kept") == b"data"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["fsync", "link", "mkdir"])
def test_no_space_at_any_moment(
    bucket: LocalBucket, root: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    bucket.put("a/kept", b"data")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(code))
        with pytest.raises(Unavailable, match="no space left to write 'b/k'"):
            bucket.put("b/k", b"data")
    assert files(root) == ["a/kept"]
    assert list(bucket.folders()) == ["a/"]
    bucket.put("b/k", b"data")


def test_a_failing_disk(
    bucket: LocalBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("k", b"data")
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(Unavailable, match="Input/output error"):
        bucket.put("other", b"data")
    with pytest.raises(Unavailable, match="Input/output error"):
        bucket.fetch("k", tmp_path / "copies" / "k")
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_filesystem_that_cannot_flush_folders(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def fsync_of_files_only(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync_of_files_only)
    bucket.put("a/b", b"data")
    assert bucket.get("a/b") == b"data"


def test_a_read_only_filesystem(mounted: Path) -> None:
    LocalBucket(mounted / "bucket").put("a/k", b"data")
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    bucket = LocalBucket(mounted / "bucket")
    assert bucket.get("a/k") == b"data"
    assert [info.key for info in bucket.list()] == ["a/k"]
    refused: list[Callable[[], object]] = [
        bucket.check,
        LocalBucket(mounted / "new").check,
        lambda: bucket.put("a/new", b""),
        lambda: bucket.put("b/new", b""),
        lambda: bucket.put("a/k", b"", mode="overwrite"),
        lambda: bucket.delete("a/k"),
        lambda: LocalBucket(mounted / "new").put("a", b""),
    ]
    for call in refused:
        with pytest.raises(AccessDenied, match=r"not allowed to .*Read-only file system"):
            call()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else(bucket: LocalBucket, root: Path) -> None:
    root.mkdir()
    root.chmod(0o500)
    for call in (bucket.check, lambda: bucket.put("k", b"")):
        with pytest.raises(AccessDenied, match=r"not allowed to write .*bucket"):
            call()
    root.chmod(0o700)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_not_allowed(bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(os, "mkdir", failing(code))
    with pytest.raises(AccessDenied, match="not allowed to write 'k'"):
        bucket.put("k", b"")


def test_a_file_where_the_bucket_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"precious")
    for root in (tmp_path / "file", tmp_path / "file" / "bucket"):
        bucket = LocalBucket(root)
        for call in (bucket.check, lambda: bucket.put("k", b""), lambda: list(bucket.list())):  # noqa: B023
            with pytest.raises(NotFound, match=r"/file, found a file") as raised:
                call()
            assert str(raised.value).count(". ") == 1
        assert bucket.stat("k") is None
    assert (tmp_path / "file").read_bytes() == b"precious"


def test_a_key_is_not_a_folder_of_another(bucket: LocalBucket, tmp_path: Path) -> None:
    bucket.put("a/b", b"data")
    modes: tuple[Literal["create", "overwrite"], ...] = ("create", "overwrite")
    for mode in modes:
        with pytest.raises(BadKey, match="found a file"):
            bucket.put("a/b/c", b"", mode=mode)
        with pytest.raises(BadKey, match=r"'a' cannot be written .* is a folder there"):
            bucket.put("a", b"", mode=mode)
    assert bucket.stat("a/b/c") is None
    assert list(bucket.list("a/b/")) == []
    with pytest.raises(NotFound):
        bucket.get("a/b/c")
    bucket.delete("a/b/c")
    assert bucket.get("a/b") == b"data"


@pytest.mark.parametrize("target", ["outside", "bucket/real", "nowhere"])
def test_links_are_no_part_of_the_bucket(
    bucket: LocalBucket, root: Path, tmp_path: Path, target: str
) -> None:
    bucket.put("real/k", b"data")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "k").write_bytes(b"secret")
    (root / "folder").symlink_to(tmp_path / target)
    (root / "file").symlink_to(tmp_path / target / "k")
    calls: list[Callable[[str], object]] = [
        bucket.get,
        bucket.stat,
        bucket.delete,
        lambda key: bucket.put(key, b"data"),
        lambda key: bucket.put(key, b"data", mode="overwrite"),
        lambda key: bucket.fetch(key, tmp_path / "copy"),
    ]
    for key in ("folder/k", "folder/new", "file"):
        for call in calls:
            with pytest.raises(AccessDenied, match="symbolic link"):
                call(key)
    with pytest.raises(AccessDenied, match="symbolic link"):
        list(bucket.list("folder/"))
    assert [info.key for info in bucket.list()] == ["real/k"]
    assert list(bucket.folders()) == ["real/"]
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["k"]


def test_the_bucket_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    bucket: Bucket = LocalBucket(tmp_path / "link")
    bucket.check()
    bucket.put("a/k", b"data")
    assert (tmp_path / "real" / "a" / "k").read_bytes() == b"data"
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StorageError, match="dangling"):
        LocalBucket(tmp_path / "dangling").check()


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_filesystem_without_hard_links(
    bucket: LocalBucket, root: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(os, "link", failing(code))
    bucket.put("k", b"data")
    bucket.put("k", b"data")
    with pytest.raises(Conflict):
        bucket.put("k", b"other")
    assert files(root) == [".staging/lock", "k"]


def test_a_copied_bucket_is_a_bucket(bucket: LocalBucket, root: Path, tmp_path: Path) -> None:
    bucket.put("a/k", b"data")
    shutil.copytree(root, tmp_path / "copy", ignore=shutil.ignore_patterns(".staging"))
    copied = LocalBucket(tmp_path / "copy")
    assert copied.get("a/k", want_crc=crc32c(b"data")) == b"data"
    copied.delete("a/k")
    assert list(copied.list()) == []


def path_of(bucket: LocalBucket) -> Path:
    return Path(bucket.url.removeprefix("file://"))


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def staging_leftovers(root: Path) -> list[str]:
    return [name for name in os.listdir(root / ".staging") if name != "lock"]


def age_leftovers(root: Path) -> None:
    for name in staging_leftovers(root):
        age_by(root / ".staging" / name, timedelta(days=2))


def age_by(path: Path, age: timedelta) -> None:
    then = time.time() - age.total_seconds()
    os.utime(path, (then, then))


def failing(code: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def python(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def run_together(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Start them at the same moment; return what each printed."""
    for process in processes:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=AT_MOST_S)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return printed
