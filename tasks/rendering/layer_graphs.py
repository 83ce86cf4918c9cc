"""The graphs that compute a layer: as the model has it, and as the optimisation climbs it."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, layer_graph, to_model_input
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.tasks.rendering.gradients import faster_gradients
from diamond_cutter.tasks.rendering.precision import fitting, in_precision
from diamond_cutter.tasks.rendering.relu_gradients import with_redirected_relus, with_smooth_gates
from diamond_cutter.tasks.rendering.trace_key import TraceKey
from diamond_cutter.tasks.rendering.transforms import enlarged, warp

_Traced = TypeVar("_Traced", bound=Any)


class InputSide(NamedTuple):
    """A size of the network's input.

    shape: rows and columns, in pixels.
    factor: how many times as large that is as the recipe makes it.
    """

    shape: tuple[int, int]
    factor: float


class LayerGraphs:
    """Three graphs of the same layers, and the sizes of their input.

    exact: as the model has it, in float32; scores are computed by it.
    climbed: in the execution's precision, with smoothed ReLU gates in its gradient.
    redirected: `climbed` with gradient through shut ReLUs.
    sides: the sizes that the network's input has at the steps.
    side_at_scale_1: the size at scale 1.
    """

    def __init__(self, bundle: Bundle, layers: tuple[str, ...], key: TraceKey) -> None:
        self._card, self._layers, self._key = bundle.card, layers, key
        self.exact, self._tensors = layer_graph(
            bundle, layers, pre_activation=key.before_activation
        )
        execution = fitting(self.exact, key.execution)
        self._dtype = execution.dtype
        self.climbed = with_smooth_gates(
            faster_gradients(in_precision(self.exact, execution), execution), key.gate_smoothing
        )
        self.redirected = with_redirected_relus(self.climbed)
        only = _only_side(bundle.card, layers, key)
        sides = [InputSide((side, side), 1.0) for side in key.input_sides_px]
        self.sides = [only] if only else sides
        self.side_at_scale_1 = only or InputSide((key.input_px, key.input_px), 1.0)

    def activations(
        self, graph: tf.compat.v1.GraphDef, images: tf.Tensor, maps: tf.Tensor, side: InputSide
    ) -> list[tf.Tensor]:
        """Return the activations of each layer, `[batch, height, width, channel]` or `[batch,
        channel]`.

        Args:
            graph: one of the three.
            images: float32 `[batch, height, width, channel]` with values in [0, 1].
            maps: the affine map of each image, float32 `[batch, 6]`.
            side: the size of the network's input.

        Raises:
            BadModel: a layer cannot be computed at this size.
        """
        key = self._key
        seen = warp(images, enlarged(maps, side.factor), side.shape, key.pad_px, key.pad_value)
        fed = to_model_input(seen, self._card)
        dtype = tf.float32 if graph is self.exact else self._dtype
        try:
            return run_inside(graph, self._card.input_tensor, tf.cast(fed, dtype), self._tensors)
        except ValueError as error:
            raise self._too_small(side) from error

    def by_side(self, side: tf.Tensor, at: Callable[[InputSide], _Traced]) -> _Traced:
        """Return a function's result at one of the sides; each side is compiled separately.

        Args:
            side: index into `sides`, int32 `[]`.
            at: called with each side while it is traced.
        """
        branches = [functools.partial(at, each) for each in self.sides]
        return tf.switch_case(side, branches) if len(branches) > 1 else branches[0]()

    def _too_small(self, side: InputSide) -> BadModel:
        rows, columns = side.shape
        return BadModel(
            f"layer {self._layers[-1]} of {self._card.name} cannot be computed from {rows} x "
            f"{columns} pixels, the network's input for a sprite of {self._key.size_px} pixels. "
            f"Choose a larger sprite, such as --recipe.size-px {2 * self._key.size_px}."
        )


def _only_side(card: ModelCard, layers: tuple[str, ...], key: TraceKey) -> InputSide | None:
    """Return the model's own size if some layer cannot be computed at any other, else None."""
    if all(card.layer(layer).any_size for layer in layers):
        return None
    own = (card.image.height, card.image.width)
    return InputSide(own, max(own) / key.input_px)
