"""The colours of the pages can be told apart by colour-blind readers, and text can be read."""

import re
from importlib import resources
from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

# Machado, Oliveira and Fernandes 2009, at full severity, of linear red, green and blue.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
VERDICTS = ("reliable", "order-only", "not-reliable")
INKS = ("ink", "quiet", "link", "flag-ink", "for-ink", "against-ink", *VERDICTS)


def palette(scheme: str) -> dict[str, np.ndarray]:
    """Return the colours of the shared style by name, as red, green and blue in [0, 1]."""
    style = resources.files("diamond_cutter.tasks.pages").joinpath("page/base.css").read_text()
    light, dark = re.findall(
        r":root \{\s*(?:color-scheme: light dark;)?\s*--page.*?\}", style, re.S
    )
    found = re.findall(r"--([a-z-]+): #([0-9a-f]{6});", dark if scheme == "dark" else light)
    return {name: np.array(list(bytes.fromhex(colour))) / 255 for name, colour in found}


def linear(colour: np.ndarray) -> np.ndarray:
    """Return the linear light of an sRGB colour."""
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def seen(colour: np.ndarray, vision: str) -> np.ndarray:
    """Return a colour as it looks, as CIELAB."""
    light = np.clip(VISIONS[vision] @ linear(colour), 0, 1)
    return rgb2lab(np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


def difference(colours: dict[str, np.ndarray], pair: tuple[str, str], vision: str) -> float:
    """Return the CIEDE2000 difference of two colours; 1 is just noticeable."""
    return float(deltaE_ciede2000(*(seen(colours[name], vision) for name in pair)))


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """Return the contrast ratio of WCAG 2."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted(float(weights @ linear(each)) for each in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("vision", VISIONS)
def test_for_and_against_differ_from_each_other_and_from_nothing(scheme: str, vision: str) -> None:
    colours = palette(scheme)
    assert difference(colours, ("for", "against"), vision) > 40
    assert difference(colours, ("for-ink", "against-ink"), vision) > 30
    for side in ("for", "against"):
        assert difference(colours, (side, "empty"), vision) > 25


# The mark of each verdict tells it too; so the colours need only differ visibly.
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("vision", VISIONS)
def test_verdicts_differ(scheme: str, vision: str) -> None:
    colours = palette(scheme)
    assert min(difference(colours, pair, vision) for pair in combinations(VERDICTS, 2)) > 11


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme: str) -> None:
    colours = palette(scheme)
    for ink in INKS:
        for ground in ("page", "raised"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for mark in ("for", "against", "flag", "dash"):
        assert contrast(colours[mark], colours["page"]) >= 3, mark
