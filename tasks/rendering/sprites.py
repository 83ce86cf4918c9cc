"""Renders the channels of a layer, or mixes, in batches of one fixed shape.

Sprites that fail go up the ladder.
"""

import functools
import gc
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.storage.parallel import in_threads
from diamond_cutter.storage.sets.records import Attempt, Rung, SpriteScores
from diamond_cutter.tasks.rendering.course import ADAM_EPSILON, course_of, focus_of, views_of
from diamond_cutter.tasks.rendering.image import in_colours
from diamond_cutter.tasks.rendering.ladder import FAILURES, rungs, trial
from diamond_cutter.tasks.rendering.precision import Execution, execution_here
from diamond_cutter.tasks.rendering.presets import STANDARD
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.renderer import BatchScores, LayerRenderer
from diamond_cutter.tasks.rendering.scores import score_sprite, specificities
from diamond_cutter.tasks.rendering.stopwatch import Stopwatch
from diamond_cutter.tasks.rendering.subjects import Member, Subjects, Targets
from diamond_cutter.tasks.rendering.trace_key import TraceKey

_FRESH_TRANSFORMS = 8
LADDER_BATCH = 4
# In layers with tiny activations, as in untrained networks, gradients lie below the usual epsilon
# and pictures stay grey.
_LADDER_EPSILON = 1e-18
# The shards of a layer share their traces: the first attempt, three changes of it on the ladder,
# and the scores of large and small batches. Two more are prepared for the next layer meanwhile.
KEPT_RENDERERS = 8
_BATCHES_AT_ONCE = 2
_one_builds = threading.Lock()


@dataclass(frozen=True)
class Sprite:
    """A picture with its scores.

    picture: in colours, uint8 `[height, width, 3]`, or with opacity `[height, width, 4]`.
    image: as the network sees it, uint8 `[height, width, plane]`: a plane for each of the model's
    channels, and one for opacity if there is any.
    """

    picture: npt.NDArray[np.uint8]
    image: npt.NDArray[np.uint8]
    scores: SpriteScores


def render_sprites(
    bundle: Bundle,
    subjects: Subjects,
    numbers: Sequence[int],
    recipe: RenderRecipe,
    *,
    batch_size: int,
    execution: Execution | None = None,
    on_batch: Callable[[int], object] = lambda rendered: None,
    on_ladder: Callable[[int], object] = lambda failed: None,
    tracing: Stopwatch | None = None,
) -> list[Sprite]:
    """Render sprites in the order of their numbers, with the variants of a number in a row.

    Each sprite depends only on the bundle, the subject, its number and the recipe. With the same
    batch size and execution on the same machine it is the same bit for bit, whatever is rendered
    beside it.

    Args:
        bundle: the model.
        subjects: a layer's channels, or mixes.
        numbers: of the channels or mixes to render.
        recipe: how to render.
        batch_size: pictures per batch, or a few less where variants do not fill it. The last batch
            is padded.
        execution: how to compute. Default: the fastest on this device.
        on_batch: called with the number of subjects in each finished batch.
        on_ladder: called with the number of sprites that failed and are tried again, if any.
        tracing: measures the time for building, tracing and compiling graphs.

    Raises:
        UnknownLayer: names the nearest layers.
    """
    scored_by, recipe = recipe.pre_activation, recipe.at(subjects.name)
    standard = recipe.model_copy(update={"pre_activation": scored_by})
    execution = execution or execution_here()
    studio = _Studio(bundle, subjects, standard, batch_size, execution, tracing or Stopwatch())
    sprites: dict[Member, Sprite] = {}
    for batch, drawn in studio.render_all(numbers, recipe, "first"):
        sprites |= drawn
        on_batch(len(batch))
    failed = {member: sprite for member, sprite in sprites.items() if _failed(sprite)}
    if failed and recipe.ladder:
        on_ladder(len(failed))
    sprites |= studio.for_ladder().climb(failed, recipe)
    return [_final(sprites[member]) for member in studio.members(numbers)]


