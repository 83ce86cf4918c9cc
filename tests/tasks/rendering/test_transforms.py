"""A transform moves, scales and turns as it says, in a frame on black; it is drawn as lucid draws,
but more evenly.

The input of the network grows with the scale, as lucid's does.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.lucid_reference import Lucid
from diamond_cutter.tasks.rendering.course import sprite_stream
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.transforms import (
    affine_maps,
    draw_transforms,
    enlarged,
    input_sides,
    warp,
)

RNG = np.random.default_rng(0)
PAD = 4
SIDE = 16


def one_map(
    shift: tuple[float, float] = (0, 0), factor: float = 1.0, angle: float = 0.0
) -> np.ndarray:
    return affine_maps(np.array([shift]), np.array([factor]), np.array([angle]), SIDE)


def shown(
    image: np.ndarray, maps: np.ndarray, input_px: int = SIDE + 2 * PAD, frame: float = 0.5
) -> np.ndarray:
    return warp(
        tf.constant(image[None], tf.float32), tf.constant(maps), (input_px, input_px), PAD, frame
    )[0].numpy()


def framed(image: np.ndarray, value: float = 0.5) -> np.ndarray:
    return np.pad(image, ((PAD, PAD), (PAD, PAD), (0, 0)), constant_values=value)


def dot(row: int, column: int) -> np.ndarray:
    image = np.zeros((SIDE, SIDE, 3), np.float32)
    image[row, column] = 1
    return image


def brightest(image: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(image[PAD:-PAD, PAD:-PAD, 0].argmax(), (SIDE, SIDE))
    return int(row), int(column)


@pytest.mark.parametrize("frame", [0.5, 0.0, 1.0, 0.3])
def test_no_transform_shows_the_image_in_its_frame(frame: float) -> None:
    image = RNG.random((SIDE, SIDE, 3), np.float32)
    np.testing.assert_array_equal(
        shown(image, one_map(), frame=frame), framed(image, frame).astype(np.float32)
    )


def test_a_smaller_input_shows_the_centre() -> None:
    image = RNG.random((SIDE, SIDE, 3), np.float32)
    np.testing.assert_array_equal(shown(image, one_map(), SIDE), image)


@pytest.mark.parametrize(("columns", "rows"), [(3, 0), (0, -2), (-4, 1)])
def test_a_shift_by_whole_pixels_is_exact(columns: int, rows: int) -> None:
    image = RNG.random((SIDE, SIDE, 3), np.float32)
    wide = np.pad(framed(image), ((5, 5), (5, 5), (0, 0)))
    side = SIDE + 2 * PAD
    np.testing.assert_array_equal(
        shown(image, one_map((columns, rows))), wide[5 + rows :, 5 + columns :][:side, :side]
    )


def test_a_shift_by_half_a_pixel_is_the_mean_of_two() -> None:
    image = RNG.random((SIDE, SIDE, 3), np.float32)
    found = shown(image, one_map((0.5, 0)))
    np.testing.assert_allclose(
        found[PAD:-PAD, PAD : -PAD - 1], (image[:, :-1] + image[:, 1:]) / 2, atol=1e-5
    )


def test_beyond_the_frame_lies_black() -> None:
    for away in ((2 * SIDE, 0), (0, -2 * SIDE), (-1e4, 1e4)):
        assert not shown(np.ones((SIDE, SIDE, 3), np.float32), one_map(away)).any()
    turned = shown(np.ones((SIDE, SIDE, 3), np.float32), one_map(angle=np.radians(45)), frame=1.0)
    assert not turned[0, 0].any() and not turned[-1, -1].any() and turned[0, SIDE // 2 + PAD].all()


def test_a_factor_above_one_magnifies_about_the_centre() -> None:
    image = np.zeros((SIDE, SIDE, 3), np.float32)
    image[4:12, 4:12] = 1
    bright = {
        factor: int((shown(image, one_map(factor=factor))[PAD:-PAD, PAD:-PAD, 0] > 0.5).sum())
        for factor in (0.5, 1.0, 1.5)
    }
    assert bright == {0.5: 16, 1.0: 64, 1.5: 144}
    for factor in (0.5, 1.5):
        found = shown(image, one_map(factor=factor))
        np.testing.assert_allclose(found, found[::-1, ::-1], atol=1e-5)


def test_a_positive_angle_turns_what_is_below_to_the_right() -> None:
    assert brightest(shown(dot(12, 7), one_map(angle=np.pi / 2))) == (8, 12)
    assert brightest(shown(dot(12, 7), one_map(angle=-np.pi / 2))) == (7, 3)


def test_an_image_is_turned_before_it_is_moved() -> None:
    assert brightest(shown(dot(12, 7), one_map((2, 0), angle=np.pi / 2))) in {
        (8, 10),
        (6, 12),
        (10, 12),
        (8, 14),
    }
    moved = shown(dot(7, 7), one_map((3, 1), factor=1.0))
    assert brightest(moved) == (6, 4)


# What it shows at column x and row y is x and y, and between them what lies between.
RAMP = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1)


@pytest.mark.parametrize("input_px", [SIDE - 3, SIDE, SIDE + 1, SIDE + 2 * PAD, SIDE + 2 * PAD + 3])
@pytest.mark.parametrize(
    "fields",
    [{}, {"factor": 0.8}, {"factor": 1.3, "angle": 0.4}, {"shift": (2.0, -1.5), "angle": -0.3}],
    ids=str,
)
def test_the_centre_of_the_image_is_at_the_centre_of_the_input_whatever_its_side(
    input_px: int, fields: dict[str, Any]
) -> None:
    found = shown(RAMP, one_map(**fields), input_px)
    # One pixel, or the four around it.
    centre = found[
        (input_px - 1) // 2 : input_px // 2 + 1, (input_px - 1) // 2 : input_px // 2 + 1
    ].mean(axis=(0, 1))
    columns, rows = fields.get("shift", (0, 0))
    np.testing.assert_allclose(centre, [(SIDE - 1) / 2 + columns, (SIDE - 1) / 2 + rows], atol=1e-4)


def test_a_larger_input_shows_more_around_the_same() -> None:
    image, maps = RNG.random((SIDE, SIDE, 3), np.float32), one_map((1, 0), factor=1.2, angle=0.3)
    small, large = shown(image, maps, SIDE), shown(image, maps, SIDE + 6)
    np.testing.assert_allclose(large[3:-3, 3:-3], small, atol=1e-5)
    assert large[:3].any()


SIDES = 3
RECIPE = RenderRecipe(size_px=64, input_sides=SIDES)


def parts_of(maps: np.ndarray, recipe: RenderRecipe) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the shifts, factors and angles in degrees that maps were made of."""
    maps = maps.astype(np.float64)
    factor, angle = (
        1 / np.hypot(maps[:, 0], maps[:, 3]),
        np.degrees(np.arctan2(maps[:, 3], maps[:, 0])),
    )
    return (
        np.round(maps[:, [2, 5]] - (recipe.size_px - 1) / 2, 2),
        np.round(factor, 3),
        np.round(angle, 2),
    )


