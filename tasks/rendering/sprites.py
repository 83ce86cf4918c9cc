"""Channels of a layer -> sprites, through batches of one fixed shape, and up the ladder those that
failed.
"""

import functools
import gc
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.storage.parallel import in_threads
from diamond_cutter.storage.sets.records import Attempt, Rung, SpriteScores
from diamond_cutter.tasks.rendering.image import initial_parameters
from diamond_cutter.tasks.rendering.ladder import FAILURES, rungs, trial
from diamond_cutter.tasks.rendering.objectives import Focus, Targets
from diamond_cutter.tasks.rendering.precision import Execution, execution_here
from diamond_cutter.tasks.rendering.presets import STANDARD
from diamond_cutter.tasks.rendering.random_streams import sprite_stream
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.renderer import Course, LayerRenderer, Shape, Weights
from diamond_cutter.tasks.rendering.scores import score_sprite, specificities
from diamond_cutter.tasks.rendering.subjects import Subjects
from diamond_cutter.tasks.rendering.transforms import Views, draw_transforms, input_sides

_FRESH_TRANSFORMS = 8
LADDER_BATCH = 4
ADAM_EPSILON = 1e-8
# In layers whose activations are tiny, as of networks that are not trained, gradients lie below the
# usual epsilon: pictures stay grey.
_LADDER_EPSILON = 1e-18
# A layer's shards share their traces, rungs and all: the first attempt, three changes of it, and
# the scores of large and small batches.
KEPT_RENDERERS = 6
_BATCHES_AT_ONCE = 2
_one_builds = threading.Lock()
_FOCUS_SHARE = {"channel": 0.0, "neuron": 1.0, "neuron-and-channel": 0.5}


@dataclass(frozen=True)
class Sprite:
    """A picture, and what is known of it.

    `picture` shows it in colours, uint8 `[height, width, 3]` or with opacity `[height, width, 4]`.
    `image` is what the network sees: a plane for each of its channels, however many, and one for
    opacity if there is any.
    """

    picture: np.ndarray
    image: np.ndarray
    scores: SpriteScores


class Member(NamedTuple):
    """One place in a batch: which subject, and which variant of its picture."""

    number: int
    variant: int


def render_sprites(
    bundle: Bundle,
    subjects: Subjects,
    numbers: Sequence[int],
    recipe: RenderRecipe,
    *,
    batch_size: int,
    execution: Execution | None = None,
    on_batch: Callable[[int], object] = lambda rendered: None,
) -> list[Sprite]:
    """Render sprites, in the order of their numbers; all variants of one behind each other.

    Each depends on the bundle, the subject, its number and the recipe alone; with the same batch
    size and execution on the same machine it is the same bit for bit, whatever is rendered beside
    it.

    Args:
        bundle: the model.
        subjects: a layer's channels, or mixes.
        numbers: which of them.
        recipe: how to render.
        batch_size: how many pictures are optimised at once, or a few less where variants do not
            fill it; the last batch is padded.
        execution: how to compute; how this device does it best if left out.
        on_batch: called with the number of subjects that each batch has finished.

    Raises:
        UnknownLayer: names the nearest layers.
    """
    scored_by, recipe = recipe.pre_activation, recipe.at(subjects.name)
    studio = _Studio(
        bundle,
        subjects,
        recipe.model_copy(update={"pre_activation": scored_by}),
        batch_size,
        execution or execution_here(),
    )
    sprites: dict[Member, Sprite] = {}
    for batch, drawn in studio.render_all(numbers, recipe, "first"):
        sprites |= drawn
        on_batch(len(batch))
    # Few fail, so the rungs have small batches; always, because how many fail must not decide what
    # a sprite is rendered with.
    ladder = replace(studio, batch_size=min(batch_size, LADDER_BATCH))
    sprites |= ladder.climb(
        {member: sprite for member, sprite in sprites.items() if _failed(sprite)}, recipe
    )
    return [_final(sprites[member]) for member in studio.members(numbers)]


