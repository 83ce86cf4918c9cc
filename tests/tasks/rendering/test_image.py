"""The image parameterisations are lucid's, and that of maco keeps its magnitudes."""

import importlib
from unittest.mock import patch

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.lucid_reference import Lucid
from diamond_cutter.tasks.rendering.course import sprite_stream
from diamond_cutter.tasks.rendering.image import (
    fourier_image,
    frequency_scale,
    initial_parameters,
    parameters_shape,
    to_image,
)
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.spectrum import COLOR_FROM_DECORRELATED, FREQUENCIES, magnitudes

# Steep in one colour and flat in another, so that it matters which is which.
SPECTRUM = tuple(
    tuple(strength * FREQUENCIES**-power)
    for strength, power in ((0.3, 1.0), (0.1, 0.5), (0.2, 0.0))
)


def parameters(recipe: RenderRecipe, count: int = 2) -> np.ndarray:
    """Draw what some sprites start from, `[part, batch, plane, height, width // 2 + 1]`."""
    return np.stack(
        [initial_parameters(np.random.default_rng(seed), recipe) for seed in range(count)], axis=1
    )


def maco(size_px: int = 64, *, alpha: bool = False) -> RenderRecipe:
    return RenderRecipe(
        name="phases", parameterisation="maco", spectrum=SPECTRUM, size_px=size_px, alpha=alpha
    )


def before_sigmoid(images: np.ndarray) -> np.ndarray:
    """Return an image's planes in decorrelated colours, float64 `[batch, plane, height, width]`."""
    values = images.astype(np.float64)
    logits = np.log(values / (1 - values))
    colours = np.einsum(
        "cd,bhwd->bchw", np.linalg.inv(COLOR_FROM_DECORRELATED.astype(np.float64)), logits[..., :3]
    )
    return np.concatenate([colours, np.moveaxis(logits[..., 3:], 3, 1)], axis=1)


@pytest.mark.parametrize("size_px", [32, 64])
@pytest.mark.parametrize("decay_power", [1.0, 1.5])
@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
def test_coefficients_become_the_image_that_lucid_makes_of_them(
    lucid: Lucid, size_px: int, decay_power: float, alpha: bool
) -> None:
    recipe = RenderRecipe(
        name="mine", size_px=size_px, decay_power=decay_power, alpha=alpha, initial_sd=0.5
    )
    drawn = parameters(recipe)
    # What lucid's param.image does, which cannot be told the decay of energy.
    spatial = importlib.import_module("lucid.optvis.param.spatial")
    with (
        tf.Graph().as_default(),
        tf.compat.v1.Session() as session,
        patch("numpy.random.normal", lambda size, scale: drawn),
    ):
        planes = spatial.fft_image((2, size_px, size_px, drawn.shape[2]), decay_power=decay_power)
        theirs = lucid.color.to_valid_rgb(planes[..., :3], decorrelate=True, sigmoid=True)
        theirs = tf.concat([theirs, tf.sigmoid(planes[..., 3:])], axis=-1)
        session.run(tf.compat.v1.global_variables_initializer())
        wanted = session.run(theirs)
    found = to_image(recipe)(tf.constant(drawn)).numpy()
    assert found.dtype == np.float32 and found.shape == (2, size_px, size_px, 4 if alpha else 3)
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    assert wanted.std(axis=(0, 1, 2)).min() > 0.05


def test_an_image_with_opacity_is_lucids_param_image(lucid: Lucid) -> None:
    recipe = RenderRecipe(name="mine", size_px=32, decay_power=1.0, alpha=True)
    drawn = parameters(recipe)
    with (
        tf.Graph().as_default(),
        tf.compat.v1.Session() as session,
        patch("numpy.random.normal", lambda size, scale: drawn),
    ):
        theirs = lucid.param.image(32, batch=2, alpha=True)
        session.run(tf.compat.v1.global_variables_initializer())
        wanted = session.run(theirs)
    np.testing.assert_allclose(to_image(recipe)(tf.constant(drawn)).numpy(), wanted, atol=2e-5)


@pytest.mark.parametrize("size_px", [32, 128])
@pytest.mark.parametrize("decay_power", [0.0, 1.0, 2.0])
def test_frequencies_are_scaled_as_lucid_does(
    lucid: Lucid, size_px: int, decay_power: float
) -> None:
    frequencies = importlib.import_module("lucid.optvis.param.spatial").rfft2d_freqs(
        size_px, size_px
    )
    wanted = np.sqrt(size_px * size_px) / np.maximum(frequencies, 1 / size_px) ** decay_power / 4
    np.testing.assert_allclose(frequency_scale(size_px, decay_power), wanted, rtol=1e-6)


def test_an_image_is_the_inverse_fourier_transform_in_decorrelated_colours() -> None:
    drawn = parameters(RenderRecipe(name="mine", size_px=32, initial_sd=0.5))
    planes = np.fft.irfft2((drawn[0] + 1j * drawn[1]) * frequency_scale(32, 1.0), s=(32, 32))
    colours = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
    colours /= np.sqrt((colours**2).sum(0)).max()
    wanted = 1 / (1 + np.exp(-np.einsum("dc,bchw->bhwd", colours, planes)))
    np.testing.assert_allclose(
        fourier_image(tf.constant(drawn), 32, 1.0).numpy(), wanted, atol=2e-5
    )