def shares_of(values: np.ndarray, expected: dict[float, float]) -> np.ndarray:
    """Return how often each expected value occurs; no other may."""
    assert set(np.unique(values)) <= set(expected)
    return np.array([(values == value).mean() for value in expected])


# Lucid's: two random crops one after the other leave 45 ways, all as likely.
JITTER = dict(zip(np.arange(-6.0, 7.0), np.convolve(np.ones(9), np.ones(5)) / 45, strict=True))
SCALES = {round(0.9 + 0.02 * i, 3): 1 / 11 for i in range(11)}
ANGLES = {float(angle): (6 if angle == 0 else 1) / 26 for angle in range(-10, 11)}


def test_the_transforms_of_a_recipe_are_lucids_standard_transforms(lucid: Lucid) -> None:
    pad, first, scale, rotate, second = (
        inspect.getclosurevars(each).nonlocals for each in lucid.transform.standard_transforms
    )
    assert (RECIPE.pad_px, RECIPE.pad_value) == (pad["w"], pad["constant_value"])
    assert RECIPE.jitter_px == (first["d"], second["d"])
    assert sorted(RECIPE.scale) == pytest.approx(sorted(scale["scales"]))
    assert sorted(RECIPE.rotate_degrees) == sorted(rotate["angles"])


def test_draws_of_a_sprite_have_the_distribution_that_lucids_have() -> None:
    maps = draw_transforms(np.random.default_rng(0), RECIPE, 4000)
    assert maps.shape == (4000, 6) and maps.dtype == np.float32
    shift, factor, angle = parts_of(maps, RECIPE)
    for values, expected in (
        (shift[:, 0], JITTER),
        (shift[:, 1], JITTER),
        (factor, SCALES),
        (angle, ANGLES),
    ):
        np.testing.assert_allclose(shares_of(values, expected), list(expected.values()), atol=0.003)