def batches_at_once(execution: Execution) -> int:
    """Return how many batches are rendered at once: on a processor, what one leaves idle, in a
    small operation, works on the other.
    """
    return 1 if execution.xla else _BATCHES_AT_ONCE


def learning_rates(recipe: RenderRecipe) -> np.ndarray:
    """Return the learning rate of each step, float32 `[step]`: constant, then falling linearly
    towards zero.
    """
    left = np.arange(recipe.steps, 0, -1)
    cooling = max(recipe.cooldown * recipe.steps, 1.0)
    return (recipe.learning_rate * np.minimum(left / cooling, 1.0)).astype(np.float32)


@functools.lru_cache(maxsize=KEPT_RENDERERS)
def layer_renderer(bundle: Bundle, layers: tuple[str, ...], shape: Shape) -> LayerRenderer:
    """Return the renderer of some layers; the last few are kept."""
    # Those that are kept no longer: a traced graph refers to itself, so nothing else frees it and
    # its weights soon.
    gc.collect()
    return LayerRenderer(bundle, layers, shape)


def course_of(
    name: str,
    members: Sequence[Member],
    recipe: RenderRecipe,
    channels: int = 3,
    epsilon: float = ADAM_EPSILON,
) -> Course:
    """Return what a batch's optimisation starts from and goes through, each member by its own
    streams; `channels` are the model's.
    """
    streams = [sprite_stream(recipe.seed, name, *member, "noise") for member in members]
    noise = [
        stream.integers(2**31, size=(recipe.steps if recipe.alpha else 1, 2), dtype=np.int32)
        for stream in streams
    ]
    first = [
        initial_parameters(sprite_stream(recipe.seed, name, *member, "image"), recipe, channels)
        for member in members
    ]
    return Course(
        parameters=np.stack(first, axis=1),
        views=views_of(name, members, recipe, "transforms", recipe.steps),
        noise=np.stack(noise, axis=1),
        rates=learning_rates(recipe),
        redirect_steps=np.int32(recipe.redirect_steps),
        weights=Weights(
            *np.array([recipe.alpha_weight, recipe.blur, recipe.diversity], np.float32)
        ),
        epsilon=np.float32(epsilon),
    )


def in_colours(images: np.ndarray, channels: int) -> np.ndarray:
    """Return what shows images of any channels, uint8 `[batch, height, width, 3]`, with opacity 4:
    grey, or the first three as colours.

    Args:
        images: uint8 `[batch, height, width, plane]`, a plane for each channel and one for opacity
            if there is any.
        channels: the model's.
    """
    shown = [images[..., [0, 0, 0] if channels == 1 else slice(3)]]
    if channels == 2:
        shown.append(np.zeros_like(images[..., :1]))
        shown[0] = images[..., :2]
    return np.concatenate([*shown, images[..., channels:]], axis=-1)


def focus_of(recipe: RenderRecipe) -> Focus:
    """Return where a recipe looks."""
    return Focus(np.float32(_FOCUS_SHARE[recipe.objective]), np.array(recipe.neuron_at, np.float32))


