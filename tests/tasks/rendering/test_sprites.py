"""A sprite is its channel's, the same bit for bit whatever is rendered beside it, and says when it is none."""

from collections.abc import Sequence

import numpy as np
import pytest

from model_inventory.bundle import Bundle
from model_inventory.errors import UnknownLayer
from tasks.rendering.recipe import RenderRecipe
from tasks.rendering.renderer import LayerRenderer, Shape
from tasks.rendering.sprites import Sprite, batch_inputs, layer_renderer, learning_rates, render_sprites
from tests.toy_network import toy_bundle, toy_weights

BATCH = 4
QUICK = RenderRecipe(size_px=32, steps=12, pad_px=4, jitter_px=4, redirect_steps=3)


def optimised(renderer: LayerRenderer, layer: str, members: Sequence[int], recipe: RenderRecipe) -> np.ndarray:
    """Return the images before they become bytes."""
    return renderer.optimise(*batch_inputs(layer, members, recipe), recipe.redirect_steps)


def alike(one: Sprite, other: Sprite) -> bool:
    return one.picture.tobytes() == other.picture.tobytes() and one.scores == other.scores


def test_the_objective_rises(toy: Bundle) -> None:
    recipe = QUICK.model_copy(update={"steps": 60})
    members = [0, 1, 2, 3]
    for layer in ("first", "second", "third", "logits"):
        renderer = LayerRenderer(toy, layer, Shape.of(recipe, BATCH))
        spectrum, maps, channels, rates = batch_inputs(layer, members, recipe)
        before, after = (
            renderer.score(renderer.optimise(spectrum, maps[:steps], channels, rates[:steps], 0), maps[:16], channels)[0]
            for steps in (0, recipe.steps)
        )
        assert (after > before + 0.25).all(), layer


def test_a_real_network_is_excited(lite0: Bundle) -> None:
    layer, channels, recipe = "block_10.depthwise", [0, 1, 2, 3], RenderRecipe(size_px=64, steps=24)
    sprites = render_sprites(lite0, layer, channels, recipe, batch_size=BATCH)
    renderer = layer_renderer(lite0, layer, Shape.of(recipe, BATCH))
    spectrum, maps, ids, rates = batch_inputs(layer, channels, recipe)
    noise, _ = renderer.score(renderer.optimise(spectrum, maps[:0], ids, rates[:0], 0), maps[:8], ids)
    objectives = np.array([sprite.scores.objective for sprite in sprites])
    assert (objectives > noise + 1.0).all()
    assert objectives.mean() > 4 * noise.mean()
    assert all(not sprite.scores.flags for sprite in sprites)
    # The same alone: with real layers' kernels, too.
    assert alike(render_sprites(lite0, layer, [2], recipe, batch_size=BATCH)[0], sprites[2])


@pytest.mark.parametrize("layer", ["second", "third", "logits"])
def test_a_sprite_is_the_same_bit_for_bit_in_any_company(toy: Bundle, layer: str) -> None:
    first = render_sprites(toy, layer, [0, 1, 2, 3], QUICK, batch_size=BATCH)[2]
    companies = ([2], [2, 4], [4, 2, 0, 1], [1, 3, 4, 0, 2], [3, 2], [2, 2, 2, 2])
    for channels in companies:
        sprites = render_sprites(toy, layer, channels, QUICK, batch_size=BATCH)
        assert len(sprites) == len(channels)
        assert [sprite.scores.channel for sprite in sprites] == channels
        assert alike(sprites[channels.index(2)], first), channels
    # A renderer that has rendered nothing before.
    layer_renderer.cache_clear()
    assert alike(render_sprites(toy, layer, [4, 4, 2], QUICK, batch_size=BATCH)[2], first)


@pytest.mark.parametrize("layer", ["second", "third", "logits"])
def test_images_are_the_same_before_they_become_bytes(toy: Bundle, layer: str) -> None:
    renderer = LayerRenderer(toy, layer, Shape.of(QUICK, BATCH))
    slots = [optimised(renderer, layer, members, QUICK)[members.index(2)] for members in ([2, 0, 1, 3], [4, 1, 2, 0], [3, 3, 3, 2])]
    assert slots[0].dtype == np.float32 and slots[0].shape == (32, 32, 3)
    assert len({image.tobytes() for image in slots}) == 1


def test_every_sprite_is_another(toy: Bundle) -> None:
    pictures = [
        render_sprites(toy, layer, [channel], QUICK.model_copy(update={"seed": seed}), batch_size=1)[0].picture.tobytes()
        for layer in ("second", "third")
        for channel in (0, 1)
        for seed in (0, 1)
    ]
    assert len(set(pictures)) == 8