@pytest.mark.parametrize("planes", [3, 4])
def test_zeros_are_grey_and_half_transparent(planes: int) -> None:
    grey = fourier_image(tf.zeros([2, 1, planes, 32, 17]), 32, 1.0).numpy()
    np.testing.assert_array_equal(grey, np.full((1, 32, 32, planes), 0.5, np.float32))


@pytest.mark.parametrize("size_px", [32, 64])
@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
def test_maco_has_exactly_its_magnitudes(size_px: int, alpha: bool) -> None:
    recipe = maco(size_px, alpha=alpha)
    images = to_image(recipe)(tf.constant(parameters(recipe))).numpy()
    assert images.dtype == np.float32 and images.shape == (2, size_px, size_px, 4 if alpha else 3)
    wanted = magnitudes(SPECTRUM, size_px, 4 if alpha else 3)
    # Every coefficient of the full spectrum, on its edges, too, where each stands beside its
    # conjugate.
    found = np.abs(np.fft.rfft2(before_sigmoid(images)))
    np.testing.assert_allclose(
        found, np.broadcast_to(wanted, found.shape), rtol=2e-3, atol=2e-3 * wanted[wanted > 0].min()
    )


def test_maco_has_the_phases_that_are_optimised() -> None:
    recipe, size_px = maco(), 64
    drawn = parameters(recipe)
    found = np.angle(np.fft.rfft2(before_sigmoid(to_image(recipe)(tf.constant(drawn)).numpy())))
    # All but the first and last column, where half the phases follow from the others.
    inside = np.s_[..., 1 : size_px // 2]
    np.testing.assert_allclose(np.exp(1j * found[inside]), np.exp(1j * drawn[0][inside]), atol=5e-3)
    edge = np.s_[..., 1 : size_px // 2, 0]
    np.testing.assert_allclose(np.exp(1j * found[edge]), np.exp(1j * drawn[0][edge]), atol=5e-3)


def test_other_phases_are_another_image_and_whole_turns_are_none() -> None:
    recipe = maco(32)
    drawn = parameters(recipe, 1)
    image, turned, other = (
        to_image(recipe)(tf.constant(drawn + np.float32(by))).numpy() for by in (0, 2 * np.pi, 1)
    )
    np.testing.assert_allclose(turned, image, atol=1e-5)
    assert np.abs(other - image).mean() > 0.02


@pytest.mark.parametrize(
    "recipe",
    [RenderRecipe(size_px=64), RenderRecipe(name="mine", size_px=64, alpha=True), maco()],
    ids=str,
)
def test_what_a_sprite_starts_from_is_drawn_from_its_stream(recipe: RenderRecipe) -> None:
    one, again, other = (
        initial_parameters(sprite_stream(0, "stem", number, 0, "image"), recipe)
        for number in (1, 1, 2)
    )
    assert one.shape == parameters_shape(recipe) and one.dtype == np.float32
    assert one.tobytes() == again.tobytes() != other.tobytes()


def test_coefficients_start_normal_and_phases_uniform() -> None:
    coefficients = initial_parameters(
        np.random.default_rng(0), RenderRecipe(name="mine", size_px=64, initial_sd=0.02)
    )
    assert coefficients.shape == (2, 3, 64, 33)
    assert coefficients.std() == pytest.approx(0.02, rel=0.02) and abs(coefficients.mean()) < 0.001
    phases = initial_parameters(np.random.default_rng(0), maco())
    assert phases.shape == (1, 3, 64, 33)
    assert np.abs(phases).max() <= np.pi and np.abs(phases).mean() == pytest.approx(
        np.pi / 2, rel=0.03
    )
    assert abs(phases.mean()) < 0.1


@pytest.mark.parametrize("size_px", [32, 36])
def test_the_gradient_is_that_of_scaling_and_the_inverse_transform(size_px: int) -> None:
    rng = np.random.default_rng(0)
    drawn = tf.constant(rng.normal(0, 0.1, (2, 3, 3, size_px, size_px // 2 + 1)).astype(np.float32))
    pulled = tf.constant(rng.normal(size=(3, size_px, size_px, 3)).astype(np.float32))

    def plain(parameters: tf.Tensor) -> tf.Tensor:
        scaled = parameters * frequency_scale(size_px, 1.4)
        planes = tf.signal.irfft2d(tf.complex(scaled[0], scaled[1]), fft_length=[size_px, size_px])
        return tf.sigmoid(tf.einsum("bphw,cp->bhwc", planes, COLOR_FROM_DECORRELATED))

    @tf.function
    def gradients(parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = fourier_image(parameters, size_px, 1.4), plain(parameters)
        return tuple(tf.gradients(image, [parameters], [pulled])[0] for image in images)

    ours, wanted = (gradient.numpy() for gradient in gradients(drawn))
    assert np.abs(wanted).max() > 1
    np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())
