"""Each rung changes what it says, on top of those before it, and none draws the same picture
again.
"""

from typing import Any

import pytest

from diamond_cutter.storage.sets.records import Rung
from diamond_cutter.tasks.rendering.ladder import rungs, trial
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

RECIPE = RenderRecipe(steps=100, redirect_steps=10, decay_power=1.0, blur=0.25, seed=3)
CHANGES: dict[Rung, dict[str, Any]] = {
    "redirect": {"redirect_steps": 100},
    "pre-activation": {"pre_activation": True},
    "seed": {"seed": 1_000_006},
    "steps": {"steps": 200, "redirect_steps": 20},
    "regularise": {"decay_power": 1.3, "blur": 0.75},
}


def climbed(recipe: RenderRecipe) -> list[Rung]:
    return [rung for rung, _ in rungs(recipe)]


@pytest.mark.parametrize("rung", CHANGES)
def test_a_rung_changes_what_it_says(rung: Rung) -> None:
    recipe = RECIPE.model_copy(update={"ladder": (rung,)})
    ((found, changed),) = rungs(recipe)
    assert found == rung and changed == recipe.model_copy(update=CHANGES[rung])


def test_rungs_build_on_each_other_in_the_recipes_order() -> None:
    recipe = RECIPE.model_copy(update={"ladder": ("seed", "redirect", "steps")})
    (_, first), (_, second), (_, third) = rungs(recipe)
    assert climbed(recipe) == ["seed", "redirect", "steps"]
    assert first == recipe.model_copy(update={"seed": 1_000_006})
    assert second == first.model_copy(update={"redirect_steps": 100})
    assert third == second.model_copy(update={"steps": 200, "redirect_steps": 200})


def test_the_whole_ladder_ends_in_a_recipe_that_could_be_given() -> None:
    utmost = RenderRecipe(steps=10_000, decay_power=3, blur=100, seed=2**63 - 1)
    for recipe in (RECIPE, utmost):
        for _, changed in rungs(recipe):
            assert RenderRecipe.model_validate_json(changed.to_bytes()) == changed


def test_a_recipe_without_a_ladder_tries_once() -> None:
    assert climbed(RECIPE.model_copy(update={"ladder": ()})) == []


@pytest.mark.parametrize(
    ("fields", "left_out"),
    [
        ({"redirect_steps": 100}, "redirect"),
        ({"pre_activation": True}, "pre-activation"),
        ({"negative": True}, "pre-activation"),
        ({"negative": True, "pre_activation": True}, "pre-activation"),
    ],
)
def test_a_rung_that_would_draw_the_same_picture_again_is_left_out(
    fields: dict[str, Any], left_out: Rung
) -> None:
    assert [
        rung for rung in RECIPE.ladder if rung not in climbed(RECIPE.model_copy(update=fields))
    ] == [left_out]


def test_the_same_rung_twice_goes_on_from_itself() -> None:
    seeds = [
        changed.seed
        for _, changed in rungs(RECIPE.model_copy(update={"ladder": ("seed", "seed", "seed")}))
    ]
    assert len({RECIPE.seed, *seeds}) == 4


@pytest.mark.parametrize(
    ("steps", "short"), [(160, 20), (320, 40), (512, 64), (96, 20), (20, 20), (7, 7)]
)
def test_a_trial_has_an_eighth_of_the_steps_but_enough_to_tell(steps: int, short: int) -> None:
    recipe = RECIPE.model_copy(update={"steps": steps, "redirect_steps": 30})
    assert trial(recipe) == recipe.model_copy(
        update={"steps": short, "redirect_steps": min(30, short)}
    )
