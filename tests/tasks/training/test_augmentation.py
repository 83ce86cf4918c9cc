"""Images are varied as far as asked, and the same again with the same seed."""

import numpy as np
import pytest

from diamond_cutter.tasks.training.augmentation import Augmentation, augmentation

# Dark on the left and light on the right, so that a mirror image is told from a turned one.
RAMP = np.broadcast_to(np.linspace(0, 255, 32)[None, None, :, None], (16, 32, 32, 3)).astype(
    np.uint8
)


def mirrored(images: np.ndarray) -> int:
    return int((images[:, :, :8].mean((1, 2, 3)) > images[:, :, -8:].mean((1, 2, 3))).sum())


def test_none_leaves_images_as_they_are() -> None:
    assert np.array_equal(augmentation(0, "none")(RAMP), RAMP)


@pytest.mark.parametrize("strength", ["light", "strong"])
def test_a_seed_gives_the_same_variations_and_another_others(strength: Augmentation) -> None:
    one, same, other = (augmentation(seed, strength)(RAMP) for seed in ([1, 2], [1, 2], [1, 3]))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert one.min() >= 0 and one.max() <= 255
    assert 0 < mirrored(one) < len(RAMP)
    assert mirrored(augmentation(1, strength, mirror=False)(RAMP)) == 0


def test_strong_varies_further_than_light() -> None:
    light, strong = (
        np.abs(augmentation(0, strength, mirror=False)(RAMP) - RAMP).mean()
        for strength in ("light", "strong")
    )
    assert strong > 1.5 * light > 0
