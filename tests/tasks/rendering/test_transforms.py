"""A transform moves, scales and turns as it says, in a grey frame on black; its gradient is as good as the exact one."""

import numpy as np
import pytest
import tensorflow as tf

from tasks.rendering.random_streams import sprite_stream
from tasks.rendering.recipe import RenderRecipe
from tasks.rendering.transforms import affine_maps, draw_transforms, warp

RNG = np.random.default_rng(0)
PAD = 4
SIDE = 16


def one_map(shift: tuple[float, float] = (0, 0), factor: float = 1.0, angle: float = 0.0, input_px: int = SIDE + 2 * PAD) -> np.ndarray:
    return affine_maps(np.array([shift]), np.array([factor]), np.array([angle]), SIDE, input_px)


def shown(image: np.ndarray, maps: np.ndarray, input_px: int = SIDE + 2 * PAD) -> np.ndarray:
    return warp(tf.constant(image[None], tf.float32), tf.constant(maps), input_px, PAD)[0].numpy()


def framed(image: np.ndarray) -> np.ndarray:
    return np.pad(image, ((PAD, PAD), (PAD, PAD), (0, 0)), constant_values=0.5)


def dot(row: int, column: int) -> np.ndarray:
    image = np.zeros((SIDE, SIDE, 3), np.float32)
    image[row, column] = 1
    return image


