"""A recipe is named by its content, starts from a preset, and is refused where a field is out of
range.
"""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from diamond_cutter.tasks.rendering.presets import PRESETS
from diamond_cutter.tasks.rendering.recipe import LayerSettings, RenderRecipe
from diamond_cutter.tasks.rendering.spectrum import FREQUENCIES

ROW = tuple(float(index) for index in range(len(FREQUENCIES)))
SETTINGS = {
    "steps": 64,
    "learning_rate": 0.2,
    "decay_power": 1.5,
    "blur": 0.25,
    "pad_px": 16,
    "jitter_px": (16,),
    "scale": (1.0, 2.0),
    "rotate_degrees": (30.0,),
    "gate_smoothing": 0.5,
    "pre_activation": True,
}
# Every field, so that the key below stays when a default changes, and falls when a field is added:
# then pictures are drawn again.
WHOLE: dict[str, Any] = {
    "name": "golden",
    "engine": 2,
    "size_px": 128,
    "seed": 0,
    "objective": "neuron-and-channel",
    "neuron_at": (0.5, 0.25),
    "pre_activation": True,
    "negative": False,
    "variants": 3,
    "diversity": 0.5,
    "parameterisation": "maco",
    "decay_power": 1.0,
    "initial_sd": 0.01,
    "spectrum": (ROW,),
    "alpha": False,
    "alpha_weight": 1.0,
    "blur": 0.0,
    "steps": 320,
    "learning_rate": 0.1,
    "beta1": 0.3,
    "beta2": 0.9,
    "cooldown": 0.3,
    "gate_smoothing": 0.25,
    "redirect_steps": 16,
    "pad_px": 12,
    "pad_value": 0.5,
    "jitter_px": (8, 4),
    "scale": (0.9, 1.1),
    "input_sides": 1,
    "rotate_degrees": (-12.0, 0.0, 12.0),
    "ladder": ("redirect", "seed"),
    "layers": {"block_3": SETTINGS, "head": {}},
}
OTHER: dict[str, Any] = {
    "size_px": 132,
    "seed": 1,
    "objective": "neuron",
    "neuron_at": (0.5, 0.26),
    "pre_activation": False,
    "negative": True,
    "variants": 2,
    "diversity": 0.51,
    "decay_power": 1.1,
    "initial_sd": 0.011,
    "spectrum": ((*ROW[:-1], 99.0),),
    "alpha": True,
    "alpha_weight": 1.1,
    "blur": 0.1,
    "steps": 321,
    "learning_rate": 0.11,
    "beta1": 0.31,
    "beta2": 0.91,
    "cooldown": 0.31,
    "gate_smoothing": 0.26,
    "redirect_steps": 17,
    "pad_px": 13,
    "pad_value": 0.4,
    "jitter_px": (4, 8),
    "scale": (0.9, 1.11),
    "input_sides": 2,
    "rotate_degrees": (-12.0, 12.0),
    "ladder": ("seed", "redirect"),
    "layers": {"block_3": SETTINGS},
}
FOURIER = {**WHOLE, "parameterisation": "fourier", "spectrum": ()}


def digest(recipe: RenderRecipe) -> str:
    return recipe.key.partition("@")[2]


def sentence_of(**fields: Any) -> str:
    """Return the one error that a recipe is refused with."""
    with pytest.raises(ValidationError) as caught:
        RenderRecipe(**fields)
    (error,) = caught.value.errors()
    return ".".join(map(str, error["loc"])) + ": " + error["msg"]


def test_the_key_of_a_recipe_is_stable() -> None:
    assert set(WHOLE) == set(RenderRecipe.model_fields) and set(SETTINGS) == set(
        LayerSettings.model_fields
    )
    assert RenderRecipe(**WHOLE).key == "golden@42fdd85c"


def test_a_name_is_no_part_of_the_hash() -> None:
    assert digest(RenderRecipe(**WHOLE | {"name": "another"})) == digest(RenderRecipe(**WHOLE))
    assert RenderRecipe(name="another").key.startswith("another@")


def test_whole_numbers_and_fractions_of_one_value_are_one_recipe() -> None:
    assert (
        RenderRecipe(learning_rate=1, scale=(1, 1)).key
        == RenderRecipe(learning_rate=1.0, scale=[1.0, 1.0]).key
    )


def test_the_order_of_layers_does_not_matter() -> None:
    layers = dict(reversed(WHOLE["layers"].items()))
    assert list(layers) != list(WHOLE["layers"])
    assert RenderRecipe(**WHOLE | {"layers": layers}).key == RenderRecipe(**WHOLE).key


