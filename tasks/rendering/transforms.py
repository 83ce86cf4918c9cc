"""The random transforms that a sprite must withstand: shift, scale and rotation, drawn for each sprite and step.

A transform is one affine map, float32 `[6]` = (a, b, c, d, e, f): the network's input at column x, row y shows the image
at column a*x + b*y + c, row d*x + e*y + f. All of a sprite's transforms are drawn on the host and applied in one
resampling of fixed shape, whatever their kind, so that nothing is compiled anew when a recipe changes.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tasks.rendering.recipe import RenderRecipe

_GREY = 0.5
_Gradient = Callable[[tf.Tensor], tuple[tf.Tensor, None]]


def draw_transforms(stream: np.random.Generator, recipe: RenderRecipe, count: int) -> np.ndarray:
    """Draw transforms from the recipe's distribution, float32 `[count, 6]`."""
    half_jitter = recipe.jitter_px / 2
    shift = stream.uniform(-half_jitter, half_jitter, (count, 2))
    factor = stream.uniform(*recipe.scale, count)
    # As in lucid, about every fifth picture stands upright.
    angle = np.radians(stream.uniform(-recipe.rotate_degrees, recipe.rotate_degrees, count)) * (stream.random(count) >= 0.2)
    return affine_maps(shift, factor, angle, recipe.size_px, recipe.input_px)


def affine_maps(shift: np.ndarray, factor: np.ndarray, angle: np.ndarray, image_px: int, input_px: int) -> np.ndarray:
    """Return the affine maps that scale and turn an image about its centre and then move it.

    Args:
        shift: `[count, 2]`, columns and rows in pixels of the image.
        factor: `[count]`, above 1 the image looks larger.
        angle: `[count]`, radians.
        image_px: side of the image.
        input_px: side of the network's input.
    """
    cosine, sine = np.cos(angle) / factor, np.sin(angle) / factor
    image_centre, input_centre = (image_px - 1) / 2, (input_px - 1) / 2
    column = image_centre + shift[:, 0] - (cosine - sine) * input_centre
    row = image_centre + shift[:, 1] - (sine + cosine) * input_centre
    return np.stack([cosine, -sine, column, sine, cosine, row], axis=1).astype(np.float32)


def warp(images: tf.Tensor, maps: tf.Tensor, input_px: int, pad_px: int) -> tf.Tensor:
    """Show images through their affine maps: framed in grey, and on black beyond the frame, as lucid's transforms leave them.

    Args:
        images: float32 `[batch, height, width, channel]`.
        maps: float32 `[batch, 6]`.
        input_px: side of the result.
        pad_px: width of the grey frame.

    Returns:
        float32 `[batch, input_px, input_px, channel]`.
    """
    image_px = int(images.shape[1])

    @tf.custom_gradient
    def warped(images: tf.Tensor, maps: tf.Tensor) -> tuple[tf.Tensor, _Gradient]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
            # The adjoint of a resampling is, but for the kernel's width, the resampling by the inverse map over the map's
            # determinant. The exact one would scatter: twice the time for the same sprites.
            inverse, determinant = _inverse(maps)
            return _resample(upstream, inverse, image_px) / determinant[:, None, None, None], None

        framed = tf.pad(images, [[0, 0], [pad_px, pad_px], [pad_px, pad_px], [0, 0]], constant_values=_GREY)
        return _resample(framed, maps + tf.constant([0.0, 0.0, pad_px, 0.0, 0.0, pad_px]), input_px), gradient

    return warped(images, maps)


def _resample(images: tf.Tensor, maps: tf.Tensor, output_px: int) -> tf.Tensor:
    """Sample images bilinearly at the places that affine maps name; outside an image lies 0."""
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.pad(maps, [[0, 0], [0, 2]]),
        output_shape=[output_px, output_px],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )


def _inverse(maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the inverse maps and the determinants of the maps."""
    a, b, c, d, e, f = tf.unstack(maps, axis=1)
    determinant = a * e - b * d
    inverse = tf.stack([e, -b, b * f - e * c, -d, a, d * c - a * f], axis=1) / determinant[:, None]
    return inverse, determinant
