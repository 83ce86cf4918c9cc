"""What stands behind a transparent sprite while it is optimised: another random picture at each
step.

After lucid's `transform.collapse_alpha_random`: noise with the frequencies and colours of natural
images.
"""

import tensorflow as tf

from diamond_cutter.tasks.rendering.image import fourier_image

_SD = 0.5


def backgrounds(seeds: tf.Tensor, size_px: int, channels: int = 3) -> tf.Tensor:
    """Draw a background for each batch element, float32 `[batch, size_px, size_px, channels]` with
    values in (0, 1).

    Args:
        seeds: int32 `[batch, 2]`; each element's own, so that it is the same in any company.
        size_px: side of the image.
        channels: the model's.
    """
    shape = [2, channels, size_px, size_px // 2 + 1]
    drawn = [tf.random.stateless_normal(shape, seed, alg="philox") for seed in tf.unstack(seeds)]
    return fourier_image(_SD * tf.stack(drawn, axis=1), size_px, 1.0, channels)


def laid_on(images: tf.Tensor, behind: tf.Tensor) -> tf.Tensor:
    """Lay images whose last plane is opacity, float32 `[batch, height, width, plane]`, on others
    with one plane less.
    """
    opacity = images[..., -1:]
    return images[..., :-1] * opacity + behind * (1.0 - opacity)
