"""Scores of a sprite that need no look at it: numbers, flags, and comparison with photos."""

import math
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from diamond_cutter.storage.sets.records import Attempt, Flag, SpriteScores
from diamond_cutter.tasks.rendering.subjects import Member, Targets

# A sprite that never moved from its first spectrum has a contrast of 0.004; those of block_10 of
# EfficientNet-Lite0 have 0.22 to 0.32.
GREY_BELOW_CONTRAST = 0.05
SATURATED_ABOVE_SHARE = 0.5
# White noise has 1, give or take 0.2 on 32 pixels. Sprites of EfficientNet-Lite0 without such a
# pattern have 0.1 to 0.7.
CHECKERBOARD_ABOVE = 1.25


def score_sprite(
    member: Member,
    picture: npt.NDArray[np.uint8],
    objective: float,
    highest_activation: float,
    specificity: float | None = None,
    rung: Attempt = "first",
    *,
    can_be_dead: bool = True,
) -> SpriteScores:
    """Return a sprite's scores and flags.

    Args:
        member: its channel and variant.
        picture: uint8 `[height, width, 3]`, or 4 with opacity.
        objective: mean over fresh transforms.
        highest_activation: over all positions and fresh transforms.
        specificity: of `specificities`.
        rung: the attempt that drew it.
        can_be_dead: whether a channel that stays below zero is dead; false if it was pushed down.
    """
    values = on_white(picture).astype(np.float32) / 255.0
    contrast, grid = float(values.std()), checkerboard(values)
    saturation = _saturation(values, picture)
    finite = bool(np.isfinite(objective) and np.isfinite(highest_activation))
    flags = _flags(contrast, saturation, grid, highest_activation if finite else None, can_be_dead)
    return SpriteScores(
        channel=member.number,
        variant=member.variant,
        objective=_rounded(objective, 6) if finite else None,
        highest_activation=_rounded(highest_activation, 6) if finite else None,
        specificity=_rounded(specificity, 3),
        contrast=round(contrast, 4),
        saturation=round(saturation, 4),
        checkerboard=round(grid, 4),
        flags=flags,
        rung=rung,
    )


def _flags(
    contrast: float, saturation: float, grid: float, highest: float | None, can_be_dead: bool
) -> tuple[Flag, ...]:
    """Return the flags that hold; `highest` is None if a score is not finite."""
    found: dict[Flag, bool] = {
        "dead": can_be_dead and highest is not None and highest <= 0.0,
        "grey": contrast < GREY_BELOW_CONTRAST,
        "saturated": saturation > SATURATED_ABOVE_SHARE,
        "checkerboard": grid > CHECKERBOARD_ABOVE,
        "not_finite": highest is None,
    }
    return tuple(flag for flag, holds in found.items() if holds)


def _rounded(value: float | None, digits: int) -> float | None:
    """Return a value rounded, or None if it is missing or not finite."""
    return round(float(value), digits) if value is not None and np.isfinite(value) else None


def _saturation(values: npt.NDArray[np.float32], picture: npt.NDArray[np.uint8]) -> float:
    """Return the share of almost black or white values, in a picture with opacity where it shows.

    Args:
        values: the picture on white, float32 `[height, width, 3]` in [0, 1].
        picture: uint8 `[height, width, 3]`, or 4 with opacity.
    """
    extreme = (values < 0.02) | (values > 0.98)
    if picture.shape[2] == 4:
        extreme = extreme[picture[..., 3] > 127]
    return float(extreme.mean()) if extreme.size else 0.0


def specificities(
    means: npt.NDArray[np.float32], targets: tuple[Targets, ...]
) -> list[float | None]:
    """Return how far each picture's channel exceeds the layer's others, in standard deviations.

    Args:
        means: the mean activation of each channel under each picture, float32 `[batch, channel]`.
        targets: of each picture. One with several channels has no specificity.
    """
    channels = np.asarray(targets[0].channels)
    if len(targets) > 1 or channels.shape[1] > 1 or means.shape[1] < 3:
        return [None] * len(means)
    found: list[float | None] = []
    for values, (channel,), (sign,) in zip(
        means, channels, np.sign(targets[0].weights), strict=True
    ):
        others = np.delete(values, channel)
        others = others[np.isfinite(others)]
        spread = float(others.std()) if others.size else 0.0
        found.append(
            float(sign * (values[channel] - others.mean()) / spread) if spread > 0 else None
        )
    return found


def checkerboard(values: npt.NDArray[np.float32]) -> float:
    """Return the ratio of the mean power near the pixel grid's frequency to that an octave below.

    Strided convolutions leave patterns with a period of two pixels (Odena, Dumoulin and Olah 2016,
    "Deconvolution and Checkerboard Artifacts"). In a natural image power falls with frequency, so
    the ratio is below 1.

    Args:
        values: float32 `[height, width, 3]`.
    """
    grey = values.mean(axis=2)
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    vertical, horizontal = (
        np.abs(np.fft.fftfreq(grey.shape[0]))[:, None],
        np.abs(np.fft.fftfreq(grey.shape[1]))[None, :],
    )
    frequency = np.maximum(vertical, horizontal)
    below = power[(frequency >= 0.25) & (frequency < 0.4375)].mean()
    return float(power[frequency >= 0.4375].mean() / below) if below > 0 else 0.0


def on_white(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a picture without opacity: uint8 `[height, width, 4]` laid on white, 3 unchanged."""
    if picture.shape[2] == 3:
        return picture
    opacity = picture[..., 3:].astype(np.float32) / 255
    return np.round(picture[..., :3] * opacity + 255 * (1 - opacity)).astype(np.uint8)


def with_photo_ratios(
    sprites: Iterable[SpriteScores], photo_highest: Mapping[int, float]
) -> tuple[SpriteScores, ...]:
    """Return the scores of one layer's sprites, with missing photo ratios added where known.

    Args:
        sprites: of one layer.
        photo_highest: the highest activation on any photo, by channel. A channel that no photo
            excites has no ratio.
    """
    return tuple(
        sprite.model_copy(update={"photo_ratio": _photo_ratio(sprite, photo_highest)})
        if sprite.photo_ratio is None
        else sprite
        for sprite in sprites
    )


def _photo_ratio(sprite: SpriteScores, photo_highest: Mapping[int, float]) -> float | None:
    highest, on_photos = sprite.highest_activation, photo_highest.get(sprite.channel)
    if highest is None or on_photos is None or not 0.0 < on_photos < math.inf:
        return None
    return round(highest / on_photos, 4)