@pytest.mark.parametrize("step", [0, 1, 7])
def test_a_single_draw_has_that_distribution_too(step: int) -> None:
    maps = np.stack(
        [
            draw_transforms(np.random.default_rng(seed), RECIPE, step + 1)[step]
            for seed in range(4000)
        ]
    )
    shift, factor, angle = parts_of(maps, RECIPE)
    # A step has the scales of its side, the same for all sprites.
    group = RECIPE.scales_by_side[input_sides(RECIPE, step + 1)[step]]
    own_scales = dict.fromkeys(group, 1 / len(group))
    for values, expected in (
        (shift[:, 0], JITTER),
        (shift[:, 1], JITTER),
        (factor, own_scales),
        (angle, ANGLES),
    ):
        np.testing.assert_allclose(shares_of(values, expected), list(expected.values()), atol=0.025)
    # And its parts are independent of each other.
    correlations = np.corrcoef([shift[:, 0], shift[:, 1], factor, angle]) - np.eye(4)
    assert np.abs(correlations).max() < 0.06


def independent_draws(
    stream: np.random.Generator, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shift = stream.integers(0, 9, (count, 2)) + stream.integers(0, 5, (count, 2)) - 6.0
    return shift, stream.choice(RECIPE.scale, count), stream.choice(RECIPE.rotate_degrees, count)


def unevenness(parts: tuple[np.ndarray, np.ndarray, np.ndarray], run: int) -> np.ndarray:
    """Return how far the means of short runs of draws lie from the mean of all: of each of 4
    numbers, and of 6 products of two.
    """
    shift, factor, angle = parts
    numbers = np.column_stack([shift, factor - 1, angle])
    numbers = numbers / numbers.std(axis=0)
    products = np.column_stack([numbers[:, i] * numbers[:, j] for i in range(4) for j in range(i)])
    return np.column_stack([numbers, products]).reshape(-1, run, 10).mean(axis=1).std(axis=0)


@pytest.mark.parametrize("sides", [1, 2, 3])
@pytest.mark.parametrize("run", [32, 128, 320])
def test_draws_are_more_evenly_spread_than_independent_ones(run: int, sides: int) -> None:
    recipe = RECIPE.model_copy(update={"input_sides": sides})
    even = unevenness(
        parts_of(draw_transforms(np.random.default_rng(0), recipe, 6400), recipe), run
    ) * np.sqrt(run)
    chance = unevenness(independent_draws(np.random.default_rng(0), 6400), run) * np.sqrt(run)
    # The means of independent draws differ by 1 / sqrt(run).
    assert chance.min() > 0.65
    assert (even[:4] < 0.55).all() and even[4:].mean() < 0.85 and even[4:].max() < 1.25


def test_any_run_of_steps_mixes_the_sides_by_their_shares() -> None:
    for sides in [1, 2, 3, 5, 8]:
        for run in [8, 64, 352]:
            recipe = RenderRecipe(input_sides=sides)
            found = input_sides(recipe, 3000)
            assert found.dtype == np.int32 and set(found) == set(range(sides))
            shares = np.array([len(scales) for scales in recipe.scales_by_side]) / len(recipe.scale)
            so_far = np.cumsum(np.concatenate([np.zeros((1, sides)), np.eye(sides)[found]]), axis=0)
            excess = so_far[run:] - so_far[:-run] - run * shares
            # Independent draws are off by more than the root of a run often, by up to twice that.
            assert np.abs(excess).max() < (2 if run == 8 else 4)


def test_the_sides_of_the_first_steps_are_the_same_however_many_follow() -> None:
    np.testing.assert_array_equal(input_sides(RECIPE, 50)[:5], input_sides(RECIPE, 5))


@pytest.mark.parametrize("sides", [1, 2, 3, 8])
def test_the_scale_of_a_draw_is_one_of_its_steps_side(sides: int) -> None:
    recipe = RenderRecipe(size_px=64, input_sides=sides)
    steps = input_sides(recipe, 500)
    for sprite in range(5):
        _, factor, _ = parts_of(draw_transforms(np.random.default_rng(sprite), recipe, 500), recipe)
        for side, scales in enumerate(recipe.scales_by_side):
            assert set(factor[steps == side]) == set(scales)


def test_the_sides_are_those_that_lucids_scaling_leaves(lucid: Lucid) -> None:
    # A group for each scale; the shares of groups are compared with these in the tests of recipes.
    recipe = RenderRecipe(size_px=128, scale=RECIPE.scale[::2], input_sides=8)
    assert len(recipe.input_sides_px) == len(recipe.scale)
    first, second = recipe.jitter_px
    for scale, side in zip(recipe.scale, recipe.input_sides_px, strict=True):
        transforms = [
            lucid.transform.pad(recipe.pad_px),
            lucid.transform.jitter(first),
            lucid.transform.random_scale([scale]),
        ]
        image = tf.zeros([1, recipe.size_px, recipe.size_px, 3])
        with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
            seen = lucid.transform.compose([*transforms, lucid.transform.jitter(second)])(
                tf.constant(image.numpy())
            )
            shape = session.run(tf.shape(seen))
        # It rounds down, and crops a second time after it has scaled.
        assert shape[1] == shape[2] and abs(shape[1] - side) <= 1


def test_draws_fill_the_ranges_of_the_recipe() -> None:
    recipe = RenderRecipe(
        size_px=64, pad_px=8, jitter_px=(3,), scale=(1.3, 0.8), rotate_degrees=(-45.0, 5.0, 5.0)
    )
    shift, factor, angle = parts_of(draw_transforms(np.random.default_rng(0), recipe, 1000), recipe)
    for values, expected in (
        (shift[:, 0], {-1.5: 1 / 4, -0.5: 1 / 4, 0.5: 1 / 4, 1.5: 1 / 4}),
        (factor, {0.8: 1 / 2, 1.3: 1 / 2}),
        (angle, {-45.0: 1 / 3, 5.0: 2 / 3}),
    ):
        np.testing.assert_allclose(shares_of(values, expected), list(expected.values()), atol=0.01)


@pytest.mark.parametrize("jitter_px", [(), (0,)])
def test_a_recipe_without_transforms_draws_none(jitter_px: tuple[int, ...]) -> None:
    still = RenderRecipe(size_px=64, pad_px=8, jitter_px=jitter_px, scale=(1,), rotate_degrees=(0,))
    np.testing.assert_allclose(
        draw_transforms(np.random.default_rng(0), still, 5),
        [[1, 0, 31.5, 0, 1, 31.5]] * 5,
        atol=1e-5,
    )


def test_draws_of_one_stream_are_the_same_each_time() -> None:
    one, again, other = (
        draw_transforms(sprite_stream(0, "stem", number, 0, "transforms"), RECIPE, 20)
        for number in (1, 1, 2)
    )
    assert one.tobytes() == again.tobytes() != other.tobytes()


def test_the_order_of_scales_and_angles_does_not_matter() -> None:
    values = {"scale": RECIPE.scale, "rotate_degrees": RECIPE.rotate_degrees}
    turned = RECIPE.model_copy(update={field: each[::-1] for field, each in values.items()})
    one, other = (
        draw_transforms(np.random.default_rng(0), recipe, 20) for recipe in (RECIPE, turned)
    )
    np.testing.assert_array_equal(one, other)


def test_the_first_draws_are_the_same_however_many_follow() -> None:
    few, many = (draw_transforms(np.random.default_rng(0), RECIPE, count) for count in (5, 50))
    np.testing.assert_array_equal(few, many[:5])


def from_the_corner(maps: tf.Tensor, input_px: int) -> np.ndarray:
    """Return maps from the input's columns and rows as they are counted from its first, float32
    `[batch, 6]`.
    """
    found, centre = maps.numpy().astype(np.float64), (input_px - 1) / 2
    for i in (0, 3):
        found[:, i + 2] -= (found[:, i] + found[:, i + 1]) * centre
    return found.astype(np.float32)


def gathered(images: tf.Tensor, maps: tf.Tensor, input_px: int, pad_px: int) -> tf.Tensor:
    """Do what `warp` does by gathering four neighbours: slow, but TensorFlow differentiates it
    exactly.
    """
    framed = tf.pad(
        images, [[0, 0], [pad_px, pad_px], [pad_px, pad_px], [0, 0]], constant_values=0.5
    )
    black = tf.pad(framed, [[0, 0], [1, 1], [1, 1], [0, 0]])
    a, b, c, d, e, f = (
        value[:, None, None] for value in tf.unstack(from_the_corner(maps, input_px), axis=1)
    )
    rows, columns = tf.meshgrid(*[tf.range(input_px, dtype=tf.float32)] * 2, indexing="ij")
    last = black.shape[1] - 1.001
    x = tf.clip_by_value(a * columns + b * rows + c + pad_px + 1, 0.0, last)
    y = tf.clip_by_value(d * columns + e * rows + f + pad_px + 1, 0.0, last)
    left, top = tf.floor(x), tf.floor(y)
    right_share, bottom_share = (x - left)[..., None], (y - top)[..., None]

    def at(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        return tf.gather_nd(
            black, tf.cast(tf.stack([row, column], axis=-1), tf.int32), batch_dims=1
        )

    above = at(top, left) * (1 - right_share) + at(top, left + 1) * right_share
    below = at(top + 1, left) * (1 - right_share) + at(top + 1, left + 1) * right_share
    return above * (1 - bottom_share) + below * bottom_share


COMMON = RenderRecipe(size_px=64, pad_px=8, jitter_px=(4, 4), input_sides=SIDES)


def framed_warp(images: tf.Tensor, maps: tf.Tensor, input_px: int, pad_px: int) -> tf.Tensor:
    return warp(images, maps, (input_px, input_px), pad_px, 0.5)


IMAGES = tf.constant(RNG.random((24, 64, 64, 3)), tf.float32)
MAPS = tf.constant(draw_transforms(np.random.default_rng(3), COMMON, 24))


def gradients(
    upstream: tf.Tensor,
    *transforms: Callable[..., tf.Tensor],
    maps: tf.Tensor = MAPS,
    input_px: int = COMMON.input_px,
) -> list[np.ndarray]:
    """Return the gradients at the images through each transform."""
    found = []
    for transform in transforms:
        with tf.GradientTape() as tape:
            tape.watch(IMAGES)
            value = tf.reduce_sum(transform(IMAGES, maps, input_px, COMMON.pad_px) * upstream)
        found.append(tape.gradient(value, IMAGES).numpy())
    return found


def test_a_transform_samples_bilinearly() -> None:
    found = framed_warp(IMAGES, MAPS, COMMON.input_px, COMMON.pad_px)
    np.testing.assert_allclose(
        found, gathered(IMAGES, MAPS, COMMON.input_px, COMMON.pad_px), atol=1e-3
    )


def test_the_gradient_is_close_to_the_exact_one() -> None:
    # White noise is the hardest: the smoother the gradient that arrives, the closer the two.
    upstream = tf.constant(RNG.normal(size=(24, COMMON.input_px, COMMON.input_px, 3)), tf.float32)
    for one, other in zip(*gradients(upstream, framed_warp, gathered), strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99
        assert one.std() == pytest.approx(other.std(), rel=0.12)


def test_the_gradient_is_neither_lost_nor_made() -> None:
    ours, exact = gradients(
        tf.ones([24, COMMON.input_px, COMMON.input_px, 3]), framed_warp, gathered
    )
    np.testing.assert_allclose(ours.sum((1, 2, 3)), exact.sum((1, 2, 3)), rtol=0.01)


def projected(images: tf.Tensor, maps: tf.Tensor, input_px: int, pad_px: int) -> tf.Tensor:
    """Do what `warp` does by TensorFlow's own kernel."""
    framed = tf.pad(
        images, [[0, 0], [pad_px, pad_px], [pad_px, pad_px], [0, 0]], constant_values=0.5
    )
    return resampled(
        framed,
        from_the_corner(maps, input_px) + tf.constant([0.0, 0.0, pad_px, 0.0, 0.0, pad_px]),
        input_px,
    )


def resampled(images: tf.Tensor, maps: tf.Tensor, output_px: int) -> tf.Tensor:
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.pad(maps, [[0, 0], [0, 2]]),
        output_shape=[output_px, output_px],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )


def inverse_of(maps: tf.Tensor, input_px: int) -> tuple[tf.Tensor, np.ndarray]:
    forward = from_the_corner(maps, input_px).astype(np.float64).reshape(-1, 2, 3)
    matrices = np.concatenate([forward, np.tile([[[0.0, 0.0, 1.0]]], (24, 1, 1))], axis=1)
    return tf.constant(np.linalg.inv(matrices)[:, :2].reshape(-1, 6), tf.float32), np.linalg.det(
        matrices
    )


# Far out, too, where parts of the image lie beyond the frame.
EXTREME = affine_maps(
    RNG.uniform(-40, 40, (24, 2)), RNG.uniform(0.5, 2, 24), RNG.uniform(-0.8, 0.8, 24), 64
)


@pytest.mark.parametrize("input_px", sorted({max(COMMON.input_sides_px), COMMON.input_px - 1}))
@pytest.mark.parametrize("compiled", [False, True], ids=["as it is", "compiled by XLA"])
def test_a_transform_and_its_gradient_are_those_of_tensorflows_kernel(
    compiled: bool, input_px: int
) -> None:
    transform = tf.function(framed_warp, jit_compile=compiled, autograph=False)
    for maps in (MAPS, tf.constant(EXTREME)):
        found = transform(IMAGES, maps, input_px, COMMON.pad_px)
        np.testing.assert_allclose(
            found, projected(IMAGES, maps, input_px, COMMON.pad_px), atol=2e-4
        )
        upstream = tf.constant(RNG.normal(size=found.shape), tf.float32)
        inverse, determinant = inverse_of(maps, input_px)
        wanted = resampled(upstream, inverse, 64).numpy() / determinant[:, None, None, None]
        np.testing.assert_allclose(
            gradients(upstream, transform, maps=maps, input_px=input_px)[0], wanted, atol=2e-3
        )
        assert wanted.std() > 0.2


def test_each_image_has_its_own_transform() -> None:
    together = framed_warp(IMAGES[:3], MAPS[:3], COMMON.input_px, COMMON.pad_px).numpy()
    for index in range(3):
        alone = framed_warp(
            IMAGES[index : index + 1], MAPS[index : index + 1], COMMON.input_px, COMMON.pad_px
        ).numpy()
        np.testing.assert_array_equal(together[index], alone[0])


@pytest.mark.slow
@pytest.mark.parametrize("input_px", [(40, 64), (64, 40)])
def test_an_input_that_is_no_square_shows_the_middle_of_the_square_one(
    input_px: tuple[int, int],
) -> None:
    maps, (rows, columns) = MAPS[:3], input_px
    square = warp(IMAGES[:3], maps, (64, 64), COMMON.pad_px, 0.5).numpy()
    top, left = (64 - rows) // 2, (64 - columns) // 2
    found = warp(IMAGES[:3], maps, input_px, COMMON.pad_px, 0.5).numpy()
    np.testing.assert_allclose(found, square[:, top : top + rows, left : left + columns], atol=1e-4)

    def total(transform: Callable[[tf.Tensor], tf.Tensor]) -> np.ndarray:
        images = tf.Variable(IMAGES[:3])
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(transform(images))
        return tape.gradient(value, images).numpy()

    cut = total(
        lambda images: warp(images, maps, (64, 64), COMMON.pad_px, 0.5)[
            :, top : top + rows, left : left + columns
        ]
    )
    np.testing.assert_allclose(
        total(lambda images: warp(images, maps, input_px, COMMON.pad_px, 0.5)), cut, atol=2e-3
    )


def test_an_input_so_many_times_as_large_shows_the_same_enlarged() -> None:
    small = warp(IMAGES[:3], MAPS[:3], (48, 48), COMMON.pad_px, 0.5).numpy()
    large = warp(IMAGES[:3], enlarged(MAPS[:3], 3.0), (144, 144), COMMON.pad_px, 0.5).numpy()
    np.testing.assert_allclose(large[:, 1::3, 1::3], small, atol=1e-4)
