"""What lies in a folder of this machine or of Google Cloud Storage: the files that may be images,
and why the others are none.
"""

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

NO_IMAGE = f"it does not end as images do: {', '.join(SUFFIXES)}"
# More than a table of ImageNet's 1.3 million images has; in memory, a table takes many times as
# much as in the file.
MAX_LABELS_BYTES = 64 << 20
_LEADS_OUT = "it is a link that leads out of the folder"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be an image: its path below the folder, where it is, and what tells its
    content if that is known unread.
    """

    below: str
    place: str
    content: str | None = None


@dataclass(slots=True)
class Listing:
    """What was found: the folder's name, the bytes of its labels.csv if it has one, candidates, and
    files that are none.
    """

    folder: str
    labels: bytes | None = None
    candidates: list[Candidate] = field(default_factory=list)
    refused: list[BadImage] = field(default_factory=list)

    def refuse(self, below: str, reason: str) -> None:
        """Note why a file is none of the images."""
        self.refused.append(BadImage(shown_name(below), reason))


def list_place(place: str) -> Listing:
    """Return what is in a folder, given as a path, a `file://` URL or a `gs://` URL, and in those
    below it, without hidden ones.

    Raises:
        BadPhotos: there is no such folder, nothing in it may be an image, or its labels.csv cannot
            be read.
        StorageError: the cloud does not answer, or not to us.
    """
    found = split_url(place, "Photos") if place else None
    if isinstance(found, GcsUrl):
        listing = _list_cloud(place, found)
    elif found is not None and os.path.isdir(found):
        listing = _FolderWalk(Path(os.path.realpath(found))).listing
    else:
        raise BadPhotos(
            f"photos {printable(place)} is not a folder; give one that has images in it"
        )
    if not listing.candidates:
        raise no_image(place, listing.refused)
    return listing


def no_image(place: str, refused: list[BadImage]) -> BadPhotos:
    """Return what is to be raised where nothing is an image; what came close is named."""
    close = next(
        (f" ({bad.name!r}: {bad.reason})" for bad in refused if bad.reason != NO_IMAGE), ""
    )
    return BadPhotos(
        f"no image is in the folder {printable(place)}{close}; images are files that end in "
        f"{', '.join(SUFFIXES)}"
    )


def no_labels(place: str, reason: str) -> BadPhotos:
    """Return the error for a labels.csv that cannot be read."""
    return BadPhotos(
        f"{LABELS_FILE} in {printable(place)} cannot be used: {reason}; replace the file, or "
        "remove it"
    )


def why_unreadable(error: OSError) -> str:
    """Return in plain words why a file cannot be read."""
    if isinstance(error, FileNotFoundError):
        return "it is not there any more"
    if isinstance(error, PermissionError):
        return "it may not be read by this user"
    return f"it cannot be read ({error.strerror})" if error.strerror else str(error)


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
            sum_of_all = "unknown" if found.crc32c is None else f"{found.crc32c:08x}"
            listing.candidates.append(
                Candidate(found.name, found.url, f"{sum_of_all}-{found.size}")
            )
    return listing


def _why_no_candidate(below: str, size: int) -> str | None:
    if PurePosixPath(below).suffix.lower() not in SUFFIXES:
        return NO_IMAGE
    if size > MAX_FILE_BYTES:
        return (
            f"it is of {size >> 20:,} MiB, more than the {MAX_FILE_BYTES >> 20:,} that an "
            "image may have"
        )
    return None


class _FolderWalk:
    """Walks through a folder of this machine; each real folder once, however many links lead
    to it.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self.listing = Listing(root.name or "photos")
        self._walked = set[str]()
        # Links wait until all folders have been walked, so that what is there under its own name is
        # found under it.
        links = deque[str]()
        links.extend(self._walk(""))
        while links:
            below = links.popleft()
            if os.path.realpath(self._place(below)) in self._walked:
                self.listing.refuse(below, "it is a link to a folder that is looked at already")
            else:
                links.extend(self._walk(below))

    def _walk(self, below: str) -> list[str]:
        """Look through a folder and those in it, and return the links to folders, in order."""
        pending, links = [below], list[str]()
        while pending:
            folder = pending.pop()
            self._walked.add(os.path.realpath(self._place(folder)))
            for entry in self._entries(folder):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.name.startswith("."):
                    continue
                reason, is_folder = self._look(entry, path)
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
            self.listing.refuse(below or ".", f"{why_unreadable(error)}, nor what is in it")

    def _look(self, entry: "os.DirEntry[str]", below: str) -> tuple[str | None, bool]:
        """Return why an entry is refused, or None, and whether it is a folder."""
        try:
            if entry.is_symlink() and not self._is_inside(os.path.realpath(entry.path)):
                return _LEADS_OUT, False
            status = entry.stat()
        except FileNotFoundError:
            return (
                "it is a link to nothing" if entry.is_symlink() else "it is not there any more",
                False,
            )
        except OSError as error:
            return why_unreadable(error), False
        if stat.S_ISDIR(status.st_mode):
            return None, True
        if below == LABELS_FILE:
            return None, False
        if reason := _why_no_candidate(below, status.st_size):
            return reason, False
        return None if stat.S_ISREG(status.st_mode) else "it is not a regular file", False

    def _labels(self, path: str) -> bytes:
        try:
            return read_regular(path, MAX_LABELS_BYTES)
        except OSError as error:
            raise no_labels(self._root, why_unreadable(error)) from error

    def _is_inside(self, real: str) -> bool:
        return real == self._root or real.startswith(os.path.join(self._root, ""))

    def _place(self, below: str) -> str:
        return os.path.join(self._root, below) if below else self._root
