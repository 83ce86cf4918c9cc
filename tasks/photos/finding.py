"""Finds the images that a user brings, in a folder or in somebody's bucket, and what they are
labelled with.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from diamond_cutter.regular_files import open_regular
from diamond_cutter.storage.parallel import in_threads
from diamond_cutter.storage.sets.layout import escape
from diamond_cutter.tasks.photos.image_set import (
    BadImage,
    FoundImage,
    ImageSet,
    printable,
    shown_name,
)
from diamond_cutter.tasks.photos.labels import Row, match_labels, read_labels
from diamond_cutter.tasks.photos.listing import (
    Candidate,
    Listing,
    list_place,
    no_image,
    why_unreadable,
)

_FOLDER_NAME_LENGTH, _KEY_LENGTH = 60, 180
_HASHED_AT_ONCE = 4


def find_images(place: str) -> ImageSet:
    """Return the images in a folder and in those below it, without hidden ones; `place` is a path,
    a `file://` or a `gs://` URL.

    Every file of a folder of this machine is read once, for the hash; Google Cloud Storage is asked
    for the checksums that it has.

    Raises:
        BadPhotos: there is no such folder, no image in it can be read, or its labels.csv cannot be
            used.
        StorageError: the cloud does not answer, or not to us.
    """
    listing = list_place(place)
    contents = _contents(listing)
    if not contents:
        raise no_image(place, listing.refused)
    said, unknown = _said(listing, list(contents), place)
    images = [FoundImage(shown_name(candidate.below), candidate.place) for candidate in contents]
    labels: Literal["folders", "labels.csv"] | None = None if said is None else "labels.csv"
    if said is not None:
        images = [
            replace(image, label=row.label, class_index=row.class_index)
            if (row := said.get(image.name))
            else image
            for image in images
        ]
    elif all("/" in image.name.lstrip("/") for image in images):
        labels, images = (
            "folders",
            [replace(image, label=image.name.lstrip("/").partition("/")[0]) for image in images],
        )
    digest = _digest(contents, images if said is not None else ())
    return ImageSet(
        name=f"{_short(printable(listing.folder))}@{digest[:8]}",
        images=tuple(sorted(images, key=lambda image: image.name)),
        refused=tuple(sorted([*listing.refused, *unknown], key=lambda bad: (bad.name, bad.reason))),
        labels=labels,
        digest=digest,
    )


def _short(folder: str) -> str:
    """Return a folder's name as part of a key, cut off behind a whole letter: what is no plain
    letter takes several characters.
    """
    name = folder[:_FOLDER_NAME_LENGTH]
    while len(escape(name)) > _KEY_LENGTH:
        name = name[:-1]
    return escape(name)


def check_images(place: str) -> None:
    """Refuse a place that has no images or a labels.csv that cannot be used, as far as can be told
    without reading an image.

    Raises:
        BadPhotos, StorageError: as by `find_images`.
    """
    listing = list_place(place)
    _said(listing, listing.candidates, place)


def _contents(listing: Listing) -> dict[Candidate, str]:
    """Return what tells the content of each candidate that can be read, in the order of their
    paths; the others are refused.
    """
    ordered = sorted(listing.candidates, key=lambda candidate: candidate.below.split("/"))
    contents = dict[Candidate, str]()
    for candidate, content in zip(
        ordered, in_threads(_HASHED_AT_ONCE, _content, ordered), strict=True
    ):
        if isinstance(content, OSError):
            listing.refuse(candidate.below, why_unreadable(content))
        else:
            contents[candidate] = content
    return contents


def _content(candidate: Candidate) -> str | OSError:
    if candidate.content is not None:
        return candidate.content
    try:
        with open_regular(candidate.place) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return error


def _said(
    listing: Listing, candidates: Sequence[Candidate], place: str
) -> tuple[dict[str, Row] | None, list[BadImage]]:
    """Return by image what labels.csv says of it, or None where there is none, and the lines that
    name no image.
    """
    if listing.labels is None:
        return None, []
    names = [shown_name(candidate.below) for candidate in candidates]
    return match_labels(
        read_labels(listing.labels, place), names, (bad.name for bad in listing.refused), place
    )


def _digest(contents: dict[Candidate, str], labelled: Sequence[FoundImage]) -> str:
    """Return the SHA-256 of what the images are called and hold, and of what a table says of
    them.
    """
    digest = hashlib.sha256()
    for candidate, content in contents.items():
        digest.update(f"{content} {candidate.below}\n".encode(errors="surrogateescape"))
    for image in labelled:
        digest.update(json.dumps([image.name, image.label, image.class_index]).encode() + b"\n")
    return digest.hexdigest()
