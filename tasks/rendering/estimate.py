"""Measures what a sprite costs, by a few steps, in a device's process."""

import functools
import time
from collections.abc import Sequence
from typing import NamedTuple

from storage.parallel import in_threads
from tasks.importing.stored import find_or_import
from tasks.rendering.recipe import RenderRecipe
from tasks.rendering.subjects import Channels, Mixes

_STEPS = 6


class LayerCost(NamedTuple):
    """What rendering costs at a layer, in seconds: once, and for each step of a batch beside which others are rendered."""

    tracing_s: float
    step_s: float


def measure_layers(
    bucket_url: str, name: str, subjects: Sequence[Channels | Mixes], recipe: RenderRecipe, batch_size: int
) -> list[LayerCost]:
    """Return what rendering costs at each of a model's layers, or of mixes, by a few steps of a full batch that succeeds at once."""
    from tasks.rendering.precision import execution_here
    from tasks.rendering.renderer import LayerRenderer, Shape
    from tasks.rendering.sprites import Member, batches_at_once, course_of, focus_of
    from tasks.rendering.transforms import Views

    bundle = find_or_import(bucket_url, name)
    costs, channels, execution = [], bundle.card.image.channels, execution_here()
    at_once = batches_at_once(execution)
    for subject in subjects:
        whole = recipe.at(subject.name)
        members = [Member(0, variant) for variant in range(recipe.variants)] * recipe.subjects_in(batch_size)
        course = course_of(subject.name, members, whole.model_copy(update={"steps": _STEPS, "redirect_steps": 0}), channels)
        targets, focus = subject.targets([member.number for member in members]), focus_of(whole)
        started = time.perf_counter()
        renderer = LayerRenderer(bundle, subject.layers, Shape.of(whole, len(members), execution))
        run = functools.partial(renderer.optimise, targets=targets, focus=focus)
        run(course._replace(views=Views(*(each[:1] for each in course.views)), rates=course.rates[:1]))
        traced = time.perf_counter()
        list(in_threads(at_once, run, [course] * at_once))
        step_s = (time.perf_counter() - traced) / _STEPS / at_once
        costs.append(LayerCost(tracing_s=traced - started, step_s=step_s))
    return costs
