"""The batch size of a device: the fastest that fits into its memory."""

import functools
from typing import TYPE_CHECKING

from diamond_cutter.tasks.rendering.estimate import measure_layer
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Channels, Mixes

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.bundle import Bundle
    from diamond_cutter.tasks.rendering.precision import Execution

# Two cores are nearly as fast with 8 or 32, so a probe would cost more than it saves.
ON_A_PROCESSOR = 16
# The largest is a whole shard.
_PROBED = (8, 16, 32)
_WORTH = 0.95


def batch_size_for(
    bundle: "Bundle", subjects: Channels | Mixes, recipe: RenderRecipe, execution: "Execution"
) -> int:
    """Return the number of pictures per batch on this device.

    On a GPU a short probe finds it, once per layer.
    """
    if not execution.xla:
        return ON_A_PROCESSOR
    return probe_batch_size(bundle, subjects, recipe.at(subjects.name).model_dump_json(), execution)


@functools.lru_cache(maxsize=16)
def probe_batch_size(
    bundle: "Bundle", subjects: Channels | Mixes, recipe_json: str, execution: "Execution"
) -> int:
    """Return the batch size with the least time per picture.

    A larger size has to save a twentieth of the time, and to fit into memory.
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
