"""The spectrum of natural images is measured as it is, whatever their size, and interpolated to any
other size.
"""

from collections.abc import Iterator

import numpy as np
import pytest

from diamond_cutter.tasks.rendering.presets import SPECTRUM_OF_PHOTOS
from diamond_cutter.tasks.rendering.spectrum import (
    COLOR_FROM_DECORRELATED,
    FREQUENCIES,
    magnitudes,
    natural_spectrum,
    radial_frequencies,
)

# Strength at 1/16 cycle a pixel and power of each decorrelated colour.
LAWS = ((1.0, 1.2), (0.5, 1.0), (0.3, 0.6))
# The mean length of a complex normal number whose square has mean 1.
MEAN_OF_RAYLEIGH = np.sqrt(np.pi) / 2


def law(frequency: np.ndarray, strength: float, power: float) -> np.ndarray:
    return strength * (16 * np.maximum(frequency, 1e-9)) ** -power


def images(count: int, height: int, width: int) -> Iterator[np.ndarray]:
    """Cut images of known spectra out of larger ones, so that their borders do not fit each other,
    as in photographs.
    """
    side = 512
    frequency = radial_frequencies(side)
    for seed in range(count):
        noise = np.random.default_rng(seed).normal(size=(3, side, side))
        planes = [
            np.fft.irfft2(np.fft.rfft2(n) * law(frequency, *how) * (frequency > 0))
            for n, how in zip(noise, LAWS, strict=True)
        ]
        logits = np.einsum("dc,chw->hwd", COLOR_FROM_DECORRELATED, np.stack(planes))[
            :height, :width
        ]
        yield (1 / (1 + np.exp(-logits))).astype(np.float32)


@pytest.mark.parametrize(("height", "width"), [(288, 288), (192, 320), (101, 150)])
def test_a_known_power_law_is_recovered(height: int, width: int) -> None:
    found = np.array(natural_spectrum(images(6, height, width)))
    assert found.shape == (3, len(FREQUENCIES))
    # From a few periods in an image on; below that there are too few coefficients to tell.
    clear = FREQUENCIES > 6 / min(height, width)
    wanted = np.array([law(FREQUENCIES, *how) for how in LAWS]) * MEAN_OF_RAYLEIGH
    np.testing.assert_allclose(found[:, clear], wanted[:, clear], rtol=0.12)
    for row, (_, power) in zip(found, LAWS, strict=True):
        slope = np.polyfit(np.log(FREQUENCIES[clear]), np.log(row[clear]), 1)[0]
        assert slope == pytest.approx(-power, abs=0.06)


def test_images_of_several_sizes_have_one_spectrum() -> None:
    both = np.array(natural_spectrum([*images(3, 256, 256), *images(3, 128, 160)]))
    large = np.array(natural_spectrum(images(3, 256, 256)))
    clear = FREQUENCIES > 0.05
    np.testing.assert_allclose(both[:, clear], large[:, clear], rtol=0.1)


def test_borders_that_do_not_fit_are_no_fine_detail() -> None:
    ramp = np.broadcast_to(
        np.linspace(0.2, 0.8, 128, dtype=np.float32)[None, :, None], (128, 128, 3)
    )
    (grey, *_) = natural_spectrum([ramp])
    jump = np.abs(np.fft.rfft2(ramp[..., 0] - ramp[..., 0].mean()))[0, -1] / 128
    assert grey[-1] < 1e-3 < jump


def test_grey_images_have_one_colour() -> None:
    grey = [np.repeat(image[..., :1], 3, axis=2) for image in images(2, 96, 96)]
    first, second, third = np.array(natural_spectrum(grey))
    # Grey is nearly, but not quite, the first colour.
    assert (second < 0.07 * first).all() and (third < 0.1 * first).all()


