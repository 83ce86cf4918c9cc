"""How a sprite that failed is tried again: rung by rung, each a change of the recipe, until a short
trial of one shows life.

The rungs build on each other: a channel that only opens from before its activation function is
still tried that way when the next rung takes another seed.
"""

from collections.abc import Iterator

from diamond_cutter.storage.sets.records import Flag, Rung
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

# What makes a sprite worth another try; the others are said of it and no more.
FAILURES: frozenset[Flag] = frozenset({"dead", "grey", "not_finite"})

_MORE_STEPS = 2
_OTHER_SEED = 1_000_003
_SMOOTHER = 0.3
_BLUR = 0.5
_TRIAL_SHARE = 8
_LEAST_TRIAL_STEPS = 20


def rungs(recipe: RenderRecipe) -> Iterator[tuple[Rung, RenderRecipe]]:
    """Yield the recipe's rungs and the recipe as each changes it."""
    changed = recipe
    for rung in recipe.ladder:
        before, changed = changed, changed.model_copy(update=_change(rung, changed))
        # The same recipe again would draw the same picture.
        if changed != before:
            yield rung, changed


def trial(recipe: RenderRecipe) -> RenderRecipe:
    """Return a rung's recipe with as few steps as show whether the rung helps at all: an eighth of
    them, but at least 20.
    """
    steps = min(max(recipe.steps // _TRIAL_SHARE, _LEAST_TRIAL_STEPS), recipe.steps)
    return recipe.model_copy(
        update={"steps": steps, "redirect_steps": min(recipe.redirect_steps, steps)}
    )


def _change(rung: Rung, recipe: RenderRecipe) -> dict[str, object]:
    match rung:
        case "redirect":
            return {"redirect_steps": recipe.steps}
        case "pre-activation":
            # What is pushed down is looked at there in any case.
            return {"pre_activation": recipe.pre_activation or not recipe.negative}
        case "seed":
            return {"seed": (recipe.seed + _OTHER_SEED) % 2**63}
        case "steps":
            steps = min(_MORE_STEPS * recipe.steps, 10_000)
            return {
                "steps": steps,
                "redirect_steps": min(_MORE_STEPS * recipe.redirect_steps, steps),
            }
        case "regularise":
            return {
                "decay_power": min(recipe.decay_power + _SMOOTHER, 3.0),
                "blur": min(recipe.blur + _BLUR, 100.0),
            }