def views_of(
    name: str, members: Sequence[Member], recipe: RenderRecipe, purpose: str, count: int
) -> Views:
    """Return how each member of a batch is seen, by its own random stream."""
    streams = (sprite_stream(recipe.seed, name, *member, purpose) for member in members)
    return Views(
        np.stack([draw_transforms(stream, recipe, count) for stream in streams], axis=1),
        input_sides(recipe, count),
    )


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
    """What all batches of a call share."""

    bundle: Bundle
    subjects: Subjects
    recipe: RenderRecipe
    batch_size: int
    execution: Execution

    def members(self, numbers: Sequence[int]) -> list[Member]:
        return [
            Member(number, variant) for number in numbers for variant in range(self.recipe.variants)
        ]

    def batches(self, numbers: Sequence[int]) -> Iterator[list[int]]:
        """Cut numbers into batches whose members, all variants counted, are at most `batch_size`,
        but at least one number's.
        """
        at_once = self.recipe.subjects_in(self.batch_size)
        for first in range(0, len(numbers), at_once):
            yield list(numbers[first : first + at_once])

    def render_all(
        self, numbers: Sequence[int], recipe: RenderRecipe, rung: Attempt
    ) -> Iterator[tuple[list[int], dict[Member, Sprite]]]:
        """Yield each batch and what was rendered of it, by the recipe, or a rung of it."""
        batches = self.batches(numbers)
        return in_threads(
            batches_at_once(self.execution),
            lambda batch: (batch, self.render(batch, recipe, rung)),
            batches,
        )

    def climb(self, failed: dict[Member, Sprite], recipe: RenderRecipe) -> dict[Member, Sprite]:
        """Try sprites again that failed at first, and return those that a rung of the ladder has
        saved.

        A short trial of each rung finds out which one helps, and only that is climbed. Each sprite
        has trials of its own: whether others failed as well must not decide what it looks like.
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
        """Render members, and the other variants of their numbers, by a rung; return the sprites
        that are wanted and did not fail.
        """
        batches = self.render_all(sorted({member.number for member in members}), recipe, rung)
        drawn = itertools.chain.from_iterable(sprites.items() for _, sprites in batches)
        return {
            member: sprite for member, sprite in drawn if member in wanted and not _failed(sprite)
        }

    def render(self, batch: list[int], recipe: RenderRecipe, rung: Attempt) -> dict[Member, Sprite]:
        """Render one batch by the recipe, or a rung of it; score it by the recipe itself."""
        name, wanted, channels = (
            self.subjects.name,
            self.members(batch),
            self.bundle.card.image.channels,
        )
        padded = batch + [batch[-1]] * (recipe.subjects_in(self.batch_size) - len(batch))
        members = self.members(padded)
        targets, focus = self._targets(members), focus_of(recipe)
        course = course_of(
            name, members, recipe, channels, ADAM_EPSILON if rung == "first" else _LADDER_EPSILON
        )
        images = self._renderer(recipe, len(members)).optimise(course, targets, focus)
        rounded = np.round(np.nan_to_num(images, nan=0.5) * 255).astype(np.uint8)
        pictures = in_colours(rounded, channels)
        # What is scored is what is kept: the picture as bytes, or the number that is not one.
        seen = np.where(np.isfinite(images), rounded.astype(np.float32) / 255, images)
        # Under the standard transforms whatever the recipe's own, so that sprites of different
        # recipes compare.
        standard = self.recipe.model_copy(update=STANDARD)
        fresh = views_of(name, members, standard, "scores", _FRESH_TRANSFORMS)
        scored = self._renderer(standard, len(members)).score(seen, fresh, targets, focus)
        specific = specificities(scored.means, targets)
        found: dict[Member, Sprite] = {}
        for i, member in enumerate(wanted):
            pulled_up = any((target.weights[i] > 0).any() for target in targets)
            numbers = scored.objective[i], scored.highest[i], specific[i]
            found[member] = Sprite(
                pictures[i],
                rounded[i],
                score_sprite(member, pictures[i], *numbers, rung, can_be_dead=pulled_up),
            )
        return found

    def _renderer(self, recipe: RenderRecipe, members: int) -> LayerRenderer:
        shape = Shape.of(recipe, members, self.execution)
        with _one_builds:
            return layer_renderer(self.bundle, self.subjects.layers, shape)

    def _targets(self, members: list[Member]) -> tuple[Targets, ...]:
        sign = np.float32(-1.0 if self.recipe.negative else 1.0)
        found = self.subjects.targets([member.number for member in members])
        return tuple(Targets(target.channels, sign * target.weights) for target in found)