def test_black_and_white_have_a_finite_spectrum() -> None:
    stripes = np.zeros((64, 64, 3), np.float32)
    stripes[:, ::2] = 1.0
    assert np.isfinite(natural_spectrum([stripes])).all()
    assert np.max(natural_spectrum([np.ones((64, 64, 3), np.float32)])) < 1e-9


def test_frequencies_below_those_of_small_images_are_like_the_lowest() -> None:
    (row, *_) = natural_spectrum(images(4, 32, 32))
    lowest = int(np.searchsorted(FREQUENCIES, 1 / 32))
    assert set(row[:lowest]) == {row[lowest]} and row[lowest] > row[lowest + 2] > row[-1] > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "at least one image"),
        ([np.zeros((64, 64), np.float32)], r"found \[64, 64\]"),
        ([np.zeros((64, 64, 4), np.float32)], r"found \[64, 64, 4\]"),
        ([np.zeros((16, 64, 3), np.float32)], "at least 32 pixels"),
        ([np.full((64, 64, 3), 200, np.uint8)], "Divide bytes by 255"),
        ([np.full((64, 64, 3), -0.1, np.float32)], "values from 0 to 1"),
        ([np.full((64, 64, 3), np.nan, np.float32)], "values from 0 to 1"),
    ],
)
def test_what_is_no_image_is_refused(given: list[np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        natural_spectrum(given)


def test_magnitudes_are_those_of_the_spectrum_times_the_side() -> None:
    size_px = 256
    found = magnitudes(SPECTRUM_OF_PHOTOS, size_px, 3)
    assert found.dtype == np.float32 and found.shape == (3, 256, 129)
    # Powers of two lie on the axes of the grid.
    for index in range(0, len(FREQUENCIES), 2):
        column = round(FREQUENCIES[index] * size_px)
        np.testing.assert_allclose(
            found[:, 0, column], size_px * np.array(SPECTRUM_OF_PHOTOS)[:, index], rtol=1e-6
        )
        np.testing.assert_array_equal(found[:, column, 0], found[:, 0, column])


def test_between_two_frequencies_lies_a_power_law() -> None:
    spectrum = (tuple(5.0 * FREQUENCIES**-1.3),)
    frequency = radial_frequencies(96)
    inside = (frequency >= FREQUENCIES[0]) & (frequency <= FREQUENCIES[-1])
    np.testing.assert_allclose(
        magnitudes(spectrum, 96, 3)[0][inside], 96 * 5.0 * frequency[inside] ** -1.3, rtol=1e-5
    )


def test_the_mean_has_no_magnitude_and_corners_are_like_the_highest() -> None:
    found = magnitudes(SPECTRUM_OF_PHOTOS, 64, 3)
    np.testing.assert_array_equal(found[:, 0, 0], 0)
    np.testing.assert_allclose(
        found[:, 32, 32], 64 * np.array(SPECTRUM_OF_PHOTOS)[:, -1], rtol=1e-6
    )
    assert (found.reshape(3, -1)[:, 1:] > 0).all()


def test_one_row_is_for_all_colours_and_opacity_is_like_the_first() -> None:
    one = magnitudes(SPECTRUM_OF_PHOTOS[:1], 64, 4)
    assert one.shape == (4, 64, 33) and all(np.array_equal(plane, one[0]) for plane in one)
    four = magnitudes(SPECTRUM_OF_PHOTOS, 64, 4)
    np.testing.assert_array_equal(four[3], four[0])
    np.testing.assert_array_equal(four[:3], magnitudes(SPECTRUM_OF_PHOTOS, 64, 3))
    assert not np.array_equal(four[1], four[0])


def test_a_spectrum_without_strength_somewhere_is_none_there() -> None:
    silent = tuple(0.0 if frequency > 0.2 else 1.0 for frequency in FREQUENCIES)
    found = magnitudes((silent,), 64, 3)[0]
    assert np.isfinite(found).all() and found[0, 32] < 1e-6 and found[0, 4] == pytest.approx(64)
