"""Image parameterisations: Fourier coefficients, or their phases alone, in decorrelated colours.

After Olah, Mordvintsev and Schubert 2017, "Feature Visualization"
(https://distill.pub/2017/feature-visualization), with the constants of lucid's `param.fft_image`
and `param.to_valid_rgb`; and after Fel et al. 2023, "Unlocking Feature Visualization for Deeper
Networks with MAgnitude Constrained Optimization" (https://arxiv.org/abs/2306.06805).

The optimised parameters are float32 `[part, batch, plane, height, width // 2 + 1]`: the real and
the imaginary part of a real image's half spectrum, or one part, its phases. An image is float32
`[batch, height, width, plane]` with values in (0, 1). Its planes are the model's channels, usually
red, green and blue, and opacity if the recipe has `alpha`. Only three channels are decorrelated:
the correlations of others are unknown.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.tasks.rendering.gradients import with_gradient
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.spectrum import (
    COLOR_FROM_DECORRELATED,
    magnitudes,
    radial_frequencies,
)
from diamond_cutter.tasks.rendering.trace_key import TraceKey

ToImage = Callable[[tf.Tensor], tf.Tensor]

_GRADIENT = "DiamondCutterInverseFourier"
# Standard deviation of a background's first spectrum, as in lucid's `collapse_alpha_random`.
_BACKGROUND_SD = 0.5


def parameters_shape(
    recipe: RenderRecipe | TraceKey, channels: int = 3
) -> tuple[int, int, int, int]:
    """Return the shape of one sprite's parameters, [part, plane, height, width // 2 + 1].

    Args:
        recipe: its parameterisation, size and opacity.
        channels: of the model's image.
    """
    return (
        1 if recipe.parameterisation == "maco" else 2,
        channels + recipe.alpha,
        recipe.size_px,
        recipe.size_px // 2 + 1,
    )


def initial_parameters(
    stream: np.random.Generator, recipe: RenderRecipe, channels: int = 3
) -> npt.NDArray[np.float32]:
    """Draw one sprite's first parameters, float32 of `parameters_shape`."""
    shape = parameters_shape(recipe, channels)
    if recipe.parameterisation == "maco":
        return stream.uniform(-np.pi, np.pi, shape).astype(np.float32)
    return stream.standard_normal(shape, np.float32) * np.float32(recipe.initial_sd)


def to_image(recipe: RenderRecipe | TraceKey, channels: int = 3) -> ToImage:
    """Return the function from parameters to images, shaped as at the top of this module."""
    size_px = recipe.size_px
    if recipe.parameterisation == "maco":
        spectrum = recipe.spectrum if channels == 3 else recipe.spectrum[:1]
        fixed = tf.constant(magnitudes(spectrum, size_px, parameters_shape(recipe, channels)[1]))
        return lambda parameters: _phases_to_image(parameters[0], fixed, size_px, channels)
    return lambda parameters: fourier_image(parameters, size_px, recipe.decay_power, channels)


def fourier_image(
    parameters: tf.Tensor, size_px: int, decay_power: float, channels: int = 3
) -> tf.Tensor:
    """Return the images of spectra, their real and imaginary parts in `parameters`."""
    scale = tf.constant(frequency_scale(size_px, decay_power))
    return _in_colour(
        _fourier_planes(tf.convert_to_tensor(parameters), scale), colours=channels == 3
    )


# TensorFlow's gradient takes four passes over the spectrum. This takes one, for the same numbers.
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


def frequency_scale(size_px: int, decay_power: float) -> npt.NDArray[np.float32]:
    """Return the factor of each coefficient, float32 [height, width // 2 + 1].

    It is sqrt(height * width) / max(frequency, 1 / size) ** decay_power, over 4. Energy then falls
    as in natural images, so that one learning rate fits all frequencies.
    """
    scale = size_px / np.maximum(radial_frequencies(size_px), 1.0 / size_px) ** decay_power / 4.0
    return scale.astype(np.float32)


