"""Find the user's images and their labels, in a local folder or in Google Cloud Storage."""

import hashlib
import json
from collections.abc import Mapping, Sequence
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
from diamond_cutter.tasks.photos.labels import SPLITS, Row, match_labels, read_labels
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
    """Return the images in a folder and its subfolders, without hidden ones.

    For the hash, it reads each file of a local folder once. Google Cloud Storage already has
    checksums.

    Args:
        place: a path, a `file://` URL or a `gs://` URL.

    Raises:
        BadPhotos: the folder is missing or has no readable image, or its labels.csv is not valid.
        StorageError: the cloud is unreachable or denies access.
    """
    listing = list_place(place)
    contents = _contents(listing)
    if not contents:
        raise no_image(place, listing.refused)
    rows, unknown = _table_rows(listing, list(contents), place)
    images = [FoundImage(shown_name(candidate.below), candidate.place) for candidate in contents]
    images, labels = _labelled(images, rows)
    digest = _digest(contents, images if rows is not None else ())
    return ImageSet(
        name=f"{_key_part(printable(listing.folder))}@{digest[:8]}",
        images=tuple(sorted(images, key=lambda image: image.name)),
        refused=tuple(sorted([*listing.refused, *unknown], key=lambda bad: (bad.name, bad.reason))),
        labels=labels,
        digest=digest,
    )


def _labelled(
    images: list[FoundImage], rows: Mapping[str, Row] | None
) -> tuple[list[FoundImage], Literal["folders", "labels.csv"] | None]:
    """Return the images with labels, and the source of the labels.

    Args:
        images: the images without labels.
        rows: the rows of labels.csv by image name, or None without a labels.csv.
    """
    if rows is not None:
        return [
            replace(image, label=row.label, class_index=row.class_index, split=row.split)
            if (row := rows.get(image.name))
            else image
            for image in images
        ], "labels.csv"
    below = [image.name.lstrip("/") for image in images]
    if not all("/" in name for name in below):
        return images, None
    if _are_splits(below):
        parts = [name.split("/") for name in below]
        return [
            replace(image, label=part[1], split=SPLITS[part[0].lower()])
            for image, part in zip(images, parts, strict=True)
        ], "folders"
    return [
        replace(image, label=name.partition("/")[0])
        for image, name in zip(images, below, strict=True)
    ], "folders"


def _are_splits(below: Sequence[str]) -> bool:
    """Tell whether the top folders are parts, such as `train` and `val`, with classes in them."""
    tops = {name.partition("/")[0].lower() for name in below}
    return len(tops) > 1 and tops <= SPLITS.keys() and all(name.count("/") > 1 for name in below)


def _key_part(folder: str) -> str:
    """Return a folder's name as part of a key.

    The name is cut before escaping, because an escaped letter takes several characters.
    """
    name = folder[:_FOLDER_NAME_LENGTH]
    while len(escape(name)) > _KEY_LENGTH:
        name = name[:-1]
    return escape(name)


def check_images(place: str) -> None:
    """Check a place for images and a valid labels.csv, without reading an image.

    Raises:
        BadPhotos, StorageError: as in `find_images`.
    """
    listing = list_place(place)
    _table_rows(listing, listing.candidates, place)


def _contents(listing: Listing) -> dict[Candidate, str]:
    """Return a checksum of each readable candidate, in the order of their paths.

    Unreadable candidates are refused in the listing.
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


def _table_rows(
    listing: Listing, candidates: Sequence[Candidate], place: str
) -> tuple[dict[str, Row] | None, list[BadImage]]:
    """Return the rows of labels.csv by image name, and the rows that name no image.

    Returns:
        None instead of the rows if there is no labels.csv.
    """
    if listing.labels is None:
        return None, []
    names = [shown_name(candidate.below) for candidate in candidates]
    return match_labels(
        read_labels(listing.labels, place), names, (bad.name for bad in listing.refused), place
    )


def _digest(contents: dict[Candidate, str], labelled: Sequence[FoundImage]) -> str:
    """Return the SHA-256 over the images' names, contents and labels from a table."""
    digest = hashlib.sha256()
    for candidate, content in contents.items():
        digest.update(f"{content} {candidate.below}\n".encode(errors="surrogateescape"))
    for image in labelled:
        row = [image.name, image.label, image.class_index, image.split]
        # Without splits, the digest is that of earlier versions.
        digest.update(json.dumps(row if image.split else row[:3]).encode() + b"\n")
    return digest.hexdigest()
