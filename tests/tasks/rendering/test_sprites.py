"""A sprite is its subject's, the same bit for bit whatever is rendered beside it, and says when it
is none and what saved it.
"""

import functools
import threading
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, activation_function
from diamond_cutter.model_inventory.errors import UnknownLayer
from diamond_cutter.storage.sets.records import Rung
from diamond_cutter.tasks.rendering import sprites as rendering
from diamond_cutter.tasks.rendering.course import Course, course_of, focus_of, learning_rates
from diamond_cutter.tasks.rendering.objectives import likeness
from diamond_cutter.tasks.rendering.precision import Execution
from diamond_cutter.tasks.rendering.presets import STANDARD
from diamond_cutter.tasks.rendering.recipe import RUNGS, LayerSettings, RenderRecipe
from diamond_cutter.tasks.rendering.renderer import LayerRenderer
from diamond_cutter.tasks.rendering.sprites import (
    KEPT_RENDERERS,
    Sprite,
    layer_renderer,
    render_sprites,
)
from diamond_cutter.tasks.rendering.subjects import Channels, Member, Mix, Mixes, Term
from diamond_cutter.tasks.rendering.trace_key import TraceKey
from diamond_cutter.tasks.rendering.transforms import Views
from tests.toy_network import CHANNELS, toy_bundle, toy_weights
from tests.waiting import AT_MOST_S

BATCH = 4
QUICK = RenderRecipe(
    size_px=32,
    steps=12,
    learning_rate=0.07,
    decay_power=1.1,
    redirect_steps=3,
    ladder=(),
    input_sides=1,
)
FLOAT32, BFLOAT16 = Execution(), Execution(precision="bfloat16")
BOTH_PRECISIONS = pytest.mark.parametrize(
    "execution", [FLOAT32, BFLOAT16], ids=lambda execution: execution.name
)
SECOND, THIRD = Channels(layer="second"), Channels(layer="third")
DEAD, ASLEEP = 2, 5


def changed(recipe: RenderRecipe = QUICK, **fields: Any) -> RenderRecipe:
    return RenderRecipe.model_validate({**recipe.model_dump(), **fields})


def rendered(
    bundle: Bundle,
    subjects: Channels | Mixes,
    numbers: Any,
    recipe: RenderRecipe = QUICK,
    **more: Any,
) -> list[Sprite]:
    return render_sprites(
        bundle, subjects, numbers, recipe, **{"batch_size": BATCH, "execution": FLOAT32, **more}
    )


def alike(one: Sprite, other: Sprite) -> bool:
    return one.picture.tobytes() == other.picture.tobytes() and one.scores == other.scores


def objectives(sprites: list[Sprite]) -> np.ndarray:
    return np.array([sprite.scores.objective for sprite in sprites])


def activations(bundle: Bundle, layer: str, sprites: list[Sprite]) -> np.ndarray:
    return activation_function(bundle, layer)(
        np.stack([sprite.picture for sprite in sprites]).astype(np.float32) / 255
    ).numpy()


