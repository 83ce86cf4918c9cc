"""The ladder: changes of the recipe with which a failed sprite is tried again, one after the other.

The rungs build on each other: if one optimises before the activation function, the next one, with
another seed, does so too.
"""

from collections.abc import Iterator

from diamond_cutter.storage.sets.records import Flag, Rung
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

# Flags of sprites that are tried again. Sprites with other flags are kept.
FAILURES: frozenset[Flag] = frozenset({"dead", "grey", "not_finite"})

_MORE_STEPS = 2
_OTHER_SEED = 1_000_003
_SMOOTHER = 0.3
_BLUR = 0.5
_TRIAL_SHARE = 8
_LEAST_TRIAL_STEPS = 20


def rungs(recipe: RenderRecipe) -> Iterator[tuple[Rung, RenderRecipe]]:
    """Yield each rung of the recipe with the changed recipe; rungs without effect are skipped."""
    changed = recipe
    for rung in recipe.ladder:
        before, changed = changed, changed.model_copy(update=_change(rung, changed))
        # The same recipe would draw the same picture.
        if changed != before:
            yield rung, changed


def trial(recipe: RenderRecipe) -> RenderRecipe:
    """Return a rung's recipe for a trial: an eighth of the steps, but at least 20."""
    steps = min(max(recipe.steps // _TRIAL_SHARE, _LEAST_TRIAL_STEPS), recipe.steps)
    return recipe.model_copy(
        update={"steps": steps, "redirect_steps": min(recipe.redirect_steps, steps)}
    )


def _change(rung: Rung, recipe: RenderRecipe) -> dict[str, object]:
    match rung:
        case "redirect":
            return {"redirect_steps": recipe.steps}
        case "pre-activation":
            # Negatives are optimised there in any case.
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