def test_any_other_field_changes_the_hash() -> None:
    for field in OTHER:
        # Only one parameterisation has a spectrum, so it is told apart by that.
        assert set(OTHER) == set(WHOLE) - {"name", "engine", "parameterisation"}
        assert digest(RenderRecipe(**WHOLE | {field: OTHER[field]})) != digest(
            RenderRecipe(**WHOLE)
        )


def test_any_setting_of_a_layer_changes_the_hash() -> None:
    for field in SETTINGS:
        less = {name: value for name, value in SETTINGS.items() if name != field}
        assert digest(RenderRecipe(**WHOLE | {"layers": {"block_3": less, "head": {}}})) != digest(
            RenderRecipe(**WHOLE)
        )


def test_another_parameterisation_is_another_recipe() -> None:
    assert digest(RenderRecipe(**FOURIER)) != digest(RenderRecipe(**WHOLE))


def test_a_recipe_without_a_word_is_fast() -> None:
    assert RenderRecipe() == RenderRecipe(name="fast") == RenderRecipe.model_validate("fast")


def test_a_name_starts_from_its_preset() -> None:
    recipe = RenderRecipe(name="lucid")
    assert RenderRecipe.model_validate("lucid") == recipe and PRESETS["lucid"]
    for field, value in PRESETS["lucid"].items():
        assert getattr(recipe, field) == value
    changed = {
        field
        for field in RenderRecipe.model_fields
        if getattr(recipe, field) != getattr(RenderRecipe(), field)
    }
    assert changed <= {"name", *PRESETS["lucid"]}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_recipe_under_its_name(name: str) -> None:
    assert RenderRecipe.model_validate(name).name == name
    assert len({digest(RenderRecipe(name=each)) for each in PRESETS}) == len(PRESETS)


def test_what_is_given_changes_the_preset() -> None:
    recipe = RenderRecipe(name="lucid", steps=7)
    assert (
        recipe.steps == 7
        and recipe.beta2 == RenderRecipe(name="lucid").beta2 != RenderRecipe().beta2
    )
    assert recipe == RenderRecipe.model_validate({"steps": 7, "name": "lucid"})


def test_a_name_of_ones_own_starts_from_fast() -> None:
    assert digest(RenderRecipe(name="mine")) == digest(RenderRecipe())


@pytest.mark.parametrize(
    "fields",
    [WHOLE, FOURIER, {"name": "lucid", "steps": 5}, {}],
    ids=["maco", "fourier", "lucid", "fast"],
)
def test_a_stored_recipe_is_read_as_it_was(fields: dict[str, Any]) -> None:
    recipe = RenderRecipe(**fields)
    stored = recipe.to_bytes()
    assert stored.endswith(b"}\n")
    again = RenderRecipe.model_validate_json(stored)
    assert again == recipe and again.key == recipe.key and again.to_bytes() == stored


def test_a_stored_recipe_does_not_follow_its_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = RenderRecipe(name="lucid")
    stored = recipe.to_bytes()
    monkeypatch.setitem(PRESETS, "lucid", {"steps": 3, "negative": True})  # type: ignore[misc]
    assert RenderRecipe.model_validate_json(stored) == recipe != RenderRecipe(name="lucid")


def test_at_a_layer_its_settings_hold_and_elsewhere_the_recipe() -> None:
    recipe = RenderRecipe(**WHOLE)
    here = recipe.at("block_3")
    assert {field: getattr(here, field) for field in SETTINGS} == SETTINGS
    assert here.layers == {} and here.at("block_3") is here
    assert {**here.model_dump(), **SETTINGS} == {**recipe.model_dump(), **SETTINGS, "layers": {}}
    assert recipe.at("block_4") is recipe
    assert recipe.at("head") == recipe.model_copy(update={"layers": {}})
    assert (recipe.input_px, here.input_px) == (128 + 24 - 12, 128 + 32 - 16)


