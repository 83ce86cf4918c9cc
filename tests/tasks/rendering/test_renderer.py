"""The loop climbs, treats each member as if it were alone, compiles once, and measures what it
says.
"""

import gc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, activation_function
from diamond_cutter.tasks.rendering.course import course_of, focus_of, views_of
from diamond_cutter.tasks.rendering.precision import Execution
from diamond_cutter.tasks.rendering.presets import PRESETS
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.renderer import BatchScores, LayerRenderer
from diamond_cutter.tasks.rendering.scores import on_white
from diamond_cutter.tasks.rendering.spectrum import FREQUENCIES
from diamond_cutter.tasks.rendering.sprites import layer_renderer
from diamond_cutter.tasks.rendering.subjects import Channels, Member, Mix, Mixes, Subjects, Term
from diamond_cutter.tasks.rendering.trace_key import TraceKey
from diamond_cutter.tasks.rendering.transforms import Views, warp
from tests.toy_network import toy_bundle, toy_weights

BATCH = 4
QUICK = RenderRecipe(size_px=32, steps=8, redirect_steps=3, input_sides=1)
# Sides of 36 and 60 pixels, at about every other step.
TWO_SIDES = QUICK.model_copy(update={"scale": (0.75, 1.25), "pad_px": 14, "input_sides": 2})
FLOAT32, BFLOAT16, XLA = Execution(), Execution(precision="bfloat16"), Execution(xla=True)
# All that a recipe can hold a sprite back by.
PENALISED = {"alpha": True, "blur": 0.5, "variants": 2}


def renderer_of(
    bundle: Bundle, subjects: Subjects, recipe: RenderRecipe, execution: Execution = FLOAT32
) -> LayerRenderer:
    return layer_renderer(bundle, subjects.layers, TraceKey.of(recipe, BATCH, execution))


def members_of(numbers: Sequence[int], recipe: RenderRecipe) -> list[Member]:
    return [Member(number, variant) for number in numbers for variant in range(recipe.variants)]


def drawn(
    renderer: LayerRenderer,
    subjects: Subjects,
    numbers: Sequence[int],
    recipe: RenderRecipe,
    steps: int | None = None,
) -> np.ndarray:
    """Return the images before they become bytes, after all steps or the first few."""
    members = members_of(numbers, recipe)
    course = course_of(subjects.name, members, recipe)
    course = course._replace(
        views=Views(*(each[:steps] for each in course.views)), rates=course.rates[:steps]
    )
    return renderer.optimise(
        course, subjects.targets([member.number for member in members]), focus_of(recipe)
    )


def scored(
    renderer: LayerRenderer,
    subjects: Subjects,
    numbers: Sequence[int],
    recipe: RenderRecipe,
    images: np.ndarray,
) -> BatchScores:
    members = members_of(numbers, recipe)
    views = views_of(subjects.name, members, recipe, "scores", 8)
    return renderer.score(
        images, views, subjects.targets([member.number for member in members]), focus_of(recipe)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "fields"),
    [
        ("first", {}),
        ("second", {}),
        ("third", {}),
        ("logits", {}),
        ("second", {"objective": "neuron"}),
        ("second", {"objective": "neuron-and-channel", "neuron_at": (0.3, 0.7)}),
        ("third", {"pre_activation": True}),
        ("second", {"alpha": True, "blur": 0.2}),
        ("third", {"input_sides": 2, "scale": (0.75, 1.25), "pad_px": 14}),
        (
            "second",
            {
                "parameterisation": "maco",
                "spectrum": (tuple(0.3 * FREQUENCIES**-1.0),),
                "learning_rate": 0.3,
            },
        ),
    ],
    ids=str,
)
def test_the_objective_rises(toy: Bundle, layer: str, fields: dict[str, Any]) -> None:
    recipe, subjects, numbers = (
        RenderRecipe(**{"size_px": 32, "steps": 40, "input_sides": 1, **fields}),
        Channels(layer=layer),
        [0, 1, 2, 3],
    )
    renderer = renderer_of(toy, subjects, recipe)
    before, after = (
        scored(
            renderer, subjects, numbers, recipe, drawn(renderer, subjects, numbers, recipe, steps)
        ).objective
        for steps in (0, None)
    )
    assert (after > before).all() and (after - before).mean() > 0.1


