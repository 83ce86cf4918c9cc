"""The image parameterisation is lucid's."""

import importlib
from unittest.mock import patch

import numpy as np
import pytest
import tensorflow as tf

from tasks.rendering.image import frequency_scale, initial_spectrum, spectrum_shape, spectrum_to_image
from tasks.rendering.lucid_reference import Lucid
from tasks.rendering.random_streams import sprite_stream


def spectra(size_px: int, sd: float = 0.5) -> np.ndarray:
    """Draw two sprites' spectra, `[2, batch, channel, height, width // 2 + 1]`."""
    return np.stack([initial_spectrum(np.random.default_rng(seed), size_px, sd) for seed in (0, 1)], axis=1)


@pytest.mark.parametrize("size_px", [32, 64])
@pytest.mark.parametrize("decay_power", [1.0, 1.5])
def test_a_spectrum_becomes_the_image_that_lucid_makes_of_it(lucid: Lucid, size_px: int, decay_power: float) -> None:
    spectrum = spectra(size_px)
    spatial = importlib.import_module("lucid.optvis.param.spatial")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session, patch("numpy.random.normal", lambda size, scale: spectrum):
        planes = spatial.fft_image((2, size_px, size_px, 3), decay_power=decay_power)
        theirs = lucid.color.to_valid_rgb(planes, decorrelate=True, sigmoid=True)
        session.run(tf.compat.v1.global_variables_initializer())
        wanted = session.run(theirs)
    found = spectrum_to_image(tf.constant(spectrum), tf.constant(frequency_scale(size_px, decay_power)), size_px).numpy()
    assert found.dtype == np.float32 and found.shape == (2, size_px, size_px, 3)
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    assert wanted.std() > 0.05


@pytest.mark.parametrize("size_px", [32, 128])
@pytest.mark.parametrize("decay_power", [0.0, 1.0, 2.0])
def test_frequencies_are_scaled_as_lucid_does(lucid: Lucid, size_px: int, decay_power: float) -> None:
    frequencies = importlib.import_module("lucid.optvis.param.spatial").rfft2d_freqs(size_px, size_px)
    wanted = np.sqrt(size_px * size_px) / np.maximum(frequencies, 1 / size_px) ** decay_power / 4
    np.testing.assert_allclose(frequency_scale(size_px, decay_power), wanted, rtol=1e-6)


def test_an_image_is_the_inverse_fourier_transform_in_decorrelated_colours() -> None:
    spectrum, scale = spectra(32), frequency_scale(32, 1.0)
    planes = np.fft.irfft2((spectrum[0] + 1j * spectrum[1]) * scale, s=(32, 32))
    colours = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
    colours /= np.sqrt((colours**2).sum(0)).max()
    wanted = 1 / (1 + np.exp(-np.einsum("dc,bchw->bhwd", colours, planes)))
    np.testing.assert_allclose(spectrum_to_image(spectrum, scale, 32).numpy(), wanted, atol=2e-5)


def test_a_zero_spectrum_is_grey() -> None:
    grey = spectrum_to_image(tf.zeros([2, 1, 3, 32, 17]), tf.constant(frequency_scale(32, 1.0)), 32).numpy()
    np.testing.assert_array_equal(grey, np.full((1, 32, 32, 3), 0.5, np.float32))


def test_a_first_spectrum_is_drawn_from_its_stream() -> None:
    one, again, other = (initial_spectrum(sprite_stream(0, "stem", channel, "image"), 64, 0.01) for channel in (1, 1, 2))
    assert one.shape == spectrum_shape(64) == (2, 3, 64, 33) and one.dtype == np.float32
    assert one.tobytes() == again.tobytes() != other.tobytes()
    assert one.std() == pytest.approx(0.01, rel=0.02) and abs(one.mean()) < 0.001