def prepare_renderers(
    bundle: Bundle,
    subjects: Subjects,
    numbers: Sequence[int],
    recipe: RenderRecipe,
    *,
    batch_size: int,
    execution: Execution,
) -> None:
    """Trace and compile what the first attempt at some sprites needs, if nobody has done so yet.

    It may run beside `render_sprites` for other subjects, whose sprites stay the same. The
    arguments are those of `render_sprites`.
    """
    scored_by, recipe = recipe.pre_activation, recipe.at(subjects.name)
    standard = recipe.model_copy(update={"pre_activation": scored_by})
    studio = _Studio(bundle, subjects, standard, batch_size, execution)
    studio.prepare(next(studio.batches(numbers)), recipe)


def batches_at_once(execution: Execution) -> int:
    """Return the number of batches to render at once.

    On a processor, the cores that one batch leaves idle in small operations work on the other.
    """
    return 1 if execution.xla else _BATCHES_AT_ONCE


@functools.lru_cache(maxsize=KEPT_RENDERERS)
def layer_renderer(bundle: Bundle, layers: tuple[str, ...], key: TraceKey) -> LayerRenderer:
    """Return the renderer of some layers; the last few are cached."""
    cache = layer_renderer.cache_info()
    if cache.currsize == cache.maxsize:
        # Renderers that have left the cache: a traced graph refers to itself, so only the collector
        # frees it and its weights soon. It goes through all objects of TensorFlow's modules.
        gc.collect()
    return LayerRenderer(bundle, layers, key)


def _failed(sprite: Sprite) -> bool:
    return bool(FAILURES & set(sprite.scores.flags))


def _final(sprite: Sprite) -> Sprite:
    return (
        replace(sprite, scores=sprite.scores.model_copy(update={"rung": "none"}))
        if _failed(sprite)
        else sprite
    )


