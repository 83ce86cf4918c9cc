"""Vary training images at random, by Keras' preprocessing layers."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.photos.reading import Pixels

Augmentation = Literal["none", "light", "strong"]
Augment = Callable[[Pixels], npt.NDArray[np.float32]]


class _Strength(NamedTuple):
    """Ranges: of turns, as a share of a full turn, of zoom, shift and contrast."""

    turn: float
    zoom: float
    shift: float
    contrast: float


# Light variations are small, so that what decides a class stays in the picture.
_STRENGTHS = {"light": _Strength(0.03, 0.1, 0.0, 0.1), "strong": _Strength(0.08, 0.25, 0.1, 0.3)}


def augmentation(
    seed: int | Sequence[int], strength: Augmentation, *, mirror: bool = True
) -> Augment:
    """Return a function that varies images at random.

    Images are mirrored, turned, zoomed, shifted and changed in contrast. The function takes uint8
    or float32 and returns float32, both `[batch, height, width, channel]` in [0, 255]. Each call
    draws anew from one stream, so equal seeds and equal calls give equal images.

    Args:
        seed: of the stream, a number or several.
        strength: how far images are varied; none returns them as they are.
        mirror: whether images may be mirrored.
    """
    import keras

    if strength == "none":
        return lambda pixels: pixels.astype(np.float32)
    if not isinstance(seed, int):
        seed = int(np.random.default_rng(seed).integers(2**31))
    drawn, most = keras.random.SeedGenerator(seed), _STRENGTHS[strength]
    layers = [keras.layers.RandomFlip("horizontal", seed=_next(drawn))] if mirror else []
    layers += [
        keras.layers.RandomRotation(most.turn, fill_mode="reflect", seed=_next(drawn)),
        keras.layers.RandomZoom(most.zoom, fill_mode="reflect", seed=_next(drawn)),
    ]
    if most.shift:
        shift = (most.shift, most.shift)
        layers.append(
            keras.layers.RandomTranslation(*shift, fill_mode="reflect", seed=_next(drawn))
        )
    layers.append(
        keras.layers.RandomContrast(most.contrast, value_range=(0, 255), seed=_next(drawn))
    )

    def augment(pixels: Pixels) -> npt.NDArray[np.float32]:
        images = keras.ops.convert_to_tensor(pixels, "float32")
        for layer in layers:
            images = layer(images, training=True)
        return np.asarray(images, np.float32)

    return augment


def _next(drawn: object) -> int:
    return int(np.asarray(drawn.next())[0])  # type: ignore[attr-defined]