@pytest.fixture
def no_renderers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the function that keeps renderers, with none yet; those of other tests are spared."""
    fresh = functools.lru_cache(maxsize=KEPT_RENDERERS)(layer_renderer.__wrapped__)
    monkeypatch.setattr(rendering, "layer_renderer", fresh)
    return fresh


@pytest.fixture(scope="module")
def with_a_dead_channel() -> Bundle:
    """Return the toy network whose third layer has a channel that no picture opens."""
    weights = toy_weights()
    weights["third/beta"][DEAD] = -30.0
    return toy_bundle(weights)


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
def test_a_real_network_is_excited(lite0: Bundle) -> None:
    subjects, numbers, recipe = (
        Channels(layer="block_10.depthwise"),
        [0, 1, 2, 3],
        RenderRecipe(size_px=64, steps=24, input_sides=1),
    )
    sprites = render_sprites(lite0, subjects, numbers, recipe, batch_size=BATCH)
    noise = render_sprites(
        lite0,
        subjects,
        numbers,
        changed(recipe, steps=1, learning_rate=1e-9, ladder=()),
        batch_size=BATCH,
    )
    assert (objectives(sprites) > objectives(noise) + 1.0).all()
    assert objectives(sprites).mean() > 4 * objectives(noise).mean()
    assert all(not sprite.scores.flags and sprite.scores.rung == "first" for sprite in sprites)
    assert all(
        sprite.scores.specificity is not None and sprite.scores.specificity > 2
        for sprite in sprites
    )
    # The same alone: with real layers' kernels, too, and in the precision of this machine.
    assert alike(render_sprites(lite0, subjects, [2], recipe, batch_size=BATCH)[0], sprites[2])


@pytest.mark.slow
def test_recipes_that_draw_alike_at_a_layer_draw_the_same_sprites(toy: Bundle) -> None:
    tuned = changed(
        name="tuned",
        layers={"second": LayerSettings(blur=0.3), "third": LayerSettings(pre_activation=True)},
    )
    before = changed(name="before", pre_activation=True)
    assert [
        QUICK.draws_as(tuned, layer) for layer in ("first", "second", "third", "mixes.01234567")
    ] == [True, False, False, True]
    assert all(
        map(
            alike,
            rendered(toy, Channels(layer="first"), [0, 1]),
            rendered(toy, Channels(layer="first"), [0, 1], tuned),
        )
    )
    # Both optimise the same there, but they score different activations.
    assert tuned.at("third").pre_activation == before.pre_activation and not before.draws_as(
        tuned, "third"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "execution"), [("third", BFLOAT16), ("logits", FLOAT32)], ids=["third", "logits"]
)
def test_a_sprite_is_the_same_bit_for_bit_in_any_company(
    toy: Bundle, layer: str, execution: Execution, request: pytest.FixtureRequest
) -> None:
    # In the third layer channel 3 fails at first: what is rendered again does not depend on its
    # company either.
    subjects, recipe = Channels(layer=layer), changed(ladder=("seed", "steps"))
    first = rendered(toy, subjects, [0, 1, 2, 3], recipe, execution=execution)
    for numbers in ([2], [4, 3, 0, 1], [1, 3, 4, 0, 2], [2, 2, 3]):
        sprites = rendered(toy, subjects, numbers, recipe, execution=execution)
        assert [sprite.scores.channel for sprite in sprites] == numbers
        assert all(
            alike(sprite, first[number])
            for number, sprite in zip(numbers, sprites, strict=True)
            if number < 4
        ), numbers
    if layer == "third":
        request.getfixturevalue("no_renderers")  # what follows has rendered nothing before
    assert alike(rendered(toy, subjects, [4, 4, 2], recipe, execution=execution)[2], first[2])
    assert (first[3].scores.rung != "first") == (layer == "third")


@pytest.mark.slow
def test_a_transparent_sprite_has_four_planes_and_is_the_same_in_any_company(toy: Bundle) -> None:
    """In float32, too: test_renderer.py has transparent groups of variants in both precisions."""
    recipe, execution = changed(alpha=True), BFLOAT16
    first = rendered(toy, SECOND, [0, 1, 2, 3], recipe, execution=execution)
    for numbers in ([2], [5, 2, 2, 1, 0]):
        sprites = rendered(toy, SECOND, numbers, recipe, execution=execution)
        assert alike(sprites[numbers.index(2)], first[2])
    assert all(
        sprite.picture.shape == (32, 32, 4) and sprite.picture.dtype == np.uint8 for sprite in first
    )
    assert all(sprite.picture[..., 3].std() > 3 for sprite in first)


@pytest.mark.slow
def test_every_sprite_is_another(toy: Bundle) -> None:
    sprites = [
        sprite
        for subjects in (SECOND, THIRD)
        for seed in (0, 1)
        for sprite in rendered(
            toy, subjects, [0, 1], changed(seed=seed, variants=3, diversity=0), batch_size=6
        )
    ]
    assert len({sprite.picture.tobytes() for sprite in sprites}) == len(sprites) == 24


@pytest.mark.slow
def test_what_is_rendered_is_told_batch_by_batch(toy: Bundle) -> None:
    told: list[int] = []
    numbers = [*range(8), 0]
    sprites = rendered(toy, Channels(layer="first"), numbers, on_batch=told.append)
    assert told == [4, 4, 1]
    assert [sprite.scores.channel for sprite in sprites] == numbers
    assert all(
        sprite.picture.shape == (32, 32, 3) and sprite.picture.dtype == np.uint8
        for sprite in sprites
    )


def test_an_unknown_layer_is_not_rendered(toy: Bundle) -> None:
    with pytest.raises(UnknownLayer, match="did you mean 'third'"):
        rendered(toy, Channels(layer="thrid"), [0])


@pytest.mark.slow
def test_a_dead_channel_is_reported_dead_and_others_are_not(with_a_dead_channel: Bundle) -> None:
    recipe = changed(steps=40, ladder=("redirect", "seed", "steps"))
    sprites = rendered(with_a_dead_channel, THIRD, [0, 1, DEAD, 3], recipe)
    assert ["dead" in sprite.scores.flags for sprite in sprites] == [False, False, True, False]
    assert (sprites[2].scores.objective, sprites[2].scores.highest_activation) == (0.0, 0.0)
    assert [sprite.scores.rung == "none" for sprite in sprites] == [False, False, True, False]


@pytest.mark.slow
def test_rungs_that_show_no_life_are_not_climbed_and_each_is_traced_once(
    with_a_dead_channel: Bundle, no_renderers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    courses, optimise = list[int](), LayerRenderer.optimise

    def noted(self: LayerRenderer, course: Course, *rest: Any) -> np.ndarray:
        courses.append(len(course.rates))
        return optimise(self, course, *rest)

    monkeypatch.setattr(LayerRenderer, "optimise", noted)
    # Transforms of its own, so that what is scored is seen in another shape than what is optimised.
    recipe = changed(steps=160, redirect_steps=3, ladder=RUNGS, pad_px=8, jitter_px=(4,))
    for _ in range(2):
        courses.clear()
        (sprite,) = rendered(with_a_dead_channel, THIRD, [DEAD], recipe, batch_size=2 * BATCH)
        assert sprite.scores.rung == "none"
        assert courses == [160, 20, 20, 20, 40, 40]
    assert no_renderers.cache_info().misses == 6


@pytest.mark.slow
def test_a_layer_whose_activations_are_tiny_is_saved_by_the_first_rung() -> None:
    weights = toy_weights()
    for part in ("gamma", "beta", "mean"):
        weights[f"third/{part}"] *= 1e-9
    weights["third/variance"][:] = 1
    recipe = changed(steps=40, ladder=("seed", "steps"))
    sprites = rendered(toy_bundle(weights), THIRD, [0, 1, 2, 3], recipe)
    assert [sprite.scores.rung for sprite in sprites] == ["seed"] * 4
    assert all(sprite.picture.std() > 12 for sprite in sprites)


@pytest.fixture(scope="module")
def with_a_sleeper(toy: Bundle) -> Bundle:
    """Return the toy network with a channel that is shut on noise, whatever the transform and the
    seed, but opens for a picture.
    """
    weights, recipe = toy_weights(), changed(steps=64)
    renderer = layer_renderer(toy, ("third",), TraceKey.of(recipe, BATCH, FLOAT32))
    highest = 0.0
    for seed in range(4):
        course = course_of("third", [Member(ASLEEP, 0)] * BATCH, changed(recipe, seed=seed))
        targets = THIRD.targets([ASLEEP] * BATCH)
        start = course._replace(
            views=Views(*(each[:0] for each in course.views)), rates=course.rates[:0]
        )
        images = renderer.optimise(start, targets, focus_of(recipe))
        highest = max(
            highest, renderer.score(images, course.views, targets, focus_of(recipe)).highest.max()
        )
    weights["third/beta"][ASLEEP] -= 1.1 * highest
    return toy_bundle(weights)


@pytest.mark.slow
def test_a_channel_that_starts_shut_wakes_up(with_a_sleeper: Bundle) -> None:
    asleep, awake = (
        rendered(with_a_sleeper, THIRD, [ASLEEP], changed(steps=80, redirect_steps=steps))[0].scores
        for steps in (0, 16)
    )
    assert asleep.flags == ("dead", "grey") and asleep.rung == "none"
    assert "dead" not in awake.flags and awake.rung == "first"
    assert awake.objective is not None and awake.objective > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ladder", "rung"),
    [
        (("redirect",), "redirect"),
        (("pre-activation",), "pre-activation"),
        (("seed", "redirect", "pre-activation"), "redirect"),
        (("seed", "pre-activation", "redirect"), "pre-activation"),
        (("steps", "regularise"), "none"),
    ],
)
def test_a_sprite_that_a_later_rung_saves_says_so(
    with_a_sleeper: Bundle, ladder: tuple[Rung, ...], rung: str
) -> None:
    recipe = changed(steps=40, redirect_steps=0, ladder=ladder)
    sprites = rendered(with_a_sleeper, THIRD, [0, ASLEEP, 1], recipe)
    assert [sprite.scores.rung for sprite in sprites] == ["first", rung, "first"]
    assert (("dead" in sprites[1].scores.flags), sprites[1].picture.std() > 12) == (
        (True, False) if rung == "none" else (False, True)
    )
    if rung != "none":
        # Whatever a rung changed, it is scored as the recipe says: behind the activation function.
        found = sprites[1].scores
        assert (
            found.objective is not None
            and found.highest_activation is not None
            and 0 < found.objective < found.highest_activation
        )
        # About what the picture does without a frame.
        assert (
            1 / 3
            < found.objective / activations(with_a_sleeper, "third", sprites)[1, ..., ASLEEP].mean()
            < 3
        )


@pytest.mark.slow
def test_what_is_saved_is_the_same_in_any_company(with_a_sleeper: Bundle) -> None:
    recipe = changed(steps=24, redirect_steps=0, ladder=("redirect", "steps"))
    saved = rendered(with_a_sleeper, THIRD, [0, ASLEEP, 1], recipe)[1]
    assert saved.scores.rung != "first"
    assert alike(rendered(with_a_sleeper, THIRD, [4, 3, 2, 1, 0, ASLEEP], recipe)[5], saved)


@pytest.mark.slow
def test_of_a_group_only_the_variants_that_failed_are_replaced(toy: Bundle) -> None:
    recipe = changed(steps=20, redirect_steps=0, variants=4, seed=2)
    before = rendered(toy, THIRD, [3], recipe)
    after = rendered(toy, THIRD, [3], changed(recipe, ladder=("redirect", "seed", "seed", "seed")))
    assert {sprite.scores.flags == () for sprite in before} == {True, False}
    for first, last in zip(before, after, strict=True):
        assert last.scores.flags == ()
        if first.scores.flags:
            assert last.scores.rung not in ("first", "none")
        else:
            assert alike(last, first)


@pytest.mark.slow
@BOTH_PRECISIONS
def test_a_channel_that_overflows_is_told_and_harms_no_other(
    toy: Bundle, execution: Execution
) -> None:
    weights = toy_weights()
    sound = rendered(toy, THIRD, [0, 1, 2, 3], execution=execution)
    weights["third/kernel"][..., 2] = 3e38
    weights["third/gamma"][2] = weights["third/variance"][2] = 1
    sprites = rendered(
        toy_bundle(weights), THIRD, [0, 1, 2, 3], changed(ladder=("seed",)), execution=execution
    )
    assert (
        sprites[2].scores.flags[-1] == "not_finite"
        and sprites[2].scores.objective is None
        and sprites[2].scores.rung == "none"
    )
    for number in (0, 1):
        assert "not_finite" not in sprites[number].scores.flags
        assert sprites[number].picture.tobytes() == sound[number].picture.tobytes()
        assert sprites[number].scores.objective == sound[number].scores.objective


@pytest.mark.slow
def test_variants_are_as_different_as_the_recipe_makes_them(toy: Bundle) -> None:
    def alikeness(diversity: float) -> float:
        sprites = rendered(
            toy, THIRD, [0, 1], changed(steps=40, variants=3, diversity=diversity), batch_size=6
        )
        assert [(sprite.scores.channel, sprite.scores.variant) for sprite in sprites] == [
            (n, v) for n in (0, 1) for v in range(3)
        ]
        return float(likeness(tf.constant(activations(toy, "third", sprites)), 3).numpy().mean())

    assert alikeness(3.0) < alikeness(0.0) - 0.02


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 4, 5, 7])
def test_a_batch_holds_whole_groups_of_variants(toy: Bundle, batch_size: int) -> None:
    recipe, told = changed(variants=3), list[int]()
    sprites = rendered(toy, SECOND, [0, 1, 2], recipe, batch_size=batch_size, on_batch=told.append)
    assert [(sprite.scores.channel, sprite.scores.variant) for sprite in sprites] == [
        (n, v) for n in range(3) for v in range(3)
    ]
    assert told == ([2, 1] if batch_size == 7 else [1, 1, 1])
    assert len({sprite.picture.tobytes() for sprite in sprites}) == 9
    alone = rendered(toy, SECOND, [2], recipe, batch_size=batch_size)
    assert all(alike(one, other) for one, other in zip(alone, sprites[6:], strict=True))


@pytest.mark.slow
def test_a_negative_pushes_the_channel_down_and_is_not_dead(toy: Bundle) -> None:
    up, down = (
        rendered(toy, SECOND, [0, 1, 2, 3], changed(steps=60, negative=negative, ladder=("seed",)))
        for negative in (False, True)
    )
    own = np.arange(4)
    high, low = (
        activations(toy, "second", sprites)[own, ..., own].mean(axis=(1, 2))
        for sprites in (up, down)
    )
    assert (low < high - 0.3).all()
    # Before the activation function it goes on below zero, and what is maximised rises above it.
    assert (objectives(down) > 0).any()
    assert all(sprite.scores.flags == () and sprite.scores.rung == "first" for sprite in down)


@pytest.mark.slow
def test_before_the_activation_function_a_shut_channel_has_a_picture(
    with_a_dead_channel: Bundle,
) -> None:
    behind, before = (
        rendered(with_a_dead_channel, THIRD, [DEAD], changed(steps=40, redirect_steps=0, **fields))[
            0
        ]
        for fields in ({}, {"pre_activation": True})
    )
    assert "grey" in behind.scores.flags and behind.scores.objective == 0
    assert "grey" not in before.scores.flags
    assert before.scores.objective is not None and -32 < before.scores.objective < -25


def mixes(*terms: Term) -> Mixes:
    return Mixes(
        mixes=(
            Mix(label="x", terms=terms),
            Mix(label="y", terms=(Term(layer="third", channels=(2,), weights=(1.0,)),)),
        )
    )


@pytest.mark.slow
def test_a_mix_of_two_layers_excites_both(toy: Bundle) -> None:
    subjects = mixes(
        Term(layer="second", channels=(3,), weights=(1.0,)),
        Term(layer="third", channels=(0,), weights=(4.0,)),
    )
    sprites = rendered(toy, subjects, [0, 1], changed(steps=60))
    single = [
        rendered(toy, Channels(layer=layer), [number], changed(steps=60))[0]
        for layer, number in (("second", 3), ("third", 0))
    ]

    def reached(sprite: Sprite) -> float:
        second, third = (activations(toy, layer, [sprite])[0] for layer in ("second", "third"))
        return float(second[..., 3].mean() + 4 * third[..., 0].mean())

    assert reached(sprites[0]) > max(map(reached, single))
    assert [sprite.scores.channel for sprite in sprites] == [0, 1] and sprites[
        0
    ].scores.specificity is None
    assert alike(rendered(toy, subjects, [1, 0], changed(steps=60))[1], sprites[0])


@pytest.mark.slow
def test_a_mix_that_pulls_down_only_is_not_dead(toy: Bundle) -> None:
    subjects = mixes(Term(layer="second", channels=(0, 1), weights=(-1.0, -1.0)))
    (sprite,) = rendered(toy, subjects, [0])
    assert sprite.scores.highest_activation is not None and sprite.scores.highest_activation <= 0
    assert "dead" not in sprite.scores.flags


@pytest.mark.slow
def test_the_settings_of_a_layer_hold_there_and_nowhere_else(toy: Bundle) -> None:
    settings = {
        "steps": 5,
        "learning_rate": 0.2,
        "decay_power": 0.8,
        "blur": 0.3,
        "pad_px": 8,
        "jitter_px": (4,),
        "scale": (1.0,),
    }
    settings |= {"rotate_degrees": (5.0,), "gate_smoothing": 0.6}
    assert {*settings, "pre_activation"} == set(LayerSettings.model_fields)
    tuned = changed(layers={"third": settings})
    (there,), (elsewhere,) = (rendered(toy, subjects, [0], tuned) for subjects in (THIRD, SECOND))
    assert alike(there, rendered(toy, THIRD, [0], changed(**settings))[0])
    assert alike(elsewhere, rendered(toy, SECOND, [0])[0])
    # Each of them is another recipe there, without which the sprite would be another.
    for field in settings:
        less = {name: value for name, value in settings.items() if name != field}
        assert changed(layers={"third": less}).at("third") != tuned.at("third"), field


@pytest.mark.slow
def test_a_layer_that_is_climbed_before_its_activation_function_is_scored_behind_it(
    toy: Bundle,
) -> None:
    (climbed,) = rendered(toy, THIRD, [0], changed(layers={"third": {"pre_activation": True}}))
    (asked_for,) = rendered(toy, THIRD, [0], changed(pre_activation=True))
    assert (
        climbed.picture.tobytes()
        == asked_for.picture.tobytes()
        != rendered(toy, THIRD, [0])[0].picture.tobytes()
    )
    # What a ReLU lets through is never less than what goes in.
    assert climbed.scores.objective is not None and asked_for.scores.objective is not None
    assert climbed.scores.objective > asked_for.scores.objective


@pytest.mark.slow
def test_recipes_of_other_transforms_are_scored_under_the_same(toy: Bundle) -> None:
    def score_of_noise(**fields: Any) -> float | None:
        return rendered(toy, SECOND, [1], changed(steps=1, learning_rate=1e-9, **fields))[
            0
        ].scores.objective

    plain = score_of_noise()
    assert (
        plain
        == score_of_noise(scale=(0.5,), rotate_degrees=(40.0,), jitter_px=(20, 4), pad_px=16)
        != score_of_noise(seed=1)
    )
    assert plain == score_of_noise(input_sides=2)


@pytest.mark.slow
def test_one_trace_serves_all_shards_of_a_layer(toy: Bundle, no_renderers: Any) -> None:
    # As the scores have it, too.
    recipe = changed(**STANDARD, decay_power=RenderRecipe().decay_power)
    assert (
        len(set(course_of("second", [Member(0, 0)], recipe).views.sides)) == recipe.input_sides > 1
    )
    for numbers in (range(CHANNELS["second"]), [1], [3, 2]):
        rendered(toy, SECOND, numbers, recipe)
    rendered(
        toy,
        SECOND,
        [2],
        changed(
            recipe, seed=5, steps=7, learning_rate=0.3, objective="neuron", neuron_at=(0.1, 0.9)
        ),
    )
    renderer = no_renderers(toy, ("second",), TraceKey.of(recipe, BATCH, FLOAT32))
    assert no_renderers.cache_info().misses == 1 and renderer.trace_count == 1


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_batches_at_once_change_nothing(
    toy: Bundle, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    together, most, lock, meet = 0, 0, threading.Lock(), threading.Barrier(at_once)
    optimise = LayerRenderer.optimise

    def watched(self: LayerRenderer, *arguments: Any) -> np.ndarray:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        meet.wait(AT_MOST_S)  # so that they do run at once
        images = optimise(self, *arguments)
        with lock:
            together -= 1
        return images

    first = Channels(layer="first")
    alone, told = (
        [rendered(toy, first, [number], batch_size=1)[0] for number in range(6)],
        list[int](),
    )
    monkeypatch.setattr(rendering, "_BATCHES_AT_ONCE", at_once)
    monkeypatch.setattr(LayerRenderer, "optimise", watched)
    together_drawn = rendered(toy, first, range(6), batch_size=1, on_batch=told.append)
    assert most == at_once and told == [1] * 6
    assert all(map(alike, together_drawn, alone)) and not alike(alone[0], alone[1])


def test_a_batch_that_breaks_beside_another_is_told(
    toy: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: LayerRenderer, course: Any, *arguments: Any) -> np.ndarray:
        raise tf.errors.ResourceExhaustedError(None, None, "no memory")

    monkeypatch.setattr(LayerRenderer, "optimise", broken)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        rendered(toy, Channels(layer="first"), range(6), batch_size=1)


def test_all_members_of_a_batch_have_the_same_sides_and_their_own_transforms() -> None:
    recipe = changed(steps=30, input_sides=3)
    course, alone = (
        course_of("second", members, recipe)
        for members in ([Member(0, 0), Member(1, 0)], [Member(1, 0)])
    )
    assert course.views.maps.shape == (30, 2, 6) and course.views.sides.shape == (30,)
    assert (course.views.maps[:, 0] != course.views.maps[:, 1]).any(axis=1).all()
    np.testing.assert_array_equal(course.views.maps[:, 1:], alone.views.maps)
    np.testing.assert_array_equal(course.views.sides, alone.views.sides)
    np.testing.assert_array_equal(
        course.views.sides, course_of("third", [Member(5, 1)], changed(recipe, seed=9)).views.sides
    )


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