SHUT = 5


@pytest.fixture(scope="module")
def with_a_shut_channel() -> Bundle:
    """Return the toy network whose third layer has a channel that gets no gradient, but that of
    redirected ReLUs.
    """
    weights = toy_weights()
    weights["third/beta"][SHUT] = -1e4
    return toy_bundle(weights)


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize(
    ("layer", "execution"),
    [("second", BFLOAT16), ("third", FLOAT32), ("third", BFLOAT16), ("logits", FLOAT32)],
    ids=["second-bfloat16", "third-float32", "third-bfloat16", "logits-float32"],
)
def test_an_image_is_the_same_bit_for_bit_in_any_company(
    with_a_shut_channel: Bundle, layer: str, execution: Execution
) -> None:
    subjects = Channels(layer=layer)
    renderer = renderer_of(with_a_shut_channel, subjects, TWO_SIDES, execution)
    companies = (
        [2, 0, 1, 3],
        [4, 1, 2, 0],
        [3, 3, 3, 2],
        [SHUT, 4, 2, SHUT] if layer == "third" else [2] * 4,
    )
    images = [
        drawn(renderer, subjects, company, TWO_SIDES)[company.index(2)] for company in companies
    ]
    assert (
        images[0].dtype == np.float32 and images[0].shape == (32, 32, 3) and images[0].std() > 0.03
    )
    assert len({image.tobytes() for image in images}) == 1


def test_a_member_that_sleeps_redirects_the_relus_of_no_other(with_a_shut_channel: Bundle) -> None:
    shut = Term(layer="third", channels=(SHUT,), weights=(1.0,))
    # One layer gives the first mix no gradient, and the other does.
    both = Mix(label="both", terms=(shut, Term(layer="second", channels=(2,), weights=(1.0,))))
    subjects = Mixes(mixes=(both, Mix(label="asleep", terms=(shut,))))
    renderer = renderer_of(with_a_shut_channel, subjects, QUICK)
    awake, beside_a_sleeper = (
        drawn(renderer, subjects, [0, 0, 0, 0], QUICK),
        drawn(renderer, subjects, [0, 0, 0, 1], QUICK),
    )
    assert awake[0].tobytes() == beside_a_sleeper[0].tobytes() != beside_a_sleeper[3].tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("execution", [FLOAT32, BFLOAT16], ids=lambda execution: execution.name)
def test_a_group_of_variants_is_the_same_bit_for_bit_in_any_company(
    toy: Bundle, execution: Execution
) -> None:
    recipe, subjects = QUICK.model_copy(update=PENALISED), Channels(layer="second")
    renderer = renderer_of(toy, subjects, recipe, execution)
    groups = [
        drawn(renderer, subjects, [2, 0], recipe)[:2],
        drawn(renderer, subjects, [5, 2], recipe)[2:],
    ]
    assert groups[0].shape == (2, 32, 32, 4)
    assert groups[0].tobytes() == groups[1].tobytes()
    assert np.abs(groups[0][0] - groups[0][1]).max() > 0.05


