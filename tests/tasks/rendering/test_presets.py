"""The recipes with a name are what they say: lucid's numbers, opacity where the channel looks,
magnitudes that stay.
"""

import numpy as np
import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.rendering.course import course_of, focus_of
from diamond_cutter.tasks.rendering.precision import Execution
from diamond_cutter.tasks.rendering.presets import PRESETS, SPECTRUM_OF_PHOTOS
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.renderer import LayerRenderer
from diamond_cutter.tasks.rendering.spectrum import FREQUENCIES, magnitudes
from diamond_cutter.tasks.rendering.sprites import Sprite, render_sprites
from diamond_cutter.tasks.rendering.subjects import Channels, Member
from diamond_cutter.tasks.rendering.trace_key import TraceKey
from diamond_cutter.tasks.rendering.transforms import Views
from tests.tasks.rendering.test_image import before_sigmoid


def opacities(sprites: list[Sprite]) -> np.ndarray:
    return np.stack([sprite.picture[..., 3] for sprite in sprites]) / 255


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_recipe_of_its_own(name: str) -> None:
    recipe = RenderRecipe(name=name)
    assert recipe.key.startswith(f"{name}@")
    others = {RenderRecipe(name=other).key.partition("@")[2] for other in PRESETS}
    assert len(others) == len(PRESETS)
    # What is given beside the name changes the preset and leaves the rest.
    assert RenderRecipe(name=name, steps=7) == recipe.model_copy(update={"steps": 7})
    assert {field: getattr(recipe, field) for field in PRESETS[name]} == dict(PRESETS[name])


def test_lucid_has_lucids_numbers() -> None:
    recipe = RenderRecipe(name="lucid")
    assert recipe.scale == pytest.approx([1 + (i - 5) / 50 for i in range(11)])
    assert sorted(recipe.rotate_degrees) == sorted([*range(-10, 11), *5 * [0]])
    assert (sum(recipe.jitter_px), recipe.pad_px, recipe.pad_value) == (12, 12, 0.5)
    assert (
        recipe.steps,
        recipe.learning_rate,
        recipe.decay_power,
        recipe.initial_sd,
        recipe.cooldown,
    ) == (512, 0.05, 1, 0.01, 0)


def test_alpha_has_the_transforms_of_the_building_blocks() -> None:
    recipe = RenderRecipe(name="alpha")
    scales = [0.995**n for n in range(-5, 80)] + 2 * [0.998**n for n in range(20, 40)]
    np.testing.assert_allclose(sorted(recipe.scale), sorted(scales), atol=1e-4)
    angles = [*range(-20, 21), *range(-10, 11), *range(-5, 6), *5 * [0]]
    assert sorted(recipe.rotate_degrees) == sorted(angles)
    assert sorted(recipe.jitter_px) == [4, 4, 8, 8, 8] and (recipe.pad_px, recipe.pad_value) == (
        4,
        1,
    )
    assert recipe.alpha and recipe.pre_activation and recipe.objective == "neuron-and-channel"


@pytest.mark.slow
def test_alpha_is_opaque_where_the_channel_looks_and_nowhere_else(lite0: Bundle) -> None:
    recipe = RenderRecipe(name="alpha", size_px=64, steps=120, ladder=(), input_sides=1)
    channels = Channels(layer="block_5")
    drawn = [
        render_sprites(
            lite0,
            channels,
            [0, 1, 2, 3],
            recipe.model_copy(update={"alpha_weight": weight}),
            batch_size=4,
            execution=Execution(),
        )
        for weight in (0.0, recipe.alpha_weight)
    ]
    held_back = opacities(drawn[1])
    assert held_back.shape == (4, 64, 64)
    middle, rim = (
        held_back[:, 24:40, 24:40].mean(axis=(1, 2)),
        np.concatenate([held_back[:, :6], held_back[:, -6:]], axis=1).mean(axis=(1, 2)),
    )
    assert (middle > 0.7).all() and (rim < 0.2).all()
    # Without the weight of opacity nothing is transparent for nothing.
    assert (opacities(drawn[0]).mean(axis=(1, 2)) > held_back.mean(axis=(1, 2)) + 0.15).all()
    for sprite in drawn[1]:
        assert (
            not sprite.scores.flags
            and sprite.scores.objective is not None
            and sprite.scores.objective > 1
        )


def test_the_spectrum_of_photos_is_one_of_natural_images() -> None:
    spectrum = np.array(SPECTRUM_OF_PHOTOS)
    assert spectrum.shape == (3, len(FREQUENCIES)) and (np.diff(spectrum, axis=1) < 0).all()
    # Energy falls about with the square of frequency.
    slopes = np.polyfit(np.log(FREQUENCIES), np.log(spectrum.T), 1)[0]
    assert ((slopes > -1.4) & (slopes < -1.0)).all()
    assert (spectrum[0] >= spectrum[1] * 0.9).all()


@pytest.mark.slow
def test_maco_keeps_its_magnitudes_and_excites_the_channel(toy: Bundle) -> None:
    layer, recipe = (
        "second",
        RenderRecipe(name="maco", size_px=32, steps=60, redirect_steps=3, ladder=(), input_sides=1),
    )
    channels, members = Channels(layer=layer), [Member(number, 0) for number in range(4)]
    renderer = LayerRenderer(toy, (layer,), TraceKey.of(recipe, 4, Execution()))
    targets, focus, course = (
        channels.targets(range(4)),
        focus_of(recipe),
        course_of(layer, members, recipe),
    )
    start = course._replace(
        views=Views(course.views.maps[:0], course.views.sides[:0]), rates=course.rates[:0]
    )
    before, after = (renderer.optimise(way, targets, focus) for way in (start, course))
    wanted = magnitudes(recipe.spectrum, 32, 3)
    for images in (before, after):
        found = np.abs(np.fft.rfft2(before_sigmoid(images)))
        np.testing.assert_allclose(
            found,
            np.broadcast_to(wanted, found.shape),
            rtol=0.01,
            atol=0.01 * wanted[wanted > 0].min(),
        )
    assert np.abs(after - before).mean() > 0.05
    first = Views(course.views.maps[:16], course.views.sides[:16])
    low, high = (
        renderer.score(images, first, targets, focus).objective for images in (before, after)
    )
    assert (high > low).all() and high.mean() > 1.1 * low.mean()
