"""The windows that convolutions and poolings slide over an image, and their padding.

Padding that TensorFlow cannot express for images of any size becomes a node of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.onnx.nodes import Step


@dataclass(frozen=True)
class Window:
    """A window over rows and columns.

    Attributes:
        size: of the window, in elements that it reads.
        strides: in rows and columns.
        dilations: distance between the elements that it reads.
        padding: rows above, rows below, columns left, columns right; None for `SAME`.
        rounds_up: the last window may be cut off (`ceil_mode`).
    """

    size: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    padding: tuple[int, int, int, int] | None
    rounds_up: bool = False

    @property
    def reach(self) -> tuple[int, int]:
        """Return the rows and columns that the window covers."""
        rows, columns = (
            (size - 1) * step + 1 for size, step in zip(self.size, self.dilations, strict=True)
        )
        return rows, columns

    @property
    def extra(self) -> tuple[int, int]:
        """Return the rows and columns that rounding up can add."""
        rows, columns = (stride - 1 if self.rounds_up else 0 for stride in self.strides)
        return rows, columns

    @property
    def is_same(self) -> bool:
        """Tell whether TensorFlow's `SAME` pads alike for images of any size."""
        if self.padding is None:
            return True
        reach = self.reach
        halves = [(reach[0] - 1) / 2] * 2 + [(reach[1] - 1) / 2] * 2
        return any(self.padding) and self.strides == (1, 1) and list(self.padding) == halves

    def paddings(self) -> list[list[int]]:
        """Return the padding of the four axes, with what rounding up adds."""
        top, bottom, left, right = self.padding or (0, 0, 0, 0)
        rows, columns = self.extra
        return [[0, 0], [top, bottom + rows], [left, right + columns], [0, 0]]


def read_window(step: Step, size: Sequence[int]) -> Window:
    """Return the window of a node, of a size in rows and columns.

    Raises:
        BadModel: it is not a window of rows and columns, or its padding is not valid.
    """
    if len(size) != 2:
        raise BadModel(
            f"it has a window of {len(size)} axes: expected 2, for images of rows and columns"
        )
    strides, dilations = (
        _pair(step.attributes.get(name, (1, 1)), name) for name in ("strides", "dilations")
    )
    return Window(
        _pair(size, "kernel_shape"),
        strides,
        dilations,
        _padding(step, size, strides, dilations),
        bool(step.whole("ceil_mode", 0)),
    )


def _padding(
    step: Step, size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, int, int, int] | None:
    kind = step.text("auto_pad", "NOTSET")
    if kind in ("SAME_UPPER", "SAME_LOWER"):
        reach = [(k - 1) * d for k, d in zip(size, dilations, strict=True)]
        if kind == "SAME_LOWER" and (any(each % 2 for each in reach) or max(strides) > 1):
            raise BadModel("it pads by SAME_LOWER: expected SAME_UPPER or numbers")
        return None
    pads = [int(each) for each in step.attributes.get("pads", (0, 0, 0, 0))]
    if kind == "VALID":
        return 0, 0, 0, 0
    if len(pads) != 4 or min(pads) < 0 or max(pads) > 4096:
        raise BadModel(f"its padding is not valid: expected four numbers from 0, found {pads}")
    return pads[0], pads[2], pads[1], pads[3]


def _pair(found: Sequence[int], what: str) -> tuple[int, int]:
    sides = [int(each) for each in found]
    if len(sides) != 2 or min(sides) < 1:
        raise BadModel(f"its {what} is not valid: expected two numbers from 1, found {sides}")
    return sides[0], sides[1]


def padded(x: tf.Tensor, window: Window, value: float) -> tuple[tf.Tensor, str]:
    """Return the padded image, and the padding that is left to TensorFlow's operation.

    Args:
        x: float32 `[batch, height, width, channel]`.
        window: that reads it.
        value: of the padding.
    """
    if window.is_same:
        return x, "SAME"
    paddings = window.paddings()
    if np.any(paddings):
        x = tf.pad(x, paddings, constant_values=value)
    return x, "VALID"
