"""What is given as an option of its own takes the place of a named recipe's field."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from diamond_cutter.flows.cli.main import app, run
from diamond_cutter.tasks.rendering.recipe import RUNGS, RenderRecipe
from tests.tasks.photos.small_images import sparse


def recipe_of(*options: str) -> RenderRecipe:
    _, bound, _ = app.parse_args(["plan", "toy", *options], exit_on_error=False, print_error=False)
    recipe: RenderRecipe = bound.arguments["request"].recipe
    return recipe


@pytest.mark.parametrize("order", [1, -1])
def test_an_option_changes_a_named_recipe_also_where_it_is_a_list(order: int) -> None:
    parts = [
        ("--recipe", "lucid"),
        ("--recipe.jitter-px", "3"),
        ("--recipe.ladder",),
        ("--recipe.neuron-at", "0.25", "0.75"),
    ][::order]
    recipe = recipe_of(*(word for part in parts for word in part))
    assert recipe == RenderRecipe(name="lucid", jitter_px=(3,), ladder=(), neuron_at=(0.25, 0.75))
    assert recipe.steps == 512


def test_an_option_changes_a_recipe_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    file.write_bytes(RenderRecipe(name="mine", scale=(0.8, 1.2), steps=7).to_bytes())
    recipe = recipe_of("--recipe", str(file), "--recipe.scale", "1")
    assert (recipe.name, recipe.scale, recipe.steps, recipe.ladder) == ("mine", (1.0,), 7, RUNGS)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            lambda file: sparse(file, 6 << 30),
            "it has 6,442,450,944 bytes: expected at most 4,194,304",
        ),
        (os.mkfifo, "it is not a regular file"),
        (lambda file: None, "No such file or directory"),
    ],
    ids=["large", "pipe", "none"],
)
def test_a_recipe_that_cannot_be_read_is_refused(
    make: Callable[[Path], object], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "recipe.json")
    assert run(["plan", "toy", "--recipe", str(tmp_path / "recipe.json")]) == 2
    assert f"recipe.json cannot be read: {reason}. Give the recipe.json" in capsys.readouterr().err
