"""Scikit-learn's handwritten digits as a folder of images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def write_digits(folder: Path, classes: Sequence[int], each: int, first: int = 0) -> Path:
    """Write images of some digits, with a folder for each; `first` skips images of each class."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for digit in classes:
        place = folder / f"digit {digit}"
        place.mkdir(parents=True, exist_ok=True)
        for number in np.flatnonzero(digits.target == digit)[first : first + each]:
            pixels = np.uint8(np.round(digits.images[number] * 255 / 16))
            Image.fromarray(pixels).resize((16, 16), Image.Resampling.NEAREST).save(
                place / f"{number:04d}.png"
            )
    return folder