def test_one_trace_serves_a_layer(toy: Bundle) -> None:
    renderer = layer_renderer(toy, "third", Shape.of(QUICK, BATCH))
    for channels in ([0, 1, 2, 3], [4, 5], [1]):
        render_sprites(toy, "third", channels, QUICK, batch_size=BATCH)
    # Neither seed, nor steps, nor rates, nor transforms are compiled in.
    other = {"seed": 5, "steps": 7, "learning_rate": 0.3, "redirect_steps": 0, "scale": (1.0, 1.2), "rotate_degrees": 0.0}
    render_sprites(toy, "third", [2], QUICK.model_copy(update=other), batch_size=BATCH)
    assert layer_renderer(toy, "third", Shape.of(QUICK, BATCH)) is renderer
    assert renderer.trace_count == 1


def test_what_is_rendered_is_told_batch_by_batch(toy: Bundle) -> None:
    told: list[int] = []
    sprites = render_sprites(toy, "first", range(7), QUICK, batch_size=3, on_batch=told.append)
    assert told == [3, 3, 1]
    assert [sprite.scores.channel for sprite in sprites] == list(range(7))
    assert all(sprite.picture.shape == (32, 32, 3) and sprite.picture.dtype == np.uint8 for sprite in sprites)


def test_an_unknown_layer_is_not_rendered(toy: Bundle) -> None:
    with pytest.raises(UnknownLayer, match="did you mean 'third'"):
        render_sprites(toy, "thrid", [0], QUICK, batch_size=1)


def test_a_dead_channel_is_reported_dead_and_others_are_not() -> None:
    weights = toy_weights()
    weights["third/beta"][2] = -1e4
    recipe = QUICK.model_copy(update={"steps": 60})
    sprites = render_sprites(toy_bundle(weights), "third", [0, 1, 2, 3], recipe, batch_size=BATCH)
    assert ["dead" in sprite.scores.flags for sprite in sprites] == [False, False, True, False]
    assert (sprites[2].scores.objective, sprites[2].scores.highest_activation) == (0.0, 0.0)


def test_a_channel_that_starts_at_zero_wakes_up() -> None:
    # Shut on noise whatever the transform, open on a picture that tries: true gradient alone never moves it.
    weights, recipe = toy_weights(), QUICK.model_copy(update={"steps": 80})
    renderer = LayerRenderer(toy_bundle(weights), "third", Shape.of(recipe, 1))
    spectrum, maps, channels, rates = batch_inputs("third", [5], recipe)
    _, highest = renderer.score(renderer.optimise(spectrum, maps[:0], channels, rates[:0], 0), maps, channels)
    weights["third/beta"][5] -= 1.1 * highest[0]
    bundle = toy_bundle(weights)
    asleep, awake = (
        render_sprites(bundle, "third", [5], recipe.model_copy(update={"redirect_steps": steps}), batch_size=1)[0].scores
        for steps in (0, 16)
    )
    assert "dead" in asleep.flags and "dead" not in awake.flags
    assert awake.objective is not None and awake.objective > 0


def test_a_channel_that_overflows_is_told_and_harms_no_other() -> None:
    weights = toy_weights()
    sound = render_sprites(toy_bundle(weights), "third", [0, 1, 2, 3], QUICK, batch_size=BATCH)
    weights["third/kernel"][..., 2] = 3e38
    weights["third/gamma"][2] = weights["third/variance"][2] = 1
    sprites = render_sprites(toy_bundle(weights), "third", [0, 1, 2, 3], QUICK, batch_size=BATCH)
    assert sprites[2].scores.flags[-1] == "not_finite" and sprites[2].scores.objective is None
    for channel in (0, 1, 3):
        assert "not_finite" not in sprites[channel].scores.flags
        assert alike(sprites[channel], sound[channel])


@pytest.mark.parametrize(
    ("cooldown", "wanted"),
    [
        (0.5, [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]),
        (0.0, [1] * 10),
        (1.0, [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]),
    ],
)
def test_the_learning_rate_falls_at_the_end(cooldown: float, wanted: list[float]) -> None:
    rates = learning_rates(RenderRecipe(steps=10, learning_rate=0.2, cooldown=cooldown))
    assert rates.dtype == np.float32
    np.testing.assert_allclose(rates, 0.2 * np.array(wanted), rtol=1e-6)
