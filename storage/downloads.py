"""Downloads into a local cache: verified, resumed, and done once.

An unfinished download is `.<name>.<version>.part` beside the file. The next attempt resumes it, in
this process or in another. The file gets its name once its size and checksum are verified, so that
a file with its final name is complete.
"""

import errno
import fcntl
import glob
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diamond_cutter.storage import staging
from diamond_cutter.storage.errors import Corrupt, StorageError, Unavailable
from diamond_cutter.storage.remote_files import Facts, Refused, send
from diamond_cutter.storage.retries import DownloadRetries

# Takes the number of bytes received, and of all bytes if that is known.
Progress = Callable[[int, int | None], object]

_STEP_BYTES = 1 << 20


def fetch_file(
    url: str,
    path: Path,
    *,
    on_progress: Progress | None = None,
    retries: DownloadRetries | None = None,
) -> None:
    """Download a file, unless `path` exists; wait if another process downloads it.

    Args:
        url: `gs://bucket/object` of a public bucket, `https://`, `http://`, `file://`, or a path.
        path: of the new file; missing folders are created.
        on_progress: called about once per MiB.
        retries: for servers that do not respond.

    Raises:
        NotFound: the file does not exist.
        AccessDenied: the file is not public, or `path` must not be written.
        Corrupt: the bytes differed twice from the size or checksum that the server announced.
        Unavailable: the network, the disk or the server fails.
        StorageError: the URL is not valid.
    """
    if path.is_file():
        return
    doing = f"save {without_secrets(url)} as {path}"
    with staging.explained(doing):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.with_name(f".{path.name}.lock")):
            if not path.is_file():
                _fetch(
                    url,
                    path,
                    _Part(url, path, doing, on_progress or (lambda here, total: None)),
                    retries or DownloadRetries(),
                )


def without_secrets(url: str) -> str:
    """Return the URL for display and records: without a password or a signature."""
    if not re.match(r"https?://", url):
        return url
    return re.sub(r"(?<=//)[^/@]*@", "", url).partition("?")[0]


def _fetch(url: str, path: Path, part: "_Part", retries: DownloadRetries) -> None:
    failures, furthest, damaged = 0, part.size, False
    while True:
        try:
            send(url, part, retries.silence_s)
            part.check()
            part.put_at(path)
            return
        except _Damaged as error:
            part.remove()
            if damaged:
                raise Corrupt(_sentence(url, path, f"{error}, twice")) from error
            damaged = True
        except Refused as error:
            if not error.passing:
                raise error.kind(_sentence(url, path, error.reason)) from error
            came = part.size >= furthest + _STEP_BYTES
            failures, furthest = (0, part.size) if came else (failures + 1, furthest)
            if failures >= retries.attempts:
                raise Unavailable(
                    _sentence(url, path, f"{error.reason}, {failures} times in a row")
                ) from error
            time.sleep(retries.first_wait_s * 2 ** (failures - 1))
        finally:
            part.close()


def _sentence(url: str, path: Path, reason: str) -> str:
    return (
        f"{without_secrets(url)} cannot be downloaded ({reason}). Check the address and the "
        f"network, or save the file as {path} yourself."
    )


class _Damaged(Exception):
    """The bytes are not those that the server announced."""


class _Part:
    """An unfinished download, in one file for each version of the source."""

    def __init__(self, url: str, path: Path, doing: str, on_progress: Progress) -> None:
        self._url, self._path, self._doing, self._on_progress = url, path, doing, on_progress
        self._facts = Facts(None, None, None)
        self._place: Path | None = next(self._all(), None)
        self._descriptor: int | None = None
        self._told = 0
        self.size = self._place.stat().st_size if self._place else 0

    def has_begun(self, facts: Facts) -> bool:
        """Tell whether the part on disk is the beginning of this version."""
        return bool(
            self._place
            and facts.version
            and self._place == self._place_of(facts)
            and self.size <= (facts.size or self.size)
        )

    def begin(self, facts: Facts, at: int) -> None:
        """Open the part of this version, truncated at byte `at`, and delete those of others."""
        with self._explained():
            self._facts, self._place, self.size = facts, self._place_of(facts), at
            for other in self._all():
                if other != self._place or not at:
                    other.unlink()
            self._check_room()
            self._descriptor = os.open(
                self._place, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666
            )
            os.ftruncate(self._descriptor, at)
            os.lseek(self._descriptor, at, os.SEEK_SET)
        self._told = at
        self._on_progress(at, facts.size)

    def write(self, chunk: bytes) -> int:
        """Append a chunk; delete the part if the disk is full."""
        if self._descriptor is None:
            raise ValueError("the download has not begun")
        with self._explained():
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        self.size += len(chunk)
        if self._facts.size is not None and self.size > self._facts.size:
            raise _Damaged(f"more than the {self._facts.size} bytes that were announced arrived")
        if self.size >= self._told + _STEP_BYTES:
            self._told = self.size
            self._on_progress(self.size, self._facts.size)
        return len(chunk)

    def check(self) -> None:
        """Compare the part on disk with the size and checksum that the server announced."""
        facts = self._facts
        if facts.size is not None and self.size < facts.size:
            raise Refused(
                Unavailable,
                f"the connection ended after {self.size} of {facts.size} bytes",
                passing=True,
            )
        if facts.crc32c is not None and self._place:
            with self._explained(), open(self._place, "rb") as source:
                crc = staging.checksum(source)
            if crc != facts.crc32c:
                raise _Damaged(
                    f"its CRC32C is {crc:08x}, but the server announced {facts.crc32c:08x}"
                )

    def put_at(self, path: Path) -> None:
        """Flush the part to the disk and rename it to its final name."""
        if self._descriptor is None or not self._place:
            raise ValueError("the download has not begun")
        with self._explained():
            os.fsync(self._descriptor)
            os.replace(self._place, path)
            staging.sync_folder(path.parent)
        self._on_progress(self.size, self.size)

    def remove(self) -> None:
        """Delete the part."""
        self.close()
        for part in self._all():
            with suppress(OSError):
                part.unlink()
        self._place, self.size = None, 0

    def close(self) -> None:
        """Close the part and keep it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _all(self) -> Iterator[Path]:
        return self._path.parent.glob(f".{glob.escape(self._path.name)}.*.part")

    def _place_of(self, facts: Facts) -> Path:
        version = hashlib.sha256(f"{self._url}\n{facts.version}".encode()).hexdigest()[:16]
        return self._path.with_name(f".{self._path.name}.{version}.part")

    def _check_room(self) -> None:
        if (
            self._facts.size is not None
            and shutil.disk_usage(self._path.parent).free < self._facts.size - self.size
        ):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Convert errors of the disk at once, so that they are not taken for the network's."""
        try:
            with staging.explained(self._doing):
                yield
        except StorageError:
            self.remove()
            raise


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the lock; the kernel releases that of a dead process."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
