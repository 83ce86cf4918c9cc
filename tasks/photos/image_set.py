"""The images that a user brings: what is known of them before one is read.

All of it can be pickled: images are found in one process and read in others.
"""

import re
from dataclasses import dataclass
from typing import Literal

from diamond_cutter.errors import DiamondCutterError

LABELS_FILE = "labels.csv"
SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
# An image of as many pixels as are taken, in 16 bits and four channels, is hardly larger than this.
MAX_FILE_BYTES = 768 << 20

_SURROGATE = re.compile("[\ud800-\udfff]")


class BadPhotos(DiamondCutterError):
    """A place has no photos that can be used; the text is one sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that is there, though it may turn out to be unreadable.

    `name` is its path below the folder with '/' in it, valid Unicode, and no other image's: a
    backslash stands twice in it, and what is no text is written as `\\xff`. It is as hostile as
    whoever named the file, so whoever shows it escapes it. `place` is what it is read from: an
    absolute path, or `gs://bucket/object`.
    """

    name: str
    place: str
    label: str | None = None
    class_index: int | None = None


@dataclass(frozen=True, slots=True)
class BadImage:
    """A file that is not among the images, or a line of labels.csv that names none; `reason` goes
    behind its name and a colon.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The images in a folder and below it, in the order of their names.

    `name` is the folder's name and the hash of its images as the bucket's keys have them, such as
    `holiday@1a2b3c4d`; `digest` is that hash at full length, over names, contents and the labels of
    labels.csv. `labels` says where labels come from.
    """

    name: str
    images: tuple[FoundImage, ...]
    refused: tuple[BadImage, ...]
    labels: Literal["folders", "labels.csv"] | None
    digest: str


def printable(text: str) -> str:
    """Return a text as valid Unicode: bytes that were none become `\\xff`."""
    return _SURROGATE.sub(_backslashed, text)


def shown_name(below: str) -> str:
    """Return the name of the image at a path below the folder; two paths never have the same."""
    return printable(below.replace("\\", "\\\\"))


def _backslashed(surrogate: re.Match[str]) -> str:
    code = ord(surrogate[0])
    # These stand for one byte each: see `os.fsdecode`.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
