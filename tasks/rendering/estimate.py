"""Measures the time that sprites take, with a few steps, in a device's process."""

import functools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from diamond_cutter.storage.parallel import in_threads
from diamond_cutter.tasks.importing.stored import find_or_import
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Channels, Mixes

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.bundle import Bundle
    from diamond_cutter.tasks.rendering.precision import Execution

_STEPS = 8


class LayerCost(NamedTuple):
    """The seconds that rendering takes at a layer.

    tracing_s: once per layer.
    step_s: for each step of each picture, in full batches.
    """

    tracing_s: float
    step_s: float


def measure_layers(
    bucket_url: str,
    name: str,
    subjects: Sequence[Channels | Mixes],
    recipe: RenderRecipe,
    batch_size: int,
) -> list[LayerCost]:
    """Return the cost of rendering at each of some layers, or of mixes."""
    from diamond_cutter.tasks.rendering.precision import execution_here

    bundle, execution = find_or_import(bucket_url, name), execution_here()
    return [
        measure_layer(bundle, each, recipe.at(each.name), execution, batch_size)
        for each in subjects
    ]


def measure_layer(
    bundle: "Bundle",
    subjects: Channels | Mixes,
    recipe: RenderRecipe,
    execution: "Execution",
    batch_size: int,
) -> LayerCost:
    """Return the cost of rendering a layer, or mixes, measured with a few steps of full batches.

    No ReLUs are redirected in these steps.
    """
    from diamond_cutter.tasks.rendering.course import course_of, focus_of
    from diamond_cutter.tasks.rendering.renderer import LayerRenderer
    from diamond_cutter.tasks.rendering.sprites import batches_at_once
    from diamond_cutter.tasks.rendering.subjects import Member
    from diamond_cutter.tasks.rendering.trace_key import TraceKey

    members = [Member(0, variant) for variant in range(recipe.variants)] * recipe.subjects_in(
        batch_size
    )
    short = recipe.model_copy(update={"steps": _STEPS, "redirect_steps": 0})
    course = course_of(subjects.name, members, short, bundle.card.image.channels)
    at_once = batches_at_once(execution)
    started = time.perf_counter()
    renderer = LayerRenderer(bundle, subjects.layers, TraceKey.of(recipe, len(members), execution))
    run = functools.partial(
        renderer.optimise, targets=subjects.targets([0] * len(members)), focus=focus_of(recipe)
    )
    # With the number of steps that is timed, because XLA compiles again for another number.
    run(course)
    traced = time.perf_counter()
    list(in_threads(at_once, run, [course] * at_once))
    batch_s = (time.perf_counter() - traced) / at_once
    return LayerCost(
        tracing_s=max(traced - started - batch_s, 0.0), step_s=batch_s / (_STEPS * len(members))
    )
