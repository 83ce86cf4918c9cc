"""Reads files that users name: only regular files, and only as much as fits into memory."""

import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: str | Path) -> BufferedReader:
    """Open a regular file for reading.

    Raises:
        OSError: the file cannot be opened, or is a pipe, a socket or a device, which may never end.
    """
    # Without O_NONBLOCK, opening a pipe waits for its writer.
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError("it is not a regular file")
    return file


def read_regular(path: str | Path, max_bytes: int) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        OSError: the file cannot be opened, is not a regular file, or has more than `max_bytes`.
    """
    with open_regular(path) as file:
        check_size(os.fstat(file.fileno()).st_size, max_bytes)
        # The limit also holds for a file that grows while it is read.
        return file.read(max_bytes)


def check_size(size: int, max_bytes: int) -> None:
    """Refuse a file that is too large to be read whole.

    Raises:
        OSError: the file has more than `max_bytes`.
    """
    if size > max_bytes:
        raise OSError(f"it has {size:,} bytes: expected at most {max_bytes:,}")
