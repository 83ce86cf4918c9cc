"""The image parameterisation: Fourier coefficients in a decorrelated colour space.

After Olah, Mordvintsev and Schubert 2017, "Feature Visualization" (https://distill.pub/2017/feature-visualization), with
the constants of lucid's `param.fft_image` and `param.to_valid_rgb`. A spectrum is float32 `[2, batch, channel, height,
width // 2 + 1]` (real and imaginary part of a real image's half spectrum), an image float32 `[batch, height, width, channel]`
with values in (0, 1).
"""

import numpy as np
import tensorflow as tf

# Square root of the colour correlation of ImageNet, scaled so that its largest column has norm 1 (lucid's param/color.py).
_COLOR_CORRELATION_SQRT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
COLOR_FROM_DECORRELATED = _COLOR_CORRELATION_SQRT / np.linalg.norm(_COLOR_CORRELATION_SQRT, axis=0).max()


def spectrum_shape(size_px: int) -> tuple[int, int, int, int]:
    """Return the shape of one sprite's spectrum, [2, channel, height, width // 2 + 1]."""
    return (2, 3, size_px, size_px // 2 + 1)


def initial_spectrum(stream: np.random.Generator, size_px: int, sd: float) -> np.ndarray:
    """Draw one sprite's first spectrum, float32 of `spectrum_shape`."""
    return stream.standard_normal(spectrum_shape(size_px), np.float32) * np.float32(sd)


def frequency_scale(size_px: int, decay_power: float) -> np.ndarray:
    """Return what each coefficient is multiplied by, float32 [height, width // 2 + 1].

    sqrt(height * width) / max(frequency, 1 / size) ** decay_power, over 4: a natural image's fall of energy, at which
    one learning rate fits all frequencies.
    """
    vertical = np.fft.fftfreq(size_px)[:, None]
    horizontal = np.fft.rfftfreq(size_px)[None, :]
    frequency = np.hypot(vertical, horizontal)
    scale = size_px / np.maximum(frequency, 1.0 / size_px) ** decay_power / 4.0
    return scale.astype(np.float32)


def spectrum_to_image(spectrum: tf.Tensor, scale: tf.Tensor, size_px: int) -> tf.Tensor:
    """Turn spectra into images: inverse FFT, colours, sigmoid.

    Args:
        spectrum: float32 `[2, batch, 3, size_px, size_px // 2 + 1]`.
        scale: of `frequency_scale`.
        size_px: side of the image.

    Returns:
        float32 `[batch, size_px, size_px, 3]` with values in (0, 1), RGB.
    """
    scaled = spectrum * scale
    planes = tf.signal.irfft2d(tf.complex(scaled[0], scaled[1]), fft_length=[size_px, size_px])
    colours = tf.einsum("dc,bchw->bhwd", tf.constant(COLOR_FROM_DECORRELATED), planes)
    return tf.sigmoid(colours)
