"""Penalties are shares, and a step against their gradients does what they are for."""

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.tasks.rendering.image import fourier_image
from diamond_cutter.tasks.rendering.objectives import fine_detail, opacity


def pictures(
    count: int, size_px: int = 32, decay_power: float = 1.0, planes: int = 3
) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(0, 3.0, (2, count, planes, size_px, size_px // 2 + 1))
    return fourier_image(tf.constant(drawn, tf.float32), size_px, decay_power).numpy()


def gradient(penalty: object, images: np.ndarray) -> np.ndarray:
    values = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(penalty(values))
    return tape.gradient(total, values).numpy()


def blurred(images: np.ndarray) -> np.ndarray:
    """Return the means over 3 x 3 pixels, of those that are there."""
    height, width = images.shape[1:3]
    mean = np.zeros_like(images)
    for row in range(height):
        for column in range(width):
            rows, columns = slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2)
            mean[:, row, column] = images[:, rows, columns].mean(axis=(1, 2))
    return mean


def stripes(size_px: int = 32) -> np.ndarray:
    values = np.zeros((1, size_px, size_px, 3), np.float32)
    values[:, ::2] = 1.0
    return values


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_opacity_is_the_mean_of_the_fourth_plane(share: float) -> None:
    images = np.random.default_rng(0).random((2, 8, 8, 4), np.float32)
    images[0, ..., 3] = 0
    images[0, : round(8 * share), :, 3] = 1
    found = opacity(tf.constant(images)).numpy()
    assert found.shape == (2,) and found[0] == share
    assert found[1] == pytest.approx(images[1, ..., 3].mean(), rel=1e-6)


def test_opacity_pulls_at_the_fourth_plane_alone() -> None:
    found = gradient(opacity, pictures(2, planes=4))
    assert not found[..., :3].any()
    np.testing.assert_allclose(found[..., 3], 1 / 32**2, rtol=1e-6)


def test_an_even_image_has_no_detail() -> None:
    assert fine_detail(tf.fill([2, 16, 16, 3], 0.7)).numpy() == pytest.approx([0, 0], abs=1e-9)
    ramp = np.linspace(0, 1, 64, dtype=np.float32)
    assert (
        fine_detail(
            tf.constant(np.broadcast_to(ramp[None, None, :, None], (1, 64, 64, 3)))
        ).numpy()[0]
        < 0.001
    )


def test_detail_is_a_share_that_grows_with_what_is_fine() -> None:
    smooth, natural, rough = (
        fine_detail(tf.constant(pictures(4, decay_power=power))).numpy()
        for power in (2.0, 1.0, 0.0)
    )
    assert (
        (smooth > 0).all()
        and (smooth < natural).all()
        and (natural < rough).all()
        and (rough < 1).all()
    )
    assert fine_detail(tf.constant(stripes())).numpy()[0] == pytest.approx(16 / 9, rel=0.06)


def test_detail_is_a_share_of_the_contrast() -> None:
    images = pictures(2)
    half = 0.5 + (images - 0.5) / 2
    np.testing.assert_allclose(
        fine_detail(tf.constant(half)).numpy(), fine_detail(tf.constant(images)).numpy(), rtol=0.1
    )
    # But grey stays grey: no share of nothing.
    assert fine_detail(tf.constant(0.5 + (images - 0.5) * 1e-4)).numpy().max() < 1e-3


def test_each_image_has_its_own_detail() -> None:
    images = np.concatenate([pictures(2), stripes()])
    together = fine_detail(tf.constant(images)).numpy()
    alone = [fine_detail(tf.constant(images[i : i + 1])).numpy()[0] for i in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


@pytest.mark.parametrize("planes", [3, 4])
def test_a_step_against_the_gradient_of_detail_blurs(planes: int) -> None:
    images = pictures(2, planes=planes)
    found = gradient(fine_detail, images)
    variance = images.var(axis=(1, 2, 3), keepdims=True) + 1e-3
    # The step that would take all of the difference to the blurred image, and half of it.
    whole = images[0].size * variance / 2
    np.testing.assert_allclose(images - whole * found, blurred(images), atol=1e-5)
    np.testing.assert_allclose(
        images - 0.5 * whole * found, (images + blurred(images)) / 2, atol=1e-5
    )
    after = fine_detail(tf.constant(images - 0.5 * whole * found)).numpy()
    assert (after < 0.6 * fine_detail(tf.constant(images)).numpy()).all()