def test_a_field_out_of_range_is_refused() -> None:
    for field, value in [
        ("name", ""),
        ("name", "Fast"),
        ("name", "a/b"),
        ("name", "a" * 41),
        ("name", None),
        ("engine", 1),
        ("engine", 3),
        ("size_px", 28),
        ("size_px", 516),
        ("size_px", 130),
        ("seed", -1),
        ("seed", 2**63),
        ("objective", "layer"),
        ("neuron_at", (0.5, 1.1)),
        ("neuron_at", (-0.1, 0.5)),
        ("neuron_at", (0.5, math.nan)),
        ("neuron_at", (0.5,)),
        ("variants", 0),
        ("variants", 17),
        ("diversity", -1),
        ("decay_power", -1),
        ("initial_sd", 0),
        ("alpha_weight", -0.1),
        ("blur", -0.1),
        ("steps", 0),
        ("steps", 10_001),
        ("steps", 1.5),
        ("learning_rate", 0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("beta1", 1),
        ("beta2", -0.1),
        ("cooldown", 1.1),
        ("gate_smoothing", 1.1),
        ("redirect_steps", -1),
        ("pad_px", 65),
        ("pad_value", 1.1),
        ("jitter_px", 8),
        ("jitter_px", (8, -4)),
        ("scale", ()),
        ("scale", (0.1, 1.0)),
        ("scale", (1.0, 5.0)),
        ("scale", (1.0, math.nan)),
        ("input_sides", 0),
        ("input_sides", 9),
        ("input_sides", 1.5),
        ("rotate_degrees", ()),
        ("rotate_degrees", (46.0,)),
        ("rotate_degrees", (math.inf,)),
        ("ladder", ("luck",)),
        ("layers", {"block_3": {"seed": 1}}),
        ("layers", {"block_3": {"steps": 0}}),
        ("layers", {"block_3": {"learning_rate": 0}}),
        ("spectrum", (ROW,)),
        ("parameterisation", "pixels"),
        ("flavour", "sweet"),
    ]:
        assert field in sentence_of(**{field: value})


def test_a_name_that_is_no_text_is_refused() -> None:
    assert sentence_of(name=["fast"]) == "name: Input should be a valid string"
    with pytest.raises(ValidationError, match="Input should be a valid dictionary"):
        RenderRecipe.model_validate(["fast"])


def test_an_image_is_not_moved_out_of_sight() -> None:
    assert RenderRecipe(size_px=32, pad_px=0, jitter_px=(8, 8)).input_px == 16
    assert "jitter_px (8, 9) would move the image out of sight: expected a sum of" in sentence_of(
        size_px=32, pad_px=0, jitter_px=(8, 9)
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"jitter_px": (500,)},
        {"scale": (9.0,)},
        {"rotate_degrees": ()},
        {"pad_px": 0, "jitter_px": (70,)},
    ],
)
def test_what_makes_no_sense_at_one_layer_is_refused_too(settings: dict[str, Any]) -> None:
    assert next(reversed(settings)) in sentence_of(layers={"block_3": settings})


@pytest.mark.parametrize(
    "spectrum",
    [
        (),
        (ROW, ROW),
        (ROW[:-1],),
        ((*ROW[:-1], -1.0),),
        ((*ROW[:-1], math.nan),),
        ((*ROW[:-1], math.inf),),
    ],
)
def test_maco_needs_a_whole_spectrum(spectrum: tuple[tuple[float, ...], ...]) -> None:
    assert "spectrum" in sentence_of(parameterisation="maco", spectrum=spectrum)


def test_the_network_sees_the_padded_image_less_the_room_to_move() -> None:
    assert RenderRecipe(size_px=128, pad_px=12, jitter_px=(6, 4)).input_px == 142


def test_every_scale_belongs_to_one_side() -> None:
    for input_sides in range(1, 9):
        for count in [1, 2, 3, 5, 11, 40]:
            scale = tuple(1.3 - 0.02 * i for i in range(count))
            groups = RenderRecipe(scale=scale, input_sides=input_sides).scales_by_side
            assert [factor for group in groups for factor in group] == sorted(scale)
            # As many sides as there are scales, at the most, and about as many scales for each.
            assert len(groups) == min(input_sides, count)
            assert max(map(len, groups)) - min(map(len, groups)) <= 1 <= min(map(len, groups))


def test_the_networks_input_grows_with_the_scale() -> None:
    recipe = RenderRecipe(
        size_px=128,
        pad_px=12,
        jitter_px=(8, 4),
        scale=(1.2, 0.8, 1.1, 1.0, 0.9, 0.9),
        input_sides=3,
    )
    assert recipe.scales_by_side == ((0.8, 0.9), (0.9, 1.0), (1.1, 1.2))
    # Of 140 pixels at scale 1: the means of the groups are 0.85, 0.95 and 1.15.
    assert recipe.input_sides_px == (119, 133, 161)
    assert recipe.model_copy(update={"input_sides": 1}).input_sides_px == (138,)
    assert recipe.model_copy(update={"scale": (1.0,)}).input_sides_px == (140,)
    assert recipe.model_copy(update={"pad_px": 32}).input_sides_px == (153, 171, 207)


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RenderRecipe().steps = 5  # type: ignore[misc]
