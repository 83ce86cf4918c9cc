"""What can be said of a sprite without looking at it."""

import numpy as np

from storage.records import Flag, SpriteScores

# A sprite that never moved from its first spectrum has a contrast of 0.004; those of block_10 of EfficientNet-Lite0 have 0.22 to 0.32.
GREY_BELOW_CONTRAST = 0.05
SATURATED_ABOVE_SHARE = 0.5


def score_sprite(channel: int, picture: np.ndarray, objective: float, highest_activation: float) -> SpriteScores:
    """Return a sprite's scores and flags.

    Args:
        channel: its channel.
        picture: uint8 `[height, width, 3]`.
        objective: mean over fresh transforms.
        highest_activation: of its channel, over all positions and fresh transforms.
    """
    values = picture.astype(np.float32) / 255.0
    contrast, saturation = float(values.std()), float(((values < 0.02) | (values > 0.98)).mean())
    finite = bool(np.isfinite(objective) and np.isfinite(highest_activation))
    found: dict[Flag, bool] = {
        "dead": finite and highest_activation <= 0.0,
        "grey": contrast < GREY_BELOW_CONTRAST,
        "saturated": saturation > SATURATED_ABOVE_SHARE,
        "not_finite": not finite,
    }
    return SpriteScores(
        channel=channel,
        objective=round(objective, 6) if finite else None,
        highest_activation=round(highest_activation, 6) if finite else None,
        contrast=round(contrast, 4),
        saturation=round(saturation, 4),
        flags=tuple(flag for flag, holds in found.items() if holds),
    )
