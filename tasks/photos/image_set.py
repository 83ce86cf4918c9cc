"""Describe the user's images before they are decoded.

All classes can be pickled, because one process finds the images and others read them.
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
    ".npy": "NPY",
}
# An image with the maximum of pixels, four channels and 16 bits is hardly larger than this.
MAX_FILE_BYTES = 768 << 20

# The part of a dataset that an image belongs to, if its owner has divided it.
Split = Literal["train", "test"]

_SURROGATE = re.compile("[\ud800-\udfff]")


class BadPhotos(DiamondCutterError):
    """A place has no usable photos; the message is one sentence with a remedy."""


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An existing image, which may turn out to be unreadable.

    name: the unique path below the folder, with `/`, in valid Unicode. Backslashes are doubled, and
        bytes without a meaning become `\\xff`. The name is untrusted, so pages must escape it.
    place: an absolute path, or `gs://bucket/object`.
    """

    name: str
    place: str
    label: str | None = None
    class_index: int | None = None
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class BadImage:
    """A skipped file, or a row of labels.csv without an image; shown as `name: reason`."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The images in a folder and its subfolders.

    name: the folder's name and a short hash, as in the bucket's keys: `holiday@1a2b3c4d`.
    images: in the order of their names.
    labels: the source of the labels.
    digest: the full hash over names, contents and the labels of labels.csv.
    """

    name: str
    images: tuple[FoundImage, ...]
    refused: tuple[BadImage, ...]
    labels: Literal["folders", "labels.csv"] | None
    digest: str


def printable(text: str) -> str:
    """Return a text as valid Unicode; undecodable bytes become `\\xff`."""
    return _SURROGATE.sub(_backslashed, text)


def shown_name(below: str) -> str:
    """Return the unique name of the image at a path below the folder."""
    return printable(below.replace("\\", "\\\\"))


def _backslashed(surrogate: re.Match[str]) -> str:
    code = ord(surrogate[0])
    # Each of these surrogates stands for one byte: see `os.fsdecode`.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
