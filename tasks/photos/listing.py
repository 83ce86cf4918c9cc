"""List a local folder or a folder in Google Cloud Storage: possible images and skipped files."""

import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from diamond_cutter.regular_files import check_size, read_regular
from diamond_cutter.storage.gcs.source_objects import list_objects, read_object
from diamond_cutter.storage.url import GcsUrl, split_url
from diamond_cutter.tasks.photos.image_set import (
    LABELS_FILE,
    MAX_FILE_BYTES,
    SUFFIXES,
    BadImage,
    BadPhotos,
    printable,
    shown_name,
)

NO_IMAGE = f"its name does not end with {', '.join(SUFFIXES)}"
# Larger than a table of ImageNet's 1.3 million images. In memory, a table takes many times its file
# size.
MAX_LABELS_BYTES = 64 << 20
_LEADS_OUT = "it is a link to a place outside the folder"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be an image.

    below: the path below the folder.
    place: the absolute path, or `gs://bucket/object`.
    content: a checksum, if it is known without reading the file.
    """

    below: str
    place: str
    content: str | None = None


@dataclass(slots=True)
class Listing:
    """The contents of a folder; `labels` are the bytes of its labels.csv."""

    folder: str
    labels: bytes | None = None
    candidates: list[Candidate] = field(default_factory=list)
    refused: list[BadImage] = field(default_factory=list)

    def refuse(self, below: str, reason: str) -> None:
        """Add a skipped file with a reason."""
        self.refused.append(BadImage(shown_name(below), reason))


def list_place(place: str) -> Listing:
    """Return the contents of a folder and its subfolders, without hidden files.

    Args:
        place: a path, a `file://` URL or a `gs://` URL.

    Raises:
        BadPhotos: the folder is missing or has no possible image, or its labels.csv is unreadable.
        StorageError: the cloud is unreachable or denies access.
    """
    found = split_url(place, "Photos") if place else None
    if isinstance(found, GcsUrl):
        listing = _list_cloud(place, found)
    elif found is not None and os.path.isdir(found):
        listing = _FolderWalk(Path(os.path.realpath(found))).listing
    else:
        raise BadPhotos(f"photos {printable(place)} is not a folder. Choose a folder with images.")
    if not listing.candidates:
        raise no_image(place, listing.refused)
    return listing


def no_image(place: str, refused: list[BadImage]) -> BadPhotos:
    """Return the error for a folder without images; it names the first skipped image."""
    skipped = next(
        (f" ({bad.name!r}: {bad.reason})" for bad in refused if bad.reason != NO_IMAGE), ""
    )
    return BadPhotos(
        f"folder {printable(place)} has no images{skipped}: expected files that end with "
        f"{', '.join(SUFFIXES)}"
    )


def no_labels(place: str, reason: str) -> BadPhotos:
    """Return the error for an unreadable labels.csv."""
    return BadPhotos(
        f"{LABELS_FILE} in {printable(place)} is unreadable: {reason}. Replace or remove the file."
    )


def why_unreadable(error: OSError) -> str:
    """Return the reason why a file is unreadable, in words."""
    if isinstance(error, FileNotFoundError):
        return "it does not exist any more"
    if isinstance(error, PermissionError):
        return "this user has no permission to read it"
    return f"it is unreadable ({error.strerror})" if error.strerror else str(error)


def _list_cloud(place: str, url: GcsUrl) -> Listing:
    names = [name for name in url.path.split("/") if name]
    listing = Listing(names[-1] if names else url.bucket)
    for found in list_objects(place):
        if any(name.startswith(".") for name in found.name.split("/")):
            continue
        if found.name == LABELS_FILE:
            try:
                check_size(found.size, MAX_LABELS_BYTES)
            except OSError as error:
                raise no_labels(place, str(error)) from error
            listing.labels = read_object(found.url)
        elif reason := _why_no_candidate(found.name, found.size):
            listing.refuse(found.name, reason)
        else:
            checksum = "unknown" if found.crc32c is None else f"{found.crc32c:08x}"
            listing.candidates.append(Candidate(found.name, found.url, f"{checksum}-{found.size}"))
    return listing


def _why_no_candidate(below: str, size: int) -> str | None:
    if PurePosixPath(below).suffix.lower() not in SUFFIXES:
        return NO_IMAGE
    if size > MAX_FILE_BYTES:
        return (
            f"its size is not valid: expected at most {MAX_FILE_BYTES >> 20:,} MiB, found "
            f"{size >> 20:,} MiB"
        )
    return None


class _FolderWalk:
    """Walks through a local folder; it visits each real folder once, even with links to it."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self.listing = Listing(root.name or "photos")
        self._walked = set[str]()
        # Links come after all folders, so that each file is found under its real path first.
        links = deque[str]()
        links.extend(self._walk(""))
        while links:
            below = links.popleft()
            if os.path.realpath(self._place(below)) in self._walked:
                self.listing.refuse(below, "it is a link to a folder that was listed already")
            else:
                links.extend(self._walk(below))

    def _walk(self, below: str) -> list[str]:
        """List a folder and its subfolders, and return the links to folders, sorted."""
        pending, links = [below], list[str]()
        while pending:
            folder = pending.pop()
            self._walked.add(os.path.realpath(self._place(folder)))
            for entry in self._entries(folder):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.name.startswith("."):
                    continue
                reason, is_folder = self._check(entry, path)
                if reason and path == LABELS_FILE:
                    raise no_labels(self._root, reason)
                if reason:
                    self.listing.refuse(path, reason)
                elif is_folder:
                    (links if entry.is_symlink() else pending).append(path)
                elif path == LABELS_FILE:
                    self.listing.labels = self._labels(entry.path)
                else:
                    self.listing.candidates.append(Candidate(path, entry.path))
        return sorted(links)

    def _entries(self, below: str) -> Iterator["os.DirEntry[str]"]:
        try:
            with os.scandir(self._place(below)) as entries:
                yield from entries
        except OSError as error:
            self.listing.refuse(below or ".", why_unreadable(error))

    def _check(self, entry: "os.DirEntry[str]", below: str) -> tuple[str | None, bool]:
        """Return the reason to skip an entry, or None, and whether it is a folder."""
        try:
            if entry.is_symlink() and not self._is_inside(os.path.realpath(entry.path)):
                return _LEADS_OUT, False
            status = entry.stat()
        except FileNotFoundError:
            return (
                "it is a broken link" if entry.is_symlink() else "it does not exist any more",
                False,
            )
        except OSError as error:
            return why_unreadable(error), False
        if stat.S_ISDIR(status.st_mode):
            return None, True
        if below == LABELS_FILE:
            return None, False
        reason = _why_no_candidate(below, status.st_size)
        return reason or (
            None if stat.S_ISREG(status.st_mode) else "it is not a regular file"
        ), False

    def _labels(self, path: str) -> bytes:
        try:
            return read_regular(path, MAX_LABELS_BYTES)
        except OSError as error:
            raise no_labels(self._root, why_unreadable(error)) from error

    def _is_inside(self, real: str) -> bool:
        return real == self._root or real.startswith(os.path.join(self._root, ""))

    def _place(self, below: str) -> str:
        return os.path.join(self._root, below) if below else self._root
