"""What a sprite reaches, compared with what photos do."""

import math
from collections.abc import Iterable, Mapping

from diamond_cutter.storage.sets.records import SpriteScores


def with_photo_ratios(
    sprites: Iterable[SpriteScores], photo_highest: Mapping[int, float]
) -> tuple[SpriteScores, ...]:
    """Return the scores with their photo ratio, where they have none and it can be told.

    Args:
        sprites: of one layer.
        photo_highest: the highest activation on any photo, by channel; a channel that no photo
            excites has no ratio.
    """
    return tuple(
        sprite.model_copy(
            update={
                "photo_ratio": _ratio(sprite.highest_activation, photo_highest.get(sprite.channel))
            }
        )
        if sprite.photo_ratio is None
        else sprite
        for sprite in sprites
    )


def _ratio(highest: float | None, on_photos: float | None) -> float | None:
    if highest is None or on_photos is None or not 0.0 < on_photos < math.inf:
        return None
    return round(highest / on_photos, 4)
