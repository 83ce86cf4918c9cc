"""The random transforms that a sprite must withstand: shift, scale and rotation, drawn for each sprite and step.

A transform is one affine map, float32 `[6]` = (a, b, c, d, e, f): the network's input at column x, row y shows the image
at column a*x + b*y + c, row d*x + e*y + f. All of a sprite's transforms are drawn on the host and applied in one
resampling of fixed shape, whatever their kind, so that nothing is compiled anew when a recipe changes.
"""

import numpy as np
import tensorflow as tf

from tasks.rendering.recipe import RenderRecipe

_GREY = 0.5


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


@tf.custom_gradient
def _warped(images: tf.Tensor, maps: tf.Tensor, input_px: tf.Tensor) -> tuple[tf.Tensor, object]:
    image_px, output_px = int(images.shape[1]), int(tf.get_static_value(input_px))

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
        # The adjoint of a resampling is, but for the kernel's width, the resampling by the inverse map over the map's
        # determinant. The exact one would scatter, which costs four times as much and couples threads.
        inverse, determinant = _inverse(maps)
        return resample(upstream, inverse, image_px, fill=0.0) / determinant[:, None, None, None], None, None

    return resample(images, maps, output_px, fill=_GREY), gradient


def warp(images: tf.Tensor, maps: tf.Tensor, input_px: int) -> tf.Tensor:
    """Show images through their affine maps, on grey.

    Args:
        images: float32 `[batch, height, width, channel]`.
        maps: float32 `[batch, 6]`.
        input_px: side of the result.

    Returns:
        float32 `[batch, input_px, input_px, channel]`.
    """
    return _warped(images, maps, tf.constant(input_px))


def resample(images: tf.Tensor, maps: tf.Tensor, output_px: int, fill: float) -> tf.Tensor:
    """Sample images bilinearly at the places that affine maps name; outside an image lies `fill`.

    The four neighbours of a place are laid side by side first, so that one gather of fixed shape fetches them all.
    """
    batch, height, width, channels = (int(side) for side in images.shape)
    framed = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=fill)
    quads = tf.concat([framed[:, :-1, :-1], framed[:, :-1, 1:], framed[:, 1:, :-1], framed[:, 1:, 1:]], axis=-1)
    column, row = _sources(maps, output_px)
    column = tf.clip_by_value(column, -1.0, width - 1e-3) + 1.0
    row = tf.clip_by_value(row, -1.0, height - 1e-3) + 1.0
    left, top = tf.floor(column), tf.floor(row)
    first = tf.range(batch)[:, None, None] * ((height + 1) * (width + 1))
    place = first + tf.cast(top, tf.int32) * (width + 1) + tf.cast(left, tf.int32)
    fetched = tf.gather(tf.reshape(quads, [-1, 4 * channels]), place)
    x, y = column - left, row - top
    weights = tf.stack([(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x], axis=-1)
    corners = tf.reshape(fetched, [batch, output_px, output_px, 4, channels])
    return tf.reduce_sum(corners * weights[..., None], axis=3)


def _sources(maps: tf.Tensor, output_px: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the columns and rows, each `[batch, output_px, output_px]`, that the maps send each output pixel to."""
    along = tf.range(output_px, dtype=tf.float32)
    x, y = along[None, None, :], along[None, :, None]
    a, b, c, d, e, f = (maps[:, part, None, None] for part in range(6))
    return a * x + b * y + c, d * x + e * y + f


def _inverse(maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the inverse maps and the determinants of the maps."""
    a, b, c, d, e, f = tf.unstack(maps, axis=1)
    determinant = a * e - b * d
    inverse = tf.stack([e, -b, b * f - e * c, -d, a, d * c - a * f], axis=1) / determinant[:, None]
    return inverse, determinant
