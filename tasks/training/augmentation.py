"""Vary training images at random, by Keras' preprocessing layers."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

# Small, so that what decides a class stays in the picture.
_TURN = 0.03  # of a full turn
_ZOOM = 0.1
_CONTRAST = 0.1

Augment = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


def augmentation(seed: int) -> Augment:
    """Return a function that mirrors, turns, zooms and changes the contrast of images at random.

    The function takes uint8 and returns float32, both `[batch, height, width, channel]` with values
    from 0 to 255. Each call draws anew from one stream, so equal seeds and equal calls give equal
    images.
    """
    import keras

    drawn = keras.random.SeedGenerator(seed)
    layers = [
        keras.layers.RandomFlip("horizontal", seed=_next(drawn)),
        keras.layers.RandomRotation(_TURN, fill_mode="reflect", seed=_next(drawn)),
        keras.layers.RandomZoom(_ZOOM, fill_mode="reflect", seed=_next(drawn)),
        keras.layers.RandomContrast(_CONTRAST, value_range=(0, 255), seed=_next(drawn)),
    ]

    def augment(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        images = keras.ops.convert_to_tensor(pixels, "float32")
        for layer in layers:
            images = layer(images, training=True)
        return np.asarray(images, np.float32)

    return augment


def _next(drawn: object) -> int:
    return int(np.asarray(drawn.next())[0])  # type: ignore[attr-defined]
