"""Random transforms of a sprite: shift, scale and rotation, drawn for each sprite and step.

A transform is one affine map, float32 `[6]` = (a, b, c, d, e, f): the network's input at x columns
and y rows from its centre shows the image at column a*x + b*y + c, row d*x + e*y + f.

The host draws all transforms, and one resampling of fixed shape applies them. So nothing is
compiled again when a recipe changes them.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.tasks.rendering.gradients import with_gradient
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

_GRADIENT = "DiamondCutterWarp"

# No small multiple, sum or difference of these square roots is nearly a whole number, so their
# multiples, modulo 1, stay far apart.
_STRIDES = np.sqrt([2.0, 22.0, 33.0, 57.0])
_SIDE_STRIDE = np.sqrt(3.0)


class Views(NamedTuple):
    """The transforms of a batch at each step, or draw.

    maps: float32 `[step, batch, 6]`.
    sides: index into the recipe's `input_sides_px`, int32 `[step]`.
    """

    maps: npt.NDArray[np.float32]
    sides: npt.NDArray[np.int32]


def input_sides(recipe: RenderRecipe, count: int) -> npt.NDArray[np.int32]:
    """Return each step's index into `input_sides_px`, int32 `[count]`, evenly mixed."""
    ends = np.cumsum([len(scales) for scales in recipe.scales_by_side]) / len(recipe.scale)
    return np.searchsorted(
        ends, (0.5 + np.arange(count) * _SIDE_STRIDE) % 1.0, side="right"
    ).astype(np.int32)


def draw_transforms(
    stream: np.random.Generator, recipe: RenderRecipe, count: int
) -> npt.NDArray[np.float32]:
    """Draw transforms from the recipe's distribution, float32 `[count, 6]`.

    The scale of each fits its step's input side. Each is distributed as an independent draw, but
    together they spread more evenly (`_spread`).
    """
    shares, sides = _spread(stream, count), input_sides(recipe, count)
    shift = np.stack([_jitter(shares[:, axis], recipe.jitter_px) for axis in range(2)], axis=1)
    by_side = np.stack([_choice(shares[:, 2], scales) for scales in recipe.scales_by_side])
    angle = np.radians(_choice(shares[:, 3], recipe.rotate_degrees))
    return affine_maps(shift, by_side[sides, np.arange(count)], angle, recipe.size_px)


