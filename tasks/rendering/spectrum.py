"""Statistics of natural images: the correlation of their colours, and their frequency spectrum.

The renderer parameterises an image before the sigmoid, in decorrelated colours. A spectrum has a
row for each of these colours, or one for all: the mean magnitude of the discrete Fourier transform
over the side of the image, at each of `FREQUENCIES`. The recipe `maco` keeps these magnitudes while
it optimises phases.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

# Square root of the colour correlation of ImageNet, scaled so that its largest column has norm 1
# (lucid's param/color.py).
_COLOR_CORRELATION_SQRT = np.array(
    [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32
)
COLOR_FROM_DECORRELATED = (
    _COLOR_CORRELATION_SQRT / np.linalg.norm(_COLOR_CORRELATION_SQRT, axis=0).max()
)

# Cycles per pixel, in half octaves up to the highest of a pixel grid.
FREQUENCIES = 2.0 ** np.arange(-8.0, -0.9, 0.5)

Spectrum = tuple[tuple[float, ...], ...]

_LEAST_SIDE_PX = 32
# Values beyond this are clipped in photographs. The inverse of the sigmoid would turn them into
# spikes.
_DARKEST = 0.02


def radial_frequencies(size_px: int) -> npt.NDArray[np.float64]:
    """Return the frequency of each coefficient of a real image's half spectrum.

    Cycles per pixel, float64 [height, width // 2 + 1].
    """
    return _frequencies(size_px, size_px)


def magnitudes(spectrum: Spectrum, size_px: int, planes: int) -> npt.NDArray[np.float32]:
    """Return the magnitude of each coefficient, which is 0 at frequency 0.

    Args:
        spectrum: a row for each colour, or one for all.
        size_px: side of the image.
        planes: 3, or 4 with opacity, which has the first row.

    Returns:
        float32 `[plane, height, width // 2 + 1]`.
    """
    frequency = radial_frequencies(size_px)
    rows = [spectrum[plane if plane < len(spectrum) else 0] for plane in range(planes)]
    logarithm = np.log(np.maximum(frequency, FREQUENCIES[0]))
    found = [
        np.exp(np.interp(logarithm, np.log(FREQUENCIES), np.log(np.maximum(row, 1e-12))))
        for row in rows
    ]
    return (np.stack(found) * size_px * (frequency > 0)).astype(np.float32)


def natural_spectrum(images: Iterable[npt.NDArray[np.float32]]) -> Spectrum:
    """Measure the mean spectrum of images, a row for each decorrelated colour.

    The images may differ in size. Frequencies too low for all of them get the next one's value.

    Args:
        images: float32 `[height, width, 3]` with values in [0, 1], sides of 32 pixels or more.

    Raises:
        ValueError: there are no images, or one has another shape or range.
    """
    sums, counts = np.zeros((3, len(FREQUENCIES))), np.zeros(len(FREQUENCIES))
    for image in images:
        height, width = _checked(image).shape[:2]
        planes = np.einsum(
            "cd,hwd->chw", np.linalg.inv(COLOR_FROM_DECORRELATED), _before_sigmoid(image)
        )
        # The window fades out at the borders. Without it the jump between opposite borders would
        # count as fine detail.
        window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
        centred = planes - np.average(
            planes, axis=(1, 2), weights=np.broadcast_to(window, planes.shape), keepdims=True
        )
        found = np.abs(np.fft.rfft2(centred * window)) / np.sqrt((window**2).sum())
        band = _bands(_frequencies(height, width))
        counts += np.bincount(band, minlength=len(FREQUENCIES) + 1)[:-1]
        sums += [np.bincount(band, plane.ravel(), len(FREQUENCIES) + 1)[:-1] for plane in found]
    measured = np.flatnonzero(counts)
    if not measured.size:
        raise ValueError("a spectrum needs at least one image")
    rows = (
        np.interp(np.arange(len(FREQUENCIES)), measured, row[measured] / counts[measured])
        for row in sums
    )
    return tuple(tuple(float(f"{value:.4g}") for value in row) for row in rows)


def _frequencies(height: int, width: int) -> npt.NDArray[np.float64]:
    return np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])


def _bands(frequency: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the index of each coefficient's nearest of FREQUENCIES, flat; their count for 0."""
    nearest = np.round(2 * np.log2(np.maximum(frequency, FREQUENCIES[0]) / FREQUENCIES[0])).astype(
        int
    )
    return np.where(
        frequency > 0, np.minimum(nearest, len(FREQUENCIES) - 1), len(FREQUENCIES)
    ).ravel()


def _before_sigmoid(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    clipped = np.clip(image, _DARKEST, 1 - _DARKEST).astype(np.float64)
    return np.log(clipped / (1 - clipped))


def _checked(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < _LEAST_SIDE_PX:
        raise ValueError(
            "a spectrum needs images of shape [height, width, 3] with sides of at least "
            f"{_LEAST_SIDE_PX} pixels: found {list(image.shape)}"
        )
    if not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1):
        raise ValueError(
            "a spectrum needs images with values from 0 to 1: found others. Divide bytes by 255."
        )
    return image
