"""What can be said of a sprite without looking at it."""

from typing import TYPE_CHECKING

import numpy as np

from diamond_cutter.storage.sets.records import Attempt, Flag, SpriteScores

if TYPE_CHECKING:
    from diamond_cutter.tasks.rendering.objectives import Targets
    from diamond_cutter.tasks.rendering.sprites import Member

# A sprite that never moved from its first spectrum has a contrast of 0.004; those of block_10 of
# EfficientNet-Lite0 have 0.22 to 0.32.
GREY_BELOW_CONTRAST = 0.05
SATURATED_ABOVE_SHARE = 0.5
# White noise has 1, give or take 0.2 on 32 pixels; sprites of EfficientNet-Lite0 with no such
# pattern have 0.1 to 0.7.
CHECKERBOARD_ABOVE = 1.25


def score_sprite(
    member: "Member",
    picture: np.ndarray,
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
        can_be_dead: whether a channel that stays below zero is dead; not one that was pushed down.
    """
    values = on_white(picture).astype(np.float32) / 255.0
    contrast, saturation = float(values.std()), float(((values < 0.02) | (values > 0.98)).mean())
    if picture.shape[2] == 4:
        saturation = (
            float(((values < 0.02) | (values > 0.98))[picture[..., 3] > 127].mean())
            if (picture[..., 3] > 127).any()
            else 0.0
        )
    grid = checkerboard(values)
    finite = bool(np.isfinite(objective) and np.isfinite(highest_activation))
    found: dict[Flag, bool] = {
        "dead": can_be_dead and finite and highest_activation <= 0.0,
        "grey": contrast < GREY_BELOW_CONTRAST,
        "saturated": saturation > SATURATED_ABOVE_SHARE,
        "checkerboard": grid > CHECKERBOARD_ABOVE,
        "not_finite": not finite,
    }
    return SpriteScores(
        channel=member.number,
        variant=member.variant,
        objective=round(float(objective), 6) if finite else None,
        highest_activation=round(float(highest_activation), 6) if finite else None,
        specificity=round(specificity, 3)
        if specificity is not None and np.isfinite(specificity)
        else None,
        contrast=round(contrast, 4),
        saturation=round(saturation, 4),
        checkerboard=round(grid, 4),
        flags=tuple(flag for flag, holds in found.items() if holds),
        rung=rung,
    )


def specificities(means: np.ndarray, targets: "tuple[Targets, ...]") -> list[float | None]:
    """Return how far each picture's channel stands out among the layer's others, in their standard
    deviations.

    Args:
        means: the mean activation of each channel under each picture, float32 `[batch, channel]`.
        targets: what each picture looks for; one that looks for several channels has no
            specificity.
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


def checkerboard(values: np.ndarray) -> float:
    """Return the mean power within a sixteenth of the pixel grid's own frequency, over that of the
    octave below.

    Strided convolutions leave patterns of a period of two pixels behind (Odena, Dumoulin and Olah
    2016, "Deconvolution and Checkerboard Artifacts"); in a natural image power falls with
    frequency, so the share is below 1.

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


def on_white(picture: np.ndarray) -> np.ndarray:
    """Lay a picture with opacity, uint8 `[height, width, 4]`, on white; return any other as it is.
    uint8 `[height, width, 3]`.
    """
    if picture.shape[2] == 3:
        return picture
    opacity = picture[..., 3:].astype(np.float32) / 255
    return np.round(picture[..., :3] * opacity + 255 * (1 - opacity)).astype(np.uint8)