def _spread(stream: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Return points whose every run fills the unit cube evenly, float64 `[count, 4]` in [0, 1).

    They are an additive recurrence (Weyl 1916) from a random start.
    """
    return (stream.random(4) + np.arange(count)[:, None] * _STRIDES) % 1.0


def _choice(shares: npt.NDArray[np.float64], values: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Return the value at each share of the way through the sorted values."""
    return np.sort(values)[(shares * len(values)).astype(int)]


def _jitter(
    shares: npt.NDArray[np.float64], amplitudes: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Return shifts in pixels about 0: the sums of random crops, as lucid's `jitter` makes them."""
    ways = np.ones(1)
    for amplitude in amplitudes:
        ways = np.convolve(ways, np.ones(amplitude + 1))
    return np.searchsorted(np.cumsum(ways), shares * ways.sum(), side="right") - sum(amplitudes) / 2


def affine_maps(
    shift: npt.NDArray[np.float64],
    factor: npt.NDArray[np.float64],
    angle: npt.NDArray[np.float64],
    image_px: int,
) -> npt.NDArray[np.float32]:
    """Return affine maps, float32 `[count, 6]`: scale and turn about the centre, then shift.

    Args:
        shift: `[count, 2]`, columns and rows in pixels of the image.
        factor: `[count]`, above 1 the image looks larger.
        angle: `[count]`, radians.
        image_px: side of the image.
    """
    cosine, sine = np.cos(angle) / factor, np.sin(angle) / factor
    centre = (image_px - 1) / 2 + shift
    return np.stack([cosine, -sine, centre[:, 0], sine, cosine, centre[:, 1]], axis=1).astype(
        np.float32
    )


def warp(
    images: tf.Tensor, maps: tf.Tensor, input_px: tuple[int, int], pad_px: int, pad_value: float
) -> tf.Tensor:
    """Show images through their affine maps, in a frame on black, as lucid's transforms do.

    Args:
        images: float32 `[batch, height, width, channel]`.
        maps: float32 `[batch, 6]`.
        input_px: rows and columns of the result.
        pad_px: width of the frame.
        pad_value: what the frame is filled with.

    Returns:
        float32 `[batch, *input_px, channel]`.
    """
    return _warped(tf.convert_to_tensor(images), maps, input_px, pad_px, pad_value)


@tf.function(autograph=False)
def _warped(
    images: tf.Tensor, maps: tf.Tensor, input_px: tuple[int, int], pad_px: int, pad_value: float
) -> tf.Tensor:
    seen = _resample(images, maps, input_px, pad_px, pad_value)
    return with_gradient(_GRADIENT, seen, images, maps)


@tf.RegisterGradient(_GRADIENT)
def _gradient_of_warp(
    op: tf.Operation, upstream: tf.Tensor, *_unused: tf.Tensor
) -> tuple[None, tf.Tensor, None]:
    # Except for the kernel's width, the adjoint of a resampling is that by the inverse map over the
    # map's determinant. The exact adjoint would scatter: twice the time for the same
    # sprites.
    seen, images, maps = op.inputs
    image_px = int(images.shape[1])
    inverse, determinant = _inverse(maps, image_px, tuple(seen.shape[1:3]))
    return None, _divided(upstream, inverse, (image_px, image_px), determinant), None


@tf.function(jit_compile=True, autograph=False)
def _divided(
    images: tf.Tensor, maps: tf.Tensor, output_px: tuple[int, int], by: tf.Tensor
) -> tf.Tensor:
    return _resample(images, maps, output_px) / by[:, None, None, None]


# Compiled even where the loop is not. Fused, the gathers take a third of the time of TensorFlow's
# own resampling.
@tf.function(jit_compile=True, autograph=False)
def _resample(
    images: tf.Tensor,
    maps: tf.Tensor,
    output_px: tuple[int, int],
    pad_px: int = 0,
    pad_value: float = 0.0,
) -> tf.Tensor:
    """Sample framed images bilinearly at the places of affine maps; beyond the frame they are 0."""
    framed = tf.pad(
        images, [[0, 0], [pad_px, pad_px], [pad_px, pad_px], [0, 0]], constant_values=pad_value
    )
    # A border of one black pixel: places further out are read from it.
    ground = tf.pad(framed, [[0, 0], [1, 1], [1, 1], [0, 0]])
    batch, height, width, planes = ground.shape
    flat = tf.reshape(ground, [batch, height * width, planes])
    row, column = tf.meshgrid(
        *(tf.range(side, dtype=tf.float32) - (side - 1) / 2 for side in output_px), indexing="ij"
    )
    a, b, c, d, e, f = (value[:, None, None] for value in tf.unstack(maps, axis=1))
    x, y = a * column + b * row + c + (pad_px + 1.0), d * column + e * row + f + (pad_px + 1.0)
    left, top = tf.floor(x), tf.floor(y)

    def corner(across: float, down: float) -> tf.Tensor:
        at_x = tf.clip_by_value(left + across, 0.0, width - 1.0)
        at_y = tf.clip_by_value(top + down, 0.0, height - 1.0)
        weight = (1.0 - tf.abs(x - left - across)) * (1.0 - tf.abs(y - top - down))
        return (
            tf.gather(flat, tf.cast(at_y * width + at_x, tf.int32), axis=1, batch_dims=1)
            * weight[..., None]
        )

    return corner(0.0, 0.0) + corner(1.0, 0.0) + corner(0.0, 1.0) + corner(1.0, 1.0)


def enlarged(maps: tf.Tensor, factor: float) -> tf.Tensor:
    """Return maps, float32 `[batch, 6]`, that show the same in an input `factor` times as large."""
    return maps / tf.constant([factor, factor, 1.0, factor, factor, 1.0])


def _inverse(
    maps: tf.Tensor, image_px: int, input_px: tuple[int, int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the maps from the image's places to the input's, and the determinants of the maps."""
    a, b, c, d, e, f = tf.unstack(maps, axis=1)
    determinant = a * e - b * d
    column, row = (image_px - 1) / 2 - c, (image_px - 1) / 2 - f
    middle_row, middle_column = (determinant * (side - 1) / 2 for side in input_px)
    inverse = tf.stack(
        [e, -b, e * column - b * row + middle_column, -d, a, a * row - d * column + middle_row],
        axis=1,
    )
    return inverse / determinant[:, None], determinant
