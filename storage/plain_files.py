"""Reads files that users name: only plain ones, and only as much as fits into memory."""

import os
import stat
from io import BufferedReader
from pathlib import Path


def open_file(path: str | Path) -> BufferedReader:
    """Open a plain file to read it.

    Raises:
        OSError: it cannot be opened, or is no plain file: others may never end, or never begin.
    """
    # Without this flag, the other end of a pipe would be waited for.
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError("it is no plain file")
    return file


def read_file(path: str | Path, most_bytes: int) -> bytes:
    """Return the bytes of a plain file.

    Raises:
        OSError: it cannot be opened, is no plain file, or has more bytes than `most_bytes`.
    """
    with open_file(path) as file:
        check_size(os.fstat(file.fileno()).st_size, most_bytes)
        # A file may grow while it is read.
        return file.read(most_bytes)


def check_size(size: int, most_bytes: int) -> None:
    """Refuse a file that is too large to be read whole.

    Raises:
        OSError: it has more bytes than `most_bytes`.
    """
    if size > most_bytes:
        raise OSError(f"it has {size:,} bytes: expected at most {most_bytes:,}")
