"""Inputs are computed once if they fit, and in every step otherwise."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from diamond_cutter.tasks.attaching import inputs
from diamond_cutter.tasks.attaching.inputs import Inputs

IMAGES, BATCH = 7, 3


class Held:
    """Images that are their own numbers."""

    def __len__(self) -> int:
        return IMAGES

    def read(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return np.broadcast_to(places[:, None, None, None], (len(places), 2, 2, 1)).astype(np.uint8)


def brighter(number: int) -> Any:
    return lambda pixels: pixels.astype(np.float32) + 10 * (number % 7)


def made(calls: list[int]) -> Inputs:
    def prepare(pixels: tf.Tensor) -> list[tf.Tensor]:
        calls.append(len(pixels))
        return [tf.reduce_mean(pixels, (1, 2, 3))]

    return Inputs(Held(), prepare, brighter, 2, BATCH)  # type: ignore[arg-type]


def test_each_variation_is_computed_once() -> None:
    calls: list[int] = []
    found, places = made(calls), np.array([4, 0, 6])
    first, second, third = (found.read(epoch, places)[0] for epoch in (1, 2, 3))
    assert first.tolist() == third.tolist() == [14, 10, 16] and second.tolist() == [4, 0, 6]
    # Once for the size, and for all images of two variations, always in whole batches.
    assert calls == [BATCH] * (1 + 2 * 3)


def test_what_does_not_fit_is_computed_in_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_KEPT_BYTES", 10)
    calls: list[int] = []
    found, places = made(calls), np.array([4, 0])
    one, again = (found.read(1, places)[0] for _ in range(2))
    assert one.tolist() == again.tolist() and one[0] - one[1] == 4
    assert calls == [BATCH] * 3