def _phases_to_image(phases: tf.Tensor, fixed: tf.Tensor, size_px: int, channels: int) -> tf.Tensor:
    """Return images of fixed magnitudes; phases are `[batch, plane, height, width // 2 + 1]`."""
    first, last = (_odd(phases[..., column], size_px)[..., None] for column in (0, size_px // 2))
    phases = tf.concat([first, phases[..., 1:-1], last], axis=-1)
    planes = tf.signal.irfft2d(
        tf.complex(fixed * tf.cos(phases), fixed * tf.sin(phases)), fft_length=[size_px, size_px]
    )
    return _in_colour(planes, colours=channels == 3)


def _odd(column: tf.Tensor, size_px: int) -> tf.Tensor:
    """Make phases `[..., height]` odd about frequency 0, from those above it.

    In the first and the last column of its half spectrum, a real image has each coefficient and its
    conjugate. The inverse transform takes the mean of both, and the mean of two phases is shorter
    than either.
    """
    zero, above = tf.zeros_like(column[..., :1]), column[..., 1 : size_px // 2]
    return tf.concat([zero, above, zero, -tf.reverse(above, [-1])], axis=-1)


# Compiled even where the loop is not: one pass over the planes replaces a transposition and a
# product.
@tf.function(jit_compile=True, autograph=False)
def _in_colour(planes: tf.Tensor, colours: bool) -> tf.Tensor:
    """Turn decorrelated planes `[batch, plane, height, width]` into images."""
    if not colours:
        # Each channel is scaled as brightness is in colours, so that the same learning rates fit.
        return tf.sigmoid(tf.transpose(planes, [0, 2, 3, 1]) * COLOR_FROM_DECORRELATED[:, 0].mean())
    matrix, count = _colours(planes.shape[1]), planes.shape[1]
    mixed = [
        sum(matrix[colour, plane] * planes[:, plane] for plane in range(count))
        for colour in range(count)
    ]
    return tf.sigmoid(tf.stack(mixed, axis=-1))


def _colours(planes: int) -> npt.NDArray[np.float32]:
    """Return the matrix from decorrelated planes to colours; opacity stays as it is."""
    matrix = np.eye(planes, dtype=np.float32)
    matrix[:3, :3] = COLOR_FROM_DECORRELATED
    return matrix


def backgrounds(seeds: tf.Tensor, size_px: int, channels: int = 3) -> tf.Tensor:
    """Draw a background for each member, noise with the frequencies and colours of natural images.

    After lucid's `transform.collapse_alpha_random`.

    Args:
        seeds: int32 `[batch, 2]`. Each member has its own, so that its background does not depend
            on the others.
        size_px: side of the image.
        channels: of the model's image.

    Returns:
        float32 `[batch, size_px, size_px, channels]` in (0, 1).
    """
    shape = [2, channels, size_px, size_px // 2 + 1]
    drawn = [tf.random.stateless_normal(shape, seed, alg="philox") for seed in tf.unstack(seeds)]
    return fourier_image(_BACKGROUND_SD * tf.stack(drawn, axis=1), size_px, 1.0, channels)


def laid_on(images: tf.Tensor, behind: tf.Tensor) -> tf.Tensor:
    """Lay images with opacity as their last plane on others with one plane less.

    Both are float32 `[batch, height, width, plane]`.
    """
    opacity = images[..., -1:]
    return images[..., :-1] * opacity + behind * (1.0 - opacity)


def in_colours(images: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    """Return pictures that show images of any channels in colours.

    One channel is grey, and of more than three the first three are red, green and blue.

    Args:
        images: uint8 `[batch, height, width, plane]`, a plane for each channel, and one for opacity
            if there is any.
        channels: of the model's image.

    Returns:
        uint8 `[batch, height, width, 3]`, or with opacity 4.
    """
    shown = [images[..., [0, 0, 0] if channels == 1 else slice(3)]]
    if channels == 2:
        shown.append(np.zeros_like(images[..., :1]))
        shown[0] = images[..., :2]
    return np.concatenate([*shown, images[..., channels:]], axis=-1)