def brightest(image: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(image[PAD:-PAD, PAD:-PAD, 0].argmax(), (SIDE, SIDE))
    return int(row), int(column)


def test_no_transform_shows_the_image_in_a_grey_frame() -> None:
    image = RNG.random((SIDE, SIDE, 3), np.float32)
    np.testing.assert_array_equal(shown(image, one_map()), framed(image))


def test_a_smaller_input_shows_the_centre() -> None:
    image = RNG.random((SIDE, SIDE, 3), np.float32)
    np.testing.assert_array_equal(shown(image, one_map(input_px=SIDE), SIDE), image)


@pytest.mark.parametrize(("columns", "rows"), [(3, 0), (0, -2), (-4, 1)])
def test_a_shift_by_whole_pixels_is_exact(columns: int, rows: int) -> None:
    image = RNG.random((SIDE, SIDE, 3), np.float32)
    wide = np.pad(framed(image), ((5, 5), (5, 5), (0, 0)))
    side = SIDE + 2 * PAD
    np.testing.assert_array_equal(shown(image, one_map((columns, rows))), wide[5 + rows :, 5 + columns :][:side, :side])


def test_a_shift_by_half_a_pixel_is_the_mean_of_two() -> None:
    image = RNG.random((SIDE, SIDE, 3), np.float32)
    found = shown(image, one_map((0.5, 0)))
    np.testing.assert_allclose(found[PAD:-PAD, PAD : -PAD - 1], (image[:, :-1] + image[:, 1:]) / 2, atol=1e-5)


def test_beyond_the_frame_lies_black() -> None:
    found = shown(np.ones((SIDE, SIDE, 3), np.float32), one_map((2 * SIDE, 0)))
    assert not found.any()
    turned = shown(np.ones((SIDE, SIDE, 3), np.float32), one_map(angle=np.radians(45)))
    assert not turned[0, 0].any() and not turned[-1, -1].any()


def test_a_factor_above_one_magnifies_about_the_centre() -> None:
    image = np.zeros((SIDE, SIDE, 3), np.float32)
    image[4:12, 4:12] = 1
    bright = {factor: int((shown(image, one_map(factor=factor))[PAD:-PAD, PAD:-PAD, 0] > 0.5).sum()) for factor in (0.5, 1.0, 1.5)}
    assert bright == {0.5: 16, 1.0: 64, 1.5: 144}
    for factor in (0.5, 1.5):
        found = shown(image, one_map(factor=factor))
        np.testing.assert_allclose(found, found[::-1, ::-1], atol=1e-5)


def test_a_positive_angle_turns_what_is_below_to_the_right() -> None:
    assert brightest(shown(dot(12, 7), one_map(angle=np.pi / 2))) == (8, 12)
    assert brightest(shown(dot(12, 7), one_map(angle=-np.pi / 2))) == (7, 3)


def test_an_image_is_turned_before_it_is_moved() -> None:
    assert brightest(shown(dot(12, 7), one_map((2, 0), angle=np.pi / 2))) in {(8, 10), (6, 12), (10, 12), (8, 14)}
    moved = shown(dot(7, 7), one_map((3, 1), factor=1.0))
    assert brightest(moved) == (6, 4)


RECIPE = RenderRecipe(size_px=64, pad_px=8, jitter_px=10, scale=(0.8, 1.3), rotate_degrees=15)


def parts_of(maps: np.ndarray, recipe: RenderRecipe) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the shifts, factors and angles in degrees that maps were made of."""
    maps = maps.astype(np.float64)
    factor, angle = 1 / np.hypot(maps[:, 0], maps[:, 3]), np.degrees(np.arctan2(maps[:, 3], maps[:, 0]))
    centre, middle = (recipe.input_px - 1) / 2, (recipe.size_px - 1) / 2
    shift = np.stack([(maps[:, i] + maps[:, i + 1]) * centre + maps[:, i + 2] - middle for i in (0, 3)], axis=1)
    return shift, factor, angle


def test_draws_fill_the_ranges_of_the_recipe() -> None:
    maps = draw_transforms(np.random.default_rng(0), RECIPE, 4000)
    assert maps.shape == (4000, 6) and maps.dtype == np.float32
    shift, factor, angle = parts_of(maps, RECIPE)
    for values, low, high in ((shift, -5, 5), (factor, 0.8, 1.3), (angle, -15, 15)):
        margin = 0.01 * (high - low)
        assert low - 1e-3 <= values.min() < low + margin and high - margin < values.max() <= high + 1e-3
        assert abs(values.mean() - (low + high) / 2) < 3 * margin
    assert 0.17 < (np.abs(angle) < 1e-6).mean() < 0.23


def test_a_recipe_without_transforms_draws_none() -> None:
    still = RenderRecipe(size_px=64, pad_px=8, jitter_px=0, scale=(1, 1), rotate_degrees=0)
    np.testing.assert_allclose(draw_transforms(np.random.default_rng(0), still, 5), [[1, 0, -8, 0, 1, -8]] * 5, atol=1e-5)


def test_draws_of_one_stream_are_the_same_each_time() -> None:
    one, again, other = (draw_transforms(sprite_stream(0, "stem", channel, "transforms"), RECIPE, 20) for channel in (1, 1, 2))
    assert one.tobytes() == again.tobytes() != other.tobytes()


def gathered(images: tf.Tensor, maps: tf.Tensor, input_px: int, pad_px: int) -> tf.Tensor:
    """Do what `warp` does by gathering four neighbours: slow, but TensorFlow differentiates it exactly."""
    framed = tf.pad(images, [[0, 0], [pad_px, pad_px], [pad_px, pad_px], [0, 0]], constant_values=0.5)
    black = tf.pad(framed, [[0, 0], [1, 1], [1, 1], [0, 0]])
    a, b, c, d, e, f = (value[:, None, None] for value in tf.unstack(maps, axis=1))
    rows, columns = tf.meshgrid(*[tf.range(input_px, dtype=tf.float32)] * 2, indexing="ij")
    last = black.shape[1] - 1.001
    x = tf.clip_by_value(a * columns + b * rows + c + pad_px + 1, 0.0, last)
    y = tf.clip_by_value(d * columns + e * rows + f + pad_px + 1, 0.0, last)
    left, top = tf.floor(x), tf.floor(y)
    right_share, bottom_share = (x - left)[..., None], (y - top)[..., None]

    def at(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        return tf.gather_nd(black, tf.cast(tf.stack([row, column], axis=-1), tf.int32), batch_dims=1)

    above = at(top, left) * (1 - right_share) + at(top, left + 1) * right_share
    below = at(top + 1, left) * (1 - right_share) + at(top + 1, left + 1) * right_share
    return above * (1 - bottom_share) + below * bottom_share


COMMON = RenderRecipe(size_px=64, pad_px=8, jitter_px=8)
IMAGES = tf.constant(RNG.random((24, 64, 64, 3)), tf.float32)
MAPS = tf.constant(draw_transforms(np.random.default_rng(3), COMMON, 24))


def gradients(upstream: tf.Tensor) -> list[np.ndarray]:
    """Return the gradients at the images through `warp` and through the exact reference."""
    found = []
    for transform in (warp, gathered):
        with tf.GradientTape() as tape:
            tape.watch(IMAGES)
            value = tf.reduce_sum(transform(IMAGES, MAPS, COMMON.input_px, COMMON.pad_px) * upstream)
        found.append(tape.gradient(value, IMAGES).numpy())
    return found


def test_a_transform_samples_bilinearly() -> None:
    found = warp(IMAGES, MAPS, COMMON.input_px, COMMON.pad_px)
    np.testing.assert_allclose(found, gathered(IMAGES, MAPS, COMMON.input_px, COMMON.pad_px), atol=1e-3)


def test_the_gradient_is_close_to_the_exact_one() -> None:
    # White noise is the hardest: the smoother the gradient that arrives, the closer the two.
    ours, exact = gradients(tf.constant(RNG.normal(size=(24, COMMON.input_px, COMMON.input_px, 3)), tf.float32))
    for one, other in zip(ours, exact, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99
        assert one.std() == pytest.approx(other.std(), rel=0.1)


def test_the_gradient_is_neither_lost_nor_made() -> None:
    ours, exact = gradients(tf.ones([24, COMMON.input_px, COMMON.input_px, 3]))
    np.testing.assert_allclose(ours.sum((1, 2, 3)), exact.sum((1, 2, 3)), rtol=0.01)


def test_each_image_has_its_own_transform() -> None:
    together = warp(IMAGES[:3], MAPS[:3], COMMON.input_px, COMMON.pad_px).numpy()
    for index in range(3):
        alone = warp(IMAGES[index : index + 1], MAPS[index : index + 1], COMMON.input_px, COMMON.pad_px).numpy()
        np.testing.assert_array_equal(together[index], alone[0])