@dataclass(frozen=True)
class _Studio:
    """The settings that all batches of a call share; `recipe` is the one that scores."""

    bundle: Bundle
    subjects: Subjects
    recipe: RenderRecipe
    batch_size: int
    execution: Execution
    tracing: Stopwatch = field(default_factory=Stopwatch)

    def for_ladder(self) -> "_Studio":
        """Return the settings of the ladder, which has small batches because few sprites fail.

        Their size is fixed, because the number of failures must not change how a sprite is
        rendered.
        """
        return replace(self, batch_size=min(self.batch_size, LADDER_BATCH))

    def members(self, numbers: Sequence[int]) -> list[Member]:
        return [
            Member(number, variant) for number in numbers for variant in range(self.recipe.variants)
        ]

    def batches(self, numbers: Sequence[int]) -> Iterator[list[int]]:
        """Yield numbers in batches of at most `batch_size` members, but at least one number."""
        at_once = self.recipe.subjects_in(self.batch_size)
        for first in range(0, len(numbers), at_once):
            yield list(numbers[first : first + at_once])

    def render_all(
        self, numbers: Sequence[int], recipe: RenderRecipe, rung: Attempt
    ) -> Iterator[tuple[list[int], dict[Member, Sprite]]]:
        """Yield each batch with its sprites, rendered by the recipe or by a rung of it."""
        batches = self.batches(numbers)
        return in_threads(
            batches_at_once(self.execution),
            lambda batch: (batch, self.render(batch, recipe, rung)),
            batches,
        )

    def climb(self, failed: dict[Member, Sprite], recipe: RenderRecipe) -> dict[Member, Sprite]:
        """Try failed sprites again, and return those that a rung of the ladder has saved.

        A short trial of each rung finds the one that helps, and only that rung is rendered in full.
        Each sprite has trials of its own, because its picture must not depend on other failures.
        """
        saved: dict[Member, Sprite] = {}
        left = set(failed)
        for rung, changed in rungs(recipe):
            short = trial(changed)
            # A rung that is as short as its trial is a trial itself.
            alive = left if short == changed else self._sound(left, left, short, rung).keys()
            found = self._sound(alive, left, changed, rung)
            saved |= found
            left = left - found.keys() - (set() if short == changed else alive)
        return saved

    def _sound(
        self, members: Set[Member], wanted: Set[Member], recipe: RenderRecipe, rung: Rung
    ) -> dict[Member, Sprite]:
        """Render members, and the other variants of their numbers; return the sound wanted ones."""
        batches = self.render_all(sorted({member.number for member in members}), recipe, rung)
        drawn = itertools.chain.from_iterable(sprites.items() for _, sprites in batches)
        return {
            member: sprite for member, sprite in drawn if member in wanted and not _failed(sprite)
        }

    def render(self, batch: list[int], recipe: RenderRecipe, rung: Attempt) -> dict[Member, Sprite]:
        """Render one batch by the recipe, or by a rung of it, and score it."""
        channels = self.bundle.card.image.channels
        members = self.members(self._padded(batch, recipe))
        targets = self._targets(members)
        epsilon = ADAM_EPSILON if rung == "first" else _LADDER_EPSILON
        course = course_of(self.subjects.name, members, recipe, channels, epsilon)
        renderer = self._renderer(TraceKey.of(recipe, len(members), self.execution))
        with self.tracing:
            renderer.compile_loop(course, targets, focus_of(recipe))
        images = renderer.optimise(course, targets, focus_of(recipe))
        rounded = np.round(np.nan_to_num(images, nan=0.5) * 255).astype(np.uint8)
        # The stored picture is scored: its bytes, or the numbers that are not finite.
        seen = np.where(np.isfinite(images), rounded.astype(np.float32) / 255, images)
        scored = self._score(seen, members, targets, recipe)
        pictures, specific = in_colours(rounded, channels), specificities(scored.means, targets)
        found: dict[Member, Sprite] = {}
        for i, member in enumerate(self.members(batch)):
            pulled_up = any((target.weights[i] > 0).any() for target in targets)
            numbers = scored.objective[i], scored.highest[i], specific[i]
            scores = score_sprite(member, pictures[i], *numbers, rung, can_be_dead=pulled_up)
            found[member] = Sprite(pictures[i], rounded[i], scores)
        return found

    def prepare(self, batch: list[int], recipe: RenderRecipe) -> None:
        """Trace and compile the optimisation and the scores of batches like this one."""
        members = self.members(self._padded(batch, recipe))
        renderer = self._renderer(TraceKey.of(recipe, len(members), self.execution))
        if renderer.is_in_use:
            return
        targets = self._targets(members)
        course = course_of(self.subjects.name, members, recipe, self.bundle.card.image.channels)
        # XLA compiles the loop as a whole, for its number of steps. TensorFlow compiles parts of it
        # when a step at a new side of the input runs.
        steps = 0 if self.execution.xla else min(len(recipe.input_sides_px), recipe.steps)
        course = course._replace(steps=np.int32(steps))
        images = renderer.optimise(course, targets, focus_of(recipe))
        self._score(images, members, targets, recipe)

    def _padded(self, batch: list[int], recipe: RenderRecipe) -> list[int]:
        return batch + [batch[-1]] * (recipe.subjects_in(self.batch_size) - len(batch))

    def _score(
        self,
        images: npt.NDArray[np.float32],
        members: list[Member],
        targets: tuple[Targets, ...],
        recipe: RenderRecipe,
    ) -> BatchScores:
        """Score images where a recipe looks, under the standard transforms.

        Whatever the recipe's own transforms, so that sprites of different recipes compare.
        """
        standard = self.recipe.model_copy(update=STANDARD)
        views = views_of(self.subjects.name, members, standard, "scores", _FRESH_TRANSFORMS)
        renderer = self._renderer(TraceKey.of_scores(standard, len(members), self.execution))
        with nullcontext() if renderer.has_scored else self.tracing:
            return renderer.score(images, views, targets, focus_of(recipe))

    def _renderer(self, key: TraceKey) -> LayerRenderer:
        with self.tracing, _one_builds:
            return layer_renderer(self.bundle, self.subjects.layers, key)

    def _targets(self, members: list[Member]) -> tuple[Targets, ...]:
        sign = np.float32(-1.0 if self.recipe.negative else 1.0)
        found = self.subjects.targets([member.number for member in members])
        return tuple(Targets(target.channels, sign * target.weights) for target in found)
