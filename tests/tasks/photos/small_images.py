"""Images of a few pixels, as files and as bytes."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from diamond_cutter.tasks.photos.image_set import FoundImage

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def plain(colour: tuple[int, ...], height: int = 8, width: int = 8) -> np.ndarray:
    return np.full((height, width, len(colour)), colour, np.uint8)


def save(file: Path, values: np.ndarray | None = None, **options: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(plain(RED) if values is None else values).save(file, **options)
    return file


def encoded(values: np.ndarray, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    Image.fromarray(values).save(target, kind, **options)
    return target.getvalue()


def write(root: Path, *names: str) -> Path:
    """Put files into a folder, each of which holds its own name; what is in an image does not
    matter until it is read.
    """
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.fsencode(name))
    return root


def sparse(file: Path, size: int) -> Path:
    """Make a file of a size that takes no room on the disk."""
    file.touch()
    os.truncate(file, size)
    return file


def found(file: Path) -> FoundImage:
    return FoundImage(file.name, str(file))
