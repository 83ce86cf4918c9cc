"""Finds and decodes the user's images. Files from anywhere: whatever is in one costs that image, not the run."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from storage.layout import escape

SUFFIXES = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"}
_FOLDER_NAME_LENGTH = 60


class BadPhotos(Exception):
    """A folder of photos cannot be used; the text is one sentence with the remedy."""


class UnreadablePhoto(Exception):
    """A file is no image, or none that can be taken."""


def list_photos(folder: str) -> list[Path]:
    """Return the image files in a folder and those below it, in order of their paths, without hidden ones.

    Raises:
        BadPhotos: it is no folder, or has none.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise BadPhotos(f"photos {folder} is not a folder; give one that has images in it")
    found = []
    for below, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(below, name) for name in files if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES]
    if not found:
        raise BadPhotos(f"no image is in the folder {folder}; images are files that end in {', '.join(SUFFIXES)}")
    return sorted(found)


def photos_name(folder: str, files: Sequence[Path]) -> str:
    """Name a folder's images by its name and their content, as in the bucket's keys: `holiday@1a2b3c4d`."""
    root = Path(folder).expanduser()
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{_content_hash(file)} {file.relative_to(root).as_posix()}\n".encode(errors="surrogateescape"))
    name = root.resolve().name or "photos"
    return f"{escape(name[:_FOLDER_NAME_LENGTH])}@{digest.hexdigest()[:8]}"


def _content_hash(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return "unreadable"


def check_channels(channels: int) -> None:
    """Refuse to show photos to a model of images that are neither colour nor grey.

    Raises:
        BadPhotos: it is such a model.
    """
    if channels not in (1, 3):
        raise BadPhotos(f"photos have 3 channels, or 1 in grey, but the model takes images of {channels}; leave --photos out")


def read_photo(file: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Return an image as a model sees it: upright, filling the model's sides, the middle of what is too long; grey for one channel.

    Args:
        file: the image.
        shape: height, width and channels, 1 or 3.

    Returns:
        float32 of that shape with values in [0, 1].

    Raises:
        UnreadablePhoto: it is no image, or one of more pixels than Pillow takes.
    """
    height, width, channels = shape
    try:
        with warnings.catch_warnings():
            # Of a few kilobytes an image can be made that takes gigabytes.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=sorted(set(SUFFIXES.values()))) as image:
                # A JPEG can be decoded to a fraction of its size; twice what is needed leaves the rest to the resampling.
                image.draft(None, (2 * width, 2 * height))
                upright = _in_colour(ImageOps.exif_transpose(image))
        fitted = ImageOps.fit(upright if channels == 3 else upright.convert("L"), (width, height), Image.Resampling.BICUBIC)
        return np.asarray(fitted, np.float32).reshape(shape) / 255
    except Exception as error:  # whatever a decoder makes of rubbish
        raise UnreadablePhoto(f"{file.name}: {error or type(error).__name__}") from error


def _in_colour(image: Image.Image) -> Image.Image:
    """Return an image in RGB, what is transparent laid on white."""
    if image.mode.startswith("I;16"):
        # Pillow would cut off all above 255.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("its values have no known range")
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        return opaque.convert("RGB")
    return image.convert("RGB")