@pytest.mark.slow
def test_xla_draws_the_same_images(toy: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    # XLA draws other noise from the same seeds, so what stands behind is grey here.
    monkeypatch.setattr(
        "diamond_cutter.tasks.rendering.loop.backgrounds",
        lambda seeds, size_px, channels: tf.fill([BATCH, size_px, size_px, 3], 0.5),
    )
    recipe, subjects = (
        TWO_SIDES.model_copy(update={**PENALISED, "steps": 5}),
        Channels(layer="third"),
    )
    numbers = [0, 1, 2, 3][: BATCH // recipe.variants]
    # Of no use to other tests, as the grey is compiled in.
    plain, compiled = (
        LayerRenderer(toy, subjects.layers, TraceKey.of(recipe, BATCH, execution))
        for execution in (FLOAT32, XLA)
    )
    wanted, found = (drawn(renderer, subjects, numbers, recipe) for renderer in (plain, compiled))
    assert wanted.std() > 0.03
    # Compiled sums round differently, so equal bits would mean that nothing was compiled.
    assert found.tobytes() != wanted.tobytes()
    # Adam divides by the gradient's size, so that what differs in the last bits of a tiny one may
    # differ by a whole step.
    assert np.abs(found - wanted).mean() < 1e-4 and np.abs(found - wanted).max() < 0.01
    for one, other in zip(
        scored(compiled, subjects, numbers, recipe, wanted),
        scored(plain, subjects, numbers, recipe, wanted),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


DATA: dict[str, Any] = {
    "name": "another",
    "seed": 5,
    "objective": "neuron",
    "neuron_at": (0.1, 0.9),
    "initial_sd": 0.02,
    "diversity": 0.0,
    "alpha_weight": 0.5,
    "blur": 1.5,
    "steps": 5,
    "learning_rate": 0.3,
    "cooldown": 1.0,
    "redirect_steps": 0,
    "jitter_px": (1, 11),
    # With the means of the recipe's groups.
    "scale": (0.625, 0.875, 1.0, 1.5),
    "rotate_degrees": (0.0,),
    "ladder": (),
    "layers": {"head": {"steps": 4}},
}
COMPILED_IN: dict[str, Any] = {
    "size_px": 36,
    "pre_activation": True,
    "negative": True,
    "variants": 4,
    "parameterisation": "maco",
    "spectrum": ((1.0,) * len(FREQUENCIES),),
    "decay_power": 1.0,
    "alpha": False,
    "beta1": 0.6,
    "beta2": 0.8,
    "gate_smoothing": 0.3,
    "pad_px": 13,
    "pad_value": 0.4,
    "input_sides": 1,
}


@pytest.mark.slow
def test_one_trace_serves_a_layer_whatever_the_data(toy: Bundle) -> None:
    assert (
        DATA.keys() | COMPILED_IN.keys() | {"engine"} == RenderRecipe.model_fields.keys()
        and not DATA.keys() & COMPILED_IN.keys()
    )
    recipe, subjects = (
        RenderRecipe.model_validate({**TWO_SIDES.model_dump(), **PENALISED}),
        Channels(layer="second"),
    )
    assert set(course_of("second", members_of([0, 1], recipe), recipe).views.sides) == {0, 1}
    renderer, shape = renderer_of(toy, subjects, recipe), TraceKey.of(recipe, BATCH, FLOAT32)
    pictures = {drawn(renderer, subjects, [0, 1], recipe).tobytes()}
    for field, value in DATA.items():
        changed = RenderRecipe.model_validate({**recipe.model_dump(), field: value})
        assert TraceKey.of(changed, BATCH, FLOAT32) == shape, field
        pictures.add(drawn(renderer, subjects, [0, 1], changed).tobytes())
    # Without effect are the name, the ladder, what is different at another layer, where no neuron
    # is looked at, and for how long ReLUs are redirected where none is shut.
    assert len(pictures) == 1 + len(DATA) - 5
    assert renderer.trace_count == 1


@pytest.mark.parametrize("field", [*COMPILED_IN, "jitter_px", "scale", "blur"])
def test_what_is_compiled_in_is_part_of_the_shape(field: str) -> None:
    recipe = TWO_SIDES.model_copy(update=PENALISED)
    other = {"jitter_px": (8, 5), "scale": (0.75, 1.5), "blur": 0.0}.get(
        field, COMPILED_IN.get(field)
    )
    fields = {
        name: value
        for name, value in COMPILED_IN.items()
        if name in ("parameterisation", "spectrum")
    }
    changed = recipe.model_copy(update=fields if field in fields else {field: other})
    assert TraceKey.of(changed, BATCH, FLOAT32) != TraceKey.of(recipe, BATCH, FLOAT32)


@pytest.mark.parametrize("field", COMPILED_IN)
def test_recipes_that_only_climb_differently_share_the_trace_of_their_scores(field: str) -> None:
    seen = {"size_px", "pre_activation", "negative", "alpha", "pad_px", "pad_value", "input_sides"}
    recipe = TWO_SIDES.model_copy(update=PENALISED)
    keys = {
        TraceKey.of_scores(each, BATCH, FLOAT32)
        for each in (recipe, recipe.model_copy(update={field: COMPILED_IN[field], "blur": 0.0}))
    }
    assert (len(keys) == 2) == (field in seen)


def test_the_default_recipe_is_scored_by_the_renderer_of_its_loop() -> None:
    recipe = RenderRecipe()
    assert TraceKey.of_scores(recipe, 8, BFLOAT16) == TraceKey.of(recipe, 8, BFLOAT16)


def test_a_shape_is_also_a_batch_and_an_execution() -> None:
    shapes = [
        TraceKey.of(QUICK, batch, execution)
        for batch in (4, 8)
        for execution in (FLOAT32, BFLOAT16, XLA)
    ]
    assert len(set(shapes)) == 6
    assert shapes[0].input_sides_px == QUICK.input_sides_px


@pytest.mark.parametrize("input_sides", range(1, 9))
@pytest.mark.parametrize("name", PRESETS)
def test_a_shape_has_the_sides_of_its_recipe(name: str, input_sides: int) -> None:
    recipe = RenderRecipe(name=name, input_sides=input_sides)
    assert TraceKey.of(recipe, BATCH, FLOAT32).input_sides_px == recipe.input_sides_px


@pytest.mark.slow
@pytest.mark.parametrize("side", [0, 1])
def test_a_step_sees_the_input_of_its_side(toy: Bundle, side: int) -> None:
    subjects, numbers = Channels(layer="third"), [0, 1, 2, 3]
    members, targets = members_of(numbers, TWO_SIDES), subjects.targets(numbers)
    course = course_of("third", members, TWO_SIDES)
    maps = course.views.maps
    single = TWO_SIDES.model_copy(update={"scale": TWO_SIDES.scale[side : side + 1]})
    several = renderer_of(toy, subjects, TWO_SIDES)
    found = several.optimise(
        course._replace(views=Views(maps, np.full(len(maps), side, np.int32))),
        targets,
        focus_of(single),
    )
    alone = course._replace(views=Views(maps, np.zeros(len(maps), np.int32)))
    wanted = renderer_of(toy, subjects, single).optimise(alone, targets, focus_of(single))
    np.testing.assert_array_equal(found, wanted)
    assert np.abs(several.optimise(course, targets, focus_of(single)) - wanted).max() > 0.01


def activations_under(
    bundle: Bundle, layer: str, images: np.ndarray, views: Views, recipe: RenderRecipe
) -> list[np.ndarray]:
    """Return a layer's activations of images at each draw, `[batch, height, width, channel]` of the
    draw's height and width.
    """
    look, sides_px = activation_function(bundle, layer), recipe.input_sides_px
    return [
        look(
            warp(
                tf.constant(images),
                tf.constant(maps),
                (sides_px[side],) * 2,
                recipe.pad_px,
                recipe.pad_value,
            )
        ).numpy()
        for maps, side in zip(*views, strict=True)
    ]


def test_a_score_is_what_the_pictures_do_to_the_layer(toy: Bundle) -> None:
    recipe, subjects, numbers = TWO_SIDES, Channels(layer="third"), [3, 0, 2, 2]
    images = np.random.default_rng(0).random((BATCH, 32, 32, 3), np.float32)
    draws = activations_under(
        toy,
        "third",
        images,
        views_of("third", members_of(numbers, recipe), recipe, "scores", 8),
        recipe,
    )
    assert {values.shape for values in draws} == {
        (BATCH, side // 2, side // 2, 6) for side in recipe.input_sides_px
    }
    own = [
        np.stack([values[i, :, :, number] for i, number in enumerate(numbers)]) for values in draws
    ]
    found = scored(renderer_of(toy, subjects, recipe), subjects, numbers, recipe, images)
    np.testing.assert_allclose(
        found.objective, np.mean([each.mean((1, 2)) for each in own], axis=0), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        found.highest, np.max([each.max((1, 2)) for each in own], axis=0), rtol=1e-5
    )
    np.testing.assert_allclose(
        found.means,
        np.mean([values.mean((1, 2)) for values in draws], axis=0),
        rtol=1e-4,
        atol=1e-6,
    )
    centre = recipe.model_copy(update={"objective": "neuron"})
    at_centre = scored(renderer_of(toy, subjects, centre), subjects, numbers, centre, images)
    wanted = np.mean([each[:, each.shape[1] // 2, each.shape[2] // 2] for each in own], axis=0)
    np.testing.assert_allclose(at_centre.objective, wanted, rtol=1e-5, atol=1e-6)


def test_a_transparent_picture_is_scored_on_white(toy: Bundle) -> None:
    recipe, subjects, numbers = (
        QUICK.model_copy(update={"alpha": True}),
        Channels(layer="second"),
        [0, 1, 2, 3],
    )
    picture = np.random.default_rng(0).integers(0, 256, (BATCH, 32, 32, 4), np.uint8)
    laid = np.stack([on_white(each) for each in picture]).astype(np.float32) / 255
    found = scored(
        renderer_of(toy, subjects, recipe),
        subjects,
        numbers,
        recipe,
        picture.astype(np.float32) / 255,
    )
    wanted = scored(renderer_of(toy, subjects, QUICK), subjects, numbers, QUICK, laid)
    np.testing.assert_allclose(found.objective, wanted.objective, atol=0.01)
    assert np.ptp(wanted.objective) > 0.1


MIXES = Mixes(
    mixes=(
        Mix(
            label="both",
            terms=(
                Term(layer="second", channels=(1, 4), weights=(1.0, -0.5)),
                Term(layer="logits", channels=(3,), weights=(2.0,)),
            ),
        ),
        Mix(label="one", terms=(Term(layer="logits", channels=(0,), weights=(1.0,)),)),
    )
)


def test_a_mix_is_the_weighted_sum_of_its_channels_in_their_layers(toy: Bundle) -> None:
    images = np.tile(np.random.default_rng(0).random((1, 32, 32, 3), np.float32), (BATCH, 1, 1, 1))
    maps, sides = views_of("any", [Member(0, 0)], QUICK, "scores", 4)
    views = Views(np.repeat(maps, BATCH, axis=1), sides)

    def objectives(subjects: Subjects, numbers: list[int]) -> np.ndarray:
        return (
            renderer_of(toy, subjects, QUICK)
            .score(images, views, subjects.targets(numbers), focus_of(QUICK))
            .objective
        )

    both, one = objectives(MIXES, [0, 1, 0, 1])[:2]
    second, logits = (
        objectives(Channels(layer="second"), [1, 4, 1, 1]),
        objectives(Channels(layer="logits"), [3, 0, 0, 0]),
    )
    assert both == pytest.approx(second[0] - 0.5 * second[1] + 2 * logits[0], rel=1e-4)
    assert one == pytest.approx(logits[1], rel=1e-4)


@pytest.mark.slow
def test_penalties_hold_back_what_they_name(toy: Bundle) -> None:
    subjects = Channels(layer="second")
    recipe = RenderRecipe(size_px=32, steps=30, alpha=True, blur=0.01, input_sides=1)
    renderer = renderer_of(toy, subjects, recipe)

    def opacity_and_detail(**weights: float) -> tuple[float, float]:
        images = drawn(renderer, subjects, [0, 1, 2, 3], recipe.model_copy(update=weights))
        return float(images[..., 3].mean()), float(np.abs(np.diff(images[..., :3], axis=1)).mean())

    plain, clear, smooth = (
        opacity_and_detail(alpha_weight=a, blur=b)
        for a, b in ((0.0, 0.01), (3.0, 0.01), (0.0, 100.0))
    )
    assert clear[0] < plain[0] - 0.1 and smooth[1] < 0.8 * plain[1]


@pytest.mark.slow
def test_a_renderer_that_is_let_go_leaves_no_graph_behind(toy: Bundle) -> None:
    def graphs() -> int:
        gc.collect()
        return sum(isinstance(each, tf.__internal__.FuncGraph) for each in gc.get_objects())

    def render(layer: str) -> None:
        subjects, members = Channels(layer=layer), members_of([0, 1, 2, 3], QUICK)
        renderer = LayerRenderer(toy, subjects.layers, TraceKey.of(QUICK, BATCH, FLOAT32))
        targets, focus = subjects.targets([0, 1, 2, 3]), focus_of(QUICK)
        images = renderer.optimise(course_of(layer, members, QUICK), targets, focus)
        renderer.score(images, views_of(layer, members, QUICK, "scores", 2), targets, focus)

    render("second")  # what all renderers share is traced once
    before = graphs()
    render("second")
    assert graphs() <= before
