"""The commands that a gallery shows, which render what is missing or a set again."""

import shlex
from collections.abc import Sequence

from diamond_cutter.tasks.rendering.recipe import RenderRecipe

_SHORT = str | int | float
_RECIPE_FILE = "recipe.json"


def sprites_command(model: str, layers: Sequence[str], recipe: RenderRecipe | None) -> str:
    """Return the command that renders layers of a model.

    A recipe that differs in more than numbers and words from its namesake is named by the set's
    own file, recipe.json.

    Args:
        model: the name of the model, without its hash.
        layers: names, or none for those of the default.
        recipe: of the sprites. Without it, the command has no option for it.
    """
    parts = ["diamond-cutter", "sprites", model]
    if layers:
        parts += ["--layers", *layers]
    if recipe is not None:
        parts += _recipe_options(recipe)
    return shlex.join(parts)


def _recipe_options(recipe: RenderRecipe) -> list[str]:
    """Return the options for the recipe: its name, and the fields that differ from it."""
    named = RenderRecipe(name=recipe.name)
    options = ["--recipe", recipe.name]
    for field in RenderRecipe.model_fields:
        value, usual = getattr(recipe, field), getattr(named, field)
        if value == usual:
            continue
        if isinstance(value, bool) and value:
            options.append(f"--recipe.{field.replace('_', '-')}")
        elif isinstance(value, _SHORT) and not isinstance(value, bool):
            options += [f"--recipe.{field.replace('_', '-')}", f"{value}"]
        else:
            return ["--recipe", _RECIPE_FILE]
    return options
