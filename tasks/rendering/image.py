"""The image parameterisations: Fourier coefficients, or their phases alone, in a decorrelated
colour space.

After Olah, Mordvintsev and Schubert 2017, "Feature Visualization"
(https://distill.pub/2017/feature-visualization), with the constants of lucid's `param.fft_image`
and `param.to_valid_rgb`; and after Fel et al. 2023, "Unlocking Feature Visualization for Deeper
Networks with MAgnitude Constrained Optimization" (https://arxiv.org/abs/2306.06805).

What is optimised is float32 `[part, batch, plane, height, width // 2 + 1]`: the real and the
imaginary part of a real image's half spectrum, or one part, its phases. An image is float32
`[batch, height, width, plane]` with values in (0, 1); its planes are the model's channels, red,
green and blue most often, and opacity if the recipe has `alpha`. Only of colours is it known how
they go together, so only they are decorrelated.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from diamond_cutter.tasks.rendering.named_gradient import with_gradient
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.spectrum import (
    COLOR_FROM_DECORRELATED,
    magnitudes,
    radial_frequencies,
)

ToImage = Callable[[tf.Tensor], tf.Tensor]

_GRADIENT = "DiamondCutterInverseFourier"


def parameters_shape(recipe: RenderRecipe, channels: int = 3) -> tuple[int, int, int, int]:
    """Return the shape of what is optimised for one sprite, [part, plane, height, width // 2 + 1];
    `channels` are the model's.
    """
    return (
        1 if recipe.parameterisation == "maco" else 2,
        channels + recipe.alpha,
        recipe.size_px,
        recipe.size_px // 2 + 1,
    )


def initial_parameters(
    stream: np.random.Generator, recipe: RenderRecipe, channels: int = 3
) -> np.ndarray:
    """Draw what one sprite starts from, float32 of `parameters_shape`."""
    shape = parameters_shape(recipe, channels)
    if recipe.parameterisation == "maco":
        return stream.uniform(-np.pi, np.pi, shape).astype(np.float32)
    return stream.standard_normal(shape, np.float32) * np.float32(recipe.initial_sd)


def to_image(recipe: RenderRecipe, channels: int = 3) -> ToImage:
    """Return what turns parameters `[part, batch, plane, height, width // 2 + 1]` into images
    `[batch, height, width, plane]`.
    """
    size_px = recipe.size_px
    if recipe.parameterisation == "maco":
        spectrum = recipe.spectrum if channels == 3 else recipe.spectrum[:1]
        fixed = tf.constant(magnitudes(spectrum, size_px, parameters_shape(recipe, channels)[1]))
        return lambda parameters: _phases_to_image(parameters[0], fixed, size_px, channels)
    return lambda parameters: fourier_image(parameters, size_px, recipe.decay_power, channels)


def fourier_image(
    parameters: tf.Tensor, size_px: int, decay_power: float, channels: int = 3
) -> tf.Tensor:
    """Return the images of spectra `[2, batch, plane, height, width // 2 + 1]`, real and imaginary
    part.
    """
    scale = tf.constant(frequency_scale(size_px, decay_power))
    return _in_colour(
        _fourier_planes(tf.convert_to_tensor(parameters), scale), colours=channels == 3
    )


# TensorFlow's gradient takes four passes over the spectrum where this takes one, for the same
# numbers.
@tf.function(autograph=False)
def _fourier_planes(parameters: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Scale spectra and transform them to planes `[batch, plane, height, width]`."""
    size_px = int(parameters.shape[-2])
    planes = tf.signal.irfft2d(_scaled(parameters, scale), fft_length=[size_px, size_px])
    return with_gradient(_GRADIENT, planes, parameters, scale)


@tf.RegisterGradient(_GRADIENT)
def _gradient_of_planes(
    op: tf.Operation, upstream: tf.Tensor, *_unused: tf.Tensor
) -> tuple[None, tf.Tensor, None]:
    scale = op.inputs[2]
    size_px = int(scale.shape[0])
    # All columns but the first and the last of a half spectrum stand for two coefficients.
    twice = np.full(size_px // 2 + 1, 2.0, np.float32)
    twice[[0, -1]] = 1.0
    return None, _parts(tf.signal.rfft2d(upstream), scale * (twice / size_px**2)), None


@tf.function(jit_compile=True, autograph=False)
def _scaled(parameters: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    return tf.complex(*tf.unstack(parameters * scale))


@tf.function(jit_compile=True, autograph=False)
def _parts(spectrum: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.math.real(spectrum) * factor, tf.math.imag(spectrum) * factor])


def frequency_scale(size_px: int, decay_power: float) -> np.ndarray:
    """Return what each coefficient is multiplied by, float32 [height, width // 2 + 1].

    sqrt(height * width) / max(frequency, 1 / size) ** decay_power, over 4: a natural image's fall
    of energy, at which one learning rate fits all frequencies.
    """
    scale = size_px / np.maximum(radial_frequencies(size_px), 1.0 / size_px) ** decay_power / 4.0
    return scale.astype(np.float32)


def _phases_to_image(phases: tf.Tensor, fixed: tf.Tensor, size_px: int, channels: int) -> tf.Tensor:
    """Return the images with the phases `[batch, plane, height, width // 2 + 1]` and magnitudes
    that stay.
    """
    first, last = (_odd(phases[..., column], size_px)[..., None] for column in (0, size_px // 2))
    phases = tf.concat([first, phases[..., 1:-1], last], axis=-1)
    planes = tf.signal.irfft2d(
        tf.complex(fixed * tf.cos(phases), fixed * tf.sin(phases)), fft_length=[size_px, size_px]
    )
    return _in_colour(planes, colours=channels == 3)


def _odd(column: tf.Tensor, size_px: int) -> tf.Tensor:
    """Make phases `[..., height]` odd about frequency 0, from those above it.

    In the first and the last column of its half spectrum, a real image has each coefficient and its
    conjugate. The inverse transform would take the mean of what stands there, and that of two
    phases is shorter than either.
    """
    zero, above = tf.zeros_like(column[..., :1]), column[..., 1 : size_px // 2]
    return tf.concat([zero, above, zero, -tf.reverse(above, [-1])], axis=-1)


# Compiled even where the rest is not: one pass over the planes instead of a transposition and a
# product.
@tf.function(jit_compile=True, autograph=False)
def _in_colour(planes: tf.Tensor, colours: bool) -> tf.Tensor:
    """Turn decorrelated planes `[batch, plane, height, width]` into images `[batch, height, width,
    plane]` in (0, 1).
    """
    if not colours:
        # As much for each channel as brightness has in colours, so that the same learning rates
        # fit.
        return tf.sigmoid(tf.transpose(planes, [0, 2, 3, 1]) * COLOR_FROM_DECORRELATED[:, 0].mean())
    matrix, count = _colours(planes.shape[1]), planes.shape[1]
    mixed = [
        sum(matrix[colour, plane] * planes[:, plane] for plane in range(count))
        for colour in range(count)
    ]
    return tf.sigmoid(tf.stack(mixed, axis=-1))


def _colours(planes: int) -> np.ndarray:
    """Return the matrix from decorrelated planes to red, green, blue; a fourth plane, opacity,
    stays what it is.
    """
    matrix = np.eye(planes, dtype=np.float32)
    matrix[:3, :3] = COLOR_FROM_DECORRELATED
    return matrix
