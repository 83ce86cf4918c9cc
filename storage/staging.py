"""Files that are whole or absent: written aside, flushed to the disk, then put in their place under
one name.
"""

import errno
import fcntl
import io
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from diamond_cutter.storage.errors import AccessDenied, NotFound, StorageError, Unavailable

LEFTOVER_AGE_S = 24 * 3600
LOCK_NAME = "lock"
_CHUNK_BYTES = 1 << 20
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that is written and flushed, but not in its place."""

    path: Path
    size: int
    crc32c: int


def staging_name() -> str:
    """Return a file name that no other writer uses, on this host or another."""
    return f"{os.uname().nodename}.{os.getpid()}.{uuid.uuid4().hex}"


@contextmanager
def staged(path: Path, source: BinaryIO) -> Iterator[Staged]:
    """Write what is left of `source` to the new file `path` and flush it; remove what is still at
    `path` at the end.
    """
    with empty(path) as target:
        size, crc = copy(source, target)
        flush(target)
        yield Staged(path, size, crc)


@contextmanager
def empty(path: Path) -> Iterator[BinaryIO]:
    """Make the new file `path` to be written, and remove what is still at `path` at the end."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "w+b") as target:
            yield target
    finally:
        with suppress(OSError):
            path.unlink()


def flush(target: BinaryIO) -> None:
    """Flush what was written to the disk."""
    target.flush()
    os.fsync(target.fileno())


def copy(source: BinaryIO, target: BinaryIO) -> tuple[int, int]:
    """Write what is left of `source` to `target`; return its size in bytes and its CRC32C."""
    size, crc = 0, 0
    for chunk in _chunks(source):
        target.write(chunk)
        size, crc = size + len(chunk), google_crc32c.extend(crc, chunk)
    return size, crc


def checksum(source: BinaryIO) -> int:
    """Return the CRC32C of what is left of `source`."""
    crc = 0
    for chunk in _chunks(source):
        crc = google_crc32c.extend(crc, chunk)
    return crc


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    return iter(partial(source.read, _CHUNK_BYTES), b"")


@contextmanager
def opened(data: bytes | Path) -> Iterator[BinaryIO]:
    """Give the bytes, or those of a file, as a file to read.

    Raises:
        NotFound: there is no such file.
        StorageError: the file cannot be opened.
    """
    if isinstance(data, bytes):
        yield io.BytesIO(data)
        return
    try:
        source = open(data, "rb")
    except FileNotFoundError as error:
        raise NotFound(
            f"There is no file {data} to keep in the bucket; give the path of a file that exists."
        ) from error
    except OSError as error:
        raise StorageError(
            f"File {data} cannot be read ({error.strerror}); give a file that you may read."
        ) from error
    with source:
        yield source


def redate(path: Path, after: os.stat_result | None) -> os.stat_result:
    """Date the file to the nanosecond, later than the version that it is to replace; return its new
    status.
    """
    # The kernel dates files by its clock tick, milliseconds apart, and inodes are used again at
    # once: without this, an old token could name a new version.
    now_ns = max(time.time_ns(), after.st_mtime_ns + 1 if after else 0)
    os.utime(path, ns=(now_ns, now_ns))
    return os.stat(path)


def make_folders(folder: Path) -> None:
    """Make the folder and its parents, each flushed to the disk.

    Raises:
        NotADirectoryError: something else stands in the way; `filename` tells what.
    """
    if folder.is_dir():
        return
    make_folders(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise NotADirectoryError(
                errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)
            ) from None
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in the folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network filesystems cannot flush a folder, and have nothing to flush either.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextmanager
def locked(staging: Path) -> Iterator[None]:
    """Keep every other thread and process out; the kernel lets go when the holder dies."""
    make_folders(staging)
    descriptor = os.open(staging / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sweep(staging: Path) -> None:
    """Remove what killed writers left behind more than a day ago."""
    oldest_s = time.time() - LEFTOVER_AGE_S
    for entry in os.scandir(staging):
        # Another process may sweep too, and another user's leftovers may not be ours to remove.
        with suppress(OSError):
            if entry.name != LOCK_NAME and entry.stat(follow_symlinks=False).st_mtime < oldest_s:
                os.unlink(entry.path)


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn the system's errors into ours; `doing` completes "Not allowed to ..."."""
    try:
        yield
    except OSError as error:
        raise _explain(error, doing) from error


def _explain(error: OSError, doing: str) -> StorageError:
    found = (
        f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror or error)
    )
    if error.errno in _NO_SPACE:
        return Unavailable(
            f"No space left to {doing}; free some, or give a folder on another disk."
        )
    if error.errno in _NOT_ALLOWED:
        return AccessDenied(
            f"Not allowed to {doing} ({found}); have its permissions changed, or give another "
            "folder."
        )
    return Unavailable(
        f"Not able to {doing} ({found}); look at the disk or give another folder, then try again."
    )
