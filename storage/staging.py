"""Atomic writes: a file is written to a temporary name, flushed to the disk, then renamed."""

import errno
import fcntl
import io
import os
import tempfile
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
FOLDER_NAME = ".staging"
LOCK_NAME = "lock"
_CHUNK_BYTES = 1 << 20
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that is written and flushed under its temporary name."""

    path: Path
    size: int
    crc32c: int


def staging_name() -> str:
    """Return a file name that no other writer uses, on any host."""
    return f"{os.uname().nodename}.{os.getpid()}.{uuid.uuid4().hex}"


@contextmanager
def staged(path: Path, source: BinaryIO) -> Iterator[Staged]:
    """Write the rest of `source` to the new file `path` and flush it; delete `path` at the end."""
    with empty(path) as target:
        size, crc = copy(source, target)
        flush(target)
        yield Staged(path, size, crc)


@contextmanager
def empty(path: Path) -> Iterator[BinaryIO]:
    """Create the file `path` for writing, and delete `path` at the end."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "w+b") as target:
            yield target
    finally:
        with suppress(OSError):
            path.unlink()


def flush(target: BinaryIO) -> None:
    """Flush the file to the disk."""
    target.flush()
    os.fsync(target.fileno())


def copy(source: BinaryIO, target: BinaryIO) -> tuple[int, int]:
    """Copy the rest of `source` to `target`; return its size in bytes and its CRC32C."""
    size, crc = 0, 0
    for chunk in _chunks(source):
        target.write(chunk)
        size, crc = size + len(chunk), google_crc32c.extend(crc, chunk)
    return size, crc


def checksum(source: BinaryIO) -> int:
    """Return the CRC32C of the rest of `source`."""
    crc = 0
    for chunk in _chunks(source):
        crc = google_crc32c.extend(crc, chunk)
    return crc


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    return iter(partial(source.read, _CHUNK_BYTES), b"")


@contextmanager
def opened(data: bytes | Path) -> Iterator[BinaryIO]:
    """Open bytes, or a file, for reading.

    Raises:
        NotFound: the file does not exist.
        StorageError: the file cannot be opened.
    """
    if isinstance(data, bytes):
        yield io.BytesIO(data)
        return
    try:
        source = open(data, "rb")
    except FileNotFoundError as error:
        raise NotFound(f"file {data} does not exist. Give the path of an existing file.") from error
    except OSError as error:
        raise StorageError(
            f"file {data} cannot be read ({error.strerror}). Check its permissions."
        ) from error
    with source:
        yield source


def redate(path: Path, after: os.stat_result | None) -> os.stat_result:
    """Set the time of the file later than that of the version `after`; return its new status."""
    # The kernel's file times are milliseconds apart, and inodes are reused at once. With these
    # alone, an old token could match a new version.
    now_ns = max(time.time_ns(), after.st_mtime_ns + 1 if after else 0)
    os.utime(path, ns=(now_ns, now_ns))
    return os.stat(path)


def make_folders(folder: Path) -> None:
    """Create the folder and its parents, each flushed to the disk.

    Raises:
        NotADirectoryError: a part of the path is a file, named by `filename`.
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


def nearest_folder(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists.

    Raises:
        NotADirectoryError: it is a file, named by `filename`.
    """
    place = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    return place


def check_writable(folder: Path) -> None:
    """Write to a nameless file in the folder, or in the nearest one above it that exists.

    Raises:
        OSError: the file cannot be written.
    """
    with tempfile.TemporaryFile(dir=nearest_folder(folder)) as probe:
        probe.write(b"x")
        probe.flush()


def sync_folder(folder: Path) -> None:
    """Flush the names in the folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network filesystems cannot flush folders, and do not need to.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextmanager
def locked(staging: Path) -> Iterator[None]:
    """Exclude other threads and processes; the kernel releases the lock of a dead process."""
    make_folders(staging)
    descriptor = os.open(staging / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sweep(staging: Path) -> None:
    """Delete files that killed writers left more than a day ago."""
    oldest_s = time.time() - LEFTOVER_AGE_S
    for entry in os.scandir(staging):
        # Another process can delete them first, and files of other users are protected.
        with suppress(OSError):
            if entry.name != LOCK_NAME and entry.stat(follow_symlinks=False).st_mtime < oldest_s:
                os.unlink(entry.path)


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Convert errors of the system into StorageError; `doing` completes "cannot ..."."""
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
            f"no space left to {doing}. Free some space, or give a folder on another disk."
        )
    if error.errno in _NOT_ALLOWED:
        return AccessDenied(
            f"not allowed to {doing} ({found}). Change the permissions, or give another folder."
        )
    return Unavailable(
        f"cannot {doing} ({found}). Check the disk or give another folder, then try again."
    )
