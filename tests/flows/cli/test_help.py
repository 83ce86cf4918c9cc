"""The help of a command fits two screens, and leaves out no option."""

import pytest

from diamond_cutter.flows.cli.main import run
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

# Two terminals of 30 lines.
_TWO_SCREENS = 60


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def help_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "command", ["plan", "sprites", "attribute", "cut", "attach", "compare", "tune"]
)
def test_help_fits_two_screens(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = help_of(capsys, command, "--help").splitlines()
    assert len(lines) <= _TWO_SCREENS and max(map(len, lines)) <= 80
    assert not any("--recipe." in line for line in lines)


def test_the_options_of_the_recipe_are_folded(capsys: pytest.CaptureFixture[str]) -> None:
    folded = help_of(capsys, "tune", "--help")
    assert "--recipe RECIPE" in folded and "--help-recipe" in folded
    unfolded = help_of(capsys, "tune", "--help-recipe")
    for field in RenderRecipe.model_fields.keys() - {"layers"}:
        assert f"--recipe.{field.replace('_', '-')}" in unfolded, field
    assert help_of(capsys, "tune", "--help") == folded
