"""A folder of images as users have them: good ones in folders by class, and all that can go wrong
beside them.
"""

from pathlib import Path

import numpy as np
from PIL import Image

HOSTILE = 'a "quoted" <script>alert(1)<\\script>\n.png'
GOOD, REFUSED = 10, ("empty.jpg", "notes.txt", "cut.jpg", "text.png")


def make_images(folder: Path) -> Path:
    """Write ten images of two classes, one of each with a hostile name or an odd form, and four
    files that are none.
    """
    stream = np.random.default_rng(0)
    for label in ("goldfish", "not a class"):
        (folder / label).mkdir(parents=True)
        for number in range(4):
            pixels = stream.integers(0, 255, (40, 56, 3), np.uint8) // (1 + number)
            Image.fromarray(pixels).save(folder / label / f"{number}.jpg")
    Image.fromarray(stream.integers(0, 255, (30, 30, 4), np.uint8)).save(
        folder / "goldfish" / HOSTILE
    )
    Image.fromarray(stream.integers(0, 255, (1, 1), np.uint8)).save(
        folder / "not a class" / "one pixel.png"
    )
    (folder / "goldfish" / "empty.jpg").touch()
    (folder / "goldfish" / "notes.txt").write_text("not an image")
    whole = (folder / "goldfish" / "0.jpg").read_bytes()
    (folder / "not a class" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "not a class" / "text.png").write_text("not an image either")
    return folder
