"""Writes a new folder outside of buckets: it appears with all its files, or not at all."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diamond_cutter.storage.errors import StorageError
from diamond_cutter.storage.staging import (
    LEFTOVER_AGE_S,
    explained,
    flush,
    make_folders,
    staging_name,
    sync_folder,
)


def check_new_folder(folder: Path) -> None:
    """Check that a folder can be written: it is missing or empty.

    Raises:
        StorageError: it is a file, has files, or cannot be replaced.
    """
    place = folder.resolve()
    with explained(f"write the folder {folder}"):
        if not place.exists():
            return
        if not place.is_dir():
            raise StorageError(f"{folder} is a file: expected a folder. Give a new folder.")
        if next(place.iterdir(), None) is not None:
            raise StorageError(
                f"folder {folder} has files: expected a new or empty folder. Give another folder."
            )
        if place.is_mount() or place == Path.cwd():
            raise StorageError(
                f"folder {folder} cannot be replaced, because it is the current folder or a disk. "
                "Give a new folder inside it."
            )


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside `folder`; flush and rename it at the end.

    After an error, the temporary folder is deleted. One that a killed process left behind is
    deleted by the next call for the same folder, a day later.

    Raises:
        StorageError: the folder is not new or empty, or cannot be written.
    """
    check_new_folder(folder)
    place = folder.resolve()
    beginning = f".{place.name}.partial."
    # Names may have at most 255 bytes.
    temporary = place.parent / f"{beginning[-100:]}{staging_name()}"
    try:
        with explained(f"write the folder {folder}"):
            make_folders(place.parent)
            _sweep(place.parent, beginning[-100:])
            temporary.mkdir()
            yield temporary
            _flush(temporary)
            temporary.rename(place)
            sync_folder(place.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Flush all files in a folder, and their names, to the disk."""
    for parent, _folders, files in os.walk(folder):
        for name in files:
            with open(Path(parent) / name, "r+b") as file:
                flush(file)
        sync_folder(Path(parent))


def _sweep(parent: Path, beginning: str) -> None:
    oldest_s = time.time() - LEFTOVER_AGE_S
    for entry in parent.iterdir():
        # Another process can delete it first, and folders of other users are protected.
        with suppress(OSError):
            if entry.name.startswith(beginning) and entry.stat().st_mtime < oldest_s:
                shutil.rmtree(entry, ignore_errors=True)
