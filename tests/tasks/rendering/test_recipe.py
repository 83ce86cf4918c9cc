"""A recipe is named by its content, and refused where a field is out of range."""

import math

import pytest
from pydantic import ValidationError

from tasks.rendering.recipe import RenderRecipe

# Every field, so that the key below stays when a default changes, and falls when a field is added: then pictures are drawn anew.
WHOLE = {
    "name": "golden",
    "engine": 1,
    "size_px": 128,
    "steps": 320,
    "learning_rate": 0.1,
    "beta1": 0.3,
    "beta2": 0.9,
    "cooldown": 0.3,
    "decay_power": 1.0,
    "initial_sd": 0.01,
    "pad_px": 12,
    "jitter_px": 12,
    "scale": (0.9, 1.1),
    "rotate_degrees": 12.0,
    "redirect_steps": 16,
    "seed": 0,
}
OTHER = {
    "size_px": 132,
    "steps": 321,
    "learning_rate": 0.11,
    "beta1": 0.31,
    "beta2": 0.91,
    "cooldown": 0.31,
    "decay_power": 1.1,
    "initial_sd": 0.011,
    "pad_px": 13,
    "jitter_px": 13,
    "scale": (0.9, 1.11),
    "rotate_degrees": 12.1,
    "redirect_steps": 17,
    "seed": 1,
}


def digest(recipe: RenderRecipe) -> str:
    return recipe.key.partition("@")[2]


def test_the_key_of_a_recipe_is_stable() -> None:
    assert set(WHOLE) == set(RenderRecipe.model_fields)
    assert RenderRecipe(**WHOLE).key == "golden@de2276b5"


def test_a_name_is_no_part_of_the_hash() -> None:
    assert digest(RenderRecipe(**WHOLE | {"name": "another"})) == digest(RenderRecipe(**WHOLE))
    assert RenderRecipe(name="another").key.startswith("another@")


def test_whole_numbers_and_fractions_of_one_value_are_one_recipe() -> None:
    assert RenderRecipe(learning_rate=1, scale=(1, 1)).key == RenderRecipe(learning_rate=1.0, scale=(1.0, 1.0)).key


@pytest.mark.parametrize("field", OTHER)
def test_any_other_field_changes_the_hash(field: str) -> None:
    assert set(OTHER) == set(WHOLE) - {"name", "engine"}
    assert digest(RenderRecipe(**WHOLE | {field: OTHER[field]})) != digest(RenderRecipe(**WHOLE))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "Fast"),
        ("name", "a/b"),
        ("name", "a" * 41),
        ("engine", 2),
        ("size_px", 28),
        ("size_px", 516),
        ("size_px", 130),
        ("steps", 0),
        ("steps", 10_001),
        ("steps", 1.5),
        ("learning_rate", 0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("beta1", 1),
        ("beta2", -0.1),
        ("cooldown", 1.1),
        ("decay_power", -1),
        ("initial_sd", 0),
        ("pad_px", 65),
        ("jitter_px", -1),
        ("scale", (1.1, 0.9)),
        ("scale", (0.1, 1.0)),
        ("scale", (1.0, 5.0)),
        ("scale", (1.0, math.nan)),
        ("scale", (1.0,)),
        ("rotate_degrees", 46),
        ("redirect_steps", -1),
        ("seed", -1),
        ("seed", 2**63),
        ("flavour", "sweet"),
    ],
    ids=str,
)
def test_a_field_out_of_range_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        RenderRecipe(**{field: value})
    assert caught.value.error_count() == 1
    assert field in str(caught.value)


def test_an_image_is_not_moved_out_of_sight() -> None:
    assert RenderRecipe(size_px=32, pad_px=0, jitter_px=16).input_px == 16
    with pytest.raises(ValidationError, match="jitter_px 17 would move the image out of sight"):
        RenderRecipe(size_px=32, pad_px=0, jitter_px=17)


def test_the_network_sees_the_padded_image_less_the_room_to_move() -> None:
    assert RenderRecipe(size_px=128, pad_px=12, jitter_px=10).input_px == 142


def test_a_recipe_survives_json() -> None:
    recipe = RenderRecipe(**WHOLE)
    assert RenderRecipe.model_validate_json(recipe.to_bytes()) == recipe
    assert recipe.to_bytes().endswith(b"}\n")


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RenderRecipe().steps = 5  # type: ignore[misc]
