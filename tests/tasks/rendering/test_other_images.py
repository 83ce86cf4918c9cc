"""Networks of images that are not the usual ones: grey, of many channels, of one size only, or not
square.
"""

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, activation_function
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.tasks.rendering.course import views_of
from diamond_cutter.tasks.rendering.image import in_colours
from diamond_cutter.tasks.rendering.presets import STANDARD
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.sprites import Sprite, render_sprites
from diamond_cutter.tasks.rendering.subjects import Channels, Member
from diamond_cutter.tasks.rendering.transforms import warp
from tests.built_bundle import bundle_of, flattened, weights

pytestmark = pytest.mark.slow

QUICK = RenderRecipe(
    name="quick",
    size_px=32,
    steps=24,
    learning_rate=0.07,
    decay_power=1.1,
    ladder=(),
    input_sides=1,
)


def two_layers(x: tf.Tensor) -> dict[str, tf.Tensor]:
    one = tf.nn.relu(tf.nn.conv2d(x, weights(3, 3, int(x.shape[-1]), 4), 1, "SAME"))
    return {"one": one, "two": tf.nn.relu(tf.nn.conv2d(one, weights(3, 3, 4, 4), 2, "SAME"))}


def rendered(
    bundle: Bundle, layer: str, recipe: RenderRecipe = QUICK, count: int = 4
) -> list[Sprite]:
    return render_sprites(bundle, Channels(layer=layer), range(count), recipe, batch_size=4)


def objectives(sprites: list[Sprite]) -> np.ndarray:
    return np.array([sprite.scores.objective for sprite in sprites])


@pytest.mark.parametrize(("channels", "name"), [(1, "maco"), (2, "alpha"), (5, "fast")])
def test_sprites_of_any_number_of_channels_excite_what_they_are_of(
    channels: int, name: str
) -> None:
    bundle = bundle_of(two_layers, channels=channels)
    fields: dict[str, object] = {"size_px": 64, "steps": 24, "ladder": (), "input_sides": 1}
    sprites = rendered(bundle, "two", RenderRecipe(name=name, **fields))
    start = rendered(
        bundle, "two", RenderRecipe(name=name, **fields | {"steps": 1, "learning_rate": 1e-6})
    )
    assert {sprite.picture.shape for sprite in sprites} == {(64, 64, 3 + (name == "alpha"))}
    awake = objectives(start) > 0
    assert awake.any()
    assert (objectives(sprites)[awake] > 1.1 * objectives(start)[awake]).all()


def test_a_grey_network_has_grey_sprites() -> None:
    for sprite in rendered(bundle_of(two_layers, channels=1), "one"):
        assert np.ptp(sprite.picture, axis=2).max() == 0
        assert sprite.picture.std() > 5


def test_what_is_scored_is_what_is_kept_of_a_grey_picture() -> None:
    bundle, standard = bundle_of(two_layers, channels=1), QUICK.model_copy(update=STANDARD)
    (sprite,) = rendered(bundle, "one", count=1)
    grey = tf.constant(sprite.picture[None, :, :, :1].astype(np.float32) / 255)
    look, sides = activation_function(bundle, "one"), standard.input_sides_px
    views = views_of("one", [Member(0, 0)], standard, "scores", 8)
    seen = [
        warp(grey, tf.constant(maps), (sides[side],) * 2, standard.pad_px, standard.pad_value)
        for maps, side in zip(*views, strict=True)
    ]
    assert sprite.scores.objective == pytest.approx(
        np.mean([look(each).numpy()[..., 0].mean() for each in seen]), rel=1e-4
    )


@pytest.mark.parametrize("layer", ["hidden", "scores"])
def test_a_layer_of_one_size_only_is_rendered_at_that_size(layer: str) -> None:
    bundle = bundle_of(flattened)
    sprites = rendered(bundle, layer, count=5)
    start = rendered(
        bundle, layer, QUICK.model_copy(update={"steps": 1, "learning_rate": 1e-6}), count=5
    )
    assert {sprite.picture.shape for sprite in sprites} == {(32, 32, 3)}
    assert (objectives(sprites) > objectives(start) + 0.005).all()


def test_a_layer_of_one_size_only_sees_a_picture_of_another_size_whole() -> None:
    bundle = bundle_of(flattened)
    (sprite,) = rendered(
        bundle, "scores", QUICK.model_copy(update={"size_px": 64, "steps": 64}), count=1
    )
    seen = tf.image.resize(sprite.picture.astype(np.float32) / 255, [32, 32], antialias=True)
    grey = float(
        activation_function(bundle, "scores")(np.full((1, 32, 32, 3), 0.5, np.float32))[0, 0]
    )
    assert float(activation_function(bundle, "scores")(seen[None])[0, 0]) > grey + 0.05


def test_an_image_that_is_not_square_goes_in_as_it_is() -> None:
    bundle = bundle_of(flattened, side=16, width=64)
    assert not bundle.card.layer("scores").any_size
    sprites = rendered(bundle, "scores", count=2)
    assert all(np.isfinite(objectives(sprites)))
    assert {sprite.picture.shape for sprite in sprites} == {(32, 32, 3)}


@pytest.mark.parametrize(
    ("planes", "channels", "wanted"),
    [
        (1, 1, [0, 0, 0]),
        (2, 1, [0, 0, 0, 1]),
        (3, 3, [0, 1, 2]),
        (4, 3, [0, 1, 2, 3]),
        (5, 5, [0, 1, 2]),
        (6, 5, [0, 1, 2, 5]),
    ],
)
def test_channels_are_shown_as_grey_or_the_first_three_as_colours(
    planes: int, channels: int, wanted: list[int]
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, planes), np.uint8)
    np.testing.assert_array_equal(in_colours(images, channels), images[..., wanted])


def test_two_channels_are_shown_as_red_and_green() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    found = in_colours(images, 2)
    np.testing.assert_array_equal(found[..., [0, 1, 3]], images)
    assert not found[..., 2].any()


def test_a_sprite_too_small_for_the_layer_is_one_sentence() -> None:
    def narrowing(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"deep": tf.nn.conv2d(x, weights(61, 61, 3, 4), 1, "VALID")}

    with pytest.raises(
        BadModel,
        match=r"^layer deep of built cannot be computed from 4\d x 4\d pixels.*Choose a larger",
    ) as error:
        rendered(bundle_of(narrowing, side=96), "deep")
    assert "\n" not in str(error.value)
