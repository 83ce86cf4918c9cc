"""How many pictures a device optimises at once: what is fastest within its memory."""

import functools
from typing import TYPE_CHECKING

from diamond_cutter.tasks.rendering.estimate import measure_layer
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Channels, Mixes

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.bundle import Bundle
    from diamond_cutter.tasks.rendering.precision import Execution

# Two cores are nearly as fast with 8 or with 32: less is gained than a probe would cost.
ON_A_PROCESSOR = 16
# The largest is a whole shard.
_PROBED = (8, 16, 32)
_WORTH = 0.95


def batch_size_for(
    bundle: "Bundle", subjects: Channels | Mixes, recipe: RenderRecipe, execution: "Execution"
) -> int:
    """Return how many pictures to optimise at once here; on a GPU a short probe finds it, once for
    a layer.
    """
    if not execution.xla:
        return ON_A_PROCESSOR
    return probe_batch_size(bundle, subjects, recipe.at(subjects.name).model_dump_json(), execution)


@functools.lru_cache(maxsize=16)
def probe_batch_size(
    bundle: "Bundle", subjects: Channels | Mixes, recipe_json: str, execution: "Execution"
) -> int:
    """Return the size with which a picture takes least time, as long as a larger one saves a
    twentieth and fits into memory.
    """
    import tensorflow as tf

    recipe = RenderRecipe.model_validate_json(recipe_json)
    best, best_s = _PROBED[0], float("inf")
    for size in _PROBED:
        try:
            seconds = measure_layer(bundle, subjects, recipe, execution, size).step_s
        except tf.errors.ResourceExhaustedError:
            break
        if seconds > _WORTH * best_s:
            break
        best, best_s = size, seconds
    return best
