"""The inputs of a batch's optimisation: first parameters, transforms, noise, and learning rates.

NumPy draws all random numbers on the host, whatever device renders. Each sprite has its own
streams, so its picture does not depend on the other members of its batch.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.rendering.image import initial_parameters
from diamond_cutter.tasks.rendering.objectives import Focus
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Member
from diamond_cutter.tasks.rendering.transforms import Views, draw_transforms, input_sides

ADAM_EPSILON = 1e-8
_FOCUS_SHARE = {"channel": 0.0, "neuron": 1.0, "neuron-and-channel": 0.5}


class Weights(NamedTuple):
    """The weights of the penalties, float32 `[]`, in units of the objective."""

    opacity: np.float32
    detail: np.float32
    likeness: np.float32


class Course(NamedTuple):
    """The start of a batch's optimisation, and everything that its steps read.

    parameters: of `image.initial_parameters`, float32 `[part, batch, plane, height, width // 2 +
    1]`.
    views: the transforms of each step.
    noise: seeds of each step's background, int32 `[step, batch, 2]`; only recipes with `alpha` use
    them.
    rates: the learning rate of each step, float32 `[step]`.
    steps: number of steps to take, int32 `[]`; with fewer than there are, the rest is not computed.
    redirect_steps: number of first steps that let gradient through shut ReLUs, int32 `[]`.
    weights: of the penalties.
    epsilon: Adam's, float32 `[]`. A gradient far below it moves nothing.
    """

    parameters: npt.NDArray[np.float32]
    views: Views
    noise: npt.NDArray[np.int32]
    rates: npt.NDArray[np.float32]
    steps: np.int32
    redirect_steps: np.int32
    weights: Weights
    epsilon: np.float32


def course_of(
    name: str,
    members: Sequence[Member],
    recipe: RenderRecipe,
    channels: int = 3,
    epsilon: float = ADAM_EPSILON,
) -> Course:
    """Return the course of a batch, drawn from each member's own streams.

    Args:
        name: of the layer, or of the set of mixes.
        members: of the batch.
        recipe: how to render.
        channels: of the model's image.
        epsilon: Adam's.
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
        steps=np.int32(recipe.steps),
        redirect_steps=np.int32(recipe.redirect_steps),
        weights=Weights(
            *np.array([recipe.alpha_weight, recipe.blur, recipe.diversity], np.float32)
        ),
        epsilon=np.float32(epsilon),
    )


def learning_rates(recipe: RenderRecipe) -> npt.NDArray[np.float32]:
    """Return the rate of each step, float32 `[step]`: constant, then falling linearly towards 0."""
    left = np.arange(recipe.steps, 0, -1)
    cooling = max(recipe.cooldown * recipe.steps, 1.0)
    return (recipe.learning_rate * np.minimum(left / cooling, 1.0)).astype(np.float32)


def views_of(
    name: str, members: Sequence[Member], recipe: RenderRecipe, purpose: str, count: int
) -> Views:
    """Return `count` views of each member, drawn from its own stream for the purpose."""
    streams = (sprite_stream(recipe.seed, name, *member, purpose) for member in members)
    return Views(
        np.stack([draw_transforms(stream, recipe, count) for stream in streams], axis=1),
        input_sides(recipe, count),
    )


def focus_of(recipe: RenderRecipe) -> Focus:
    """Return the positions of a layer that a recipe maximises."""
    return Focus(np.float32(_FOCUS_SHARE[recipe.objective]), np.array(recipe.neuron_at, np.float32))


def sprite_stream(
    seed: int, name: str, number: int, variant: int, purpose: str
) -> np.random.Generator:
    """Return one sprite's random stream for one purpose; all streams are independent.

    Args:
        seed: the recipe's.
        name: of the layer, or of the set of mixes.
        number: the channel, or the mix.
        variant: of the picture.
        purpose: of the numbers: 'image', 'transforms', ...
    """
    digest = hashlib.sha256(f"{seed}\n{number}\n{variant}\n{purpose}\n{name}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
