"""Renders batches of one layer, or of mixes, with graphs that are compiled once.

Everything that differs between sprites, and between recipes of one trace key, is data. So a whole
layer runs through one trace.
"""

import functools
import threading
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.rendering.course import Course, Weights
from diamond_cutter.tasks.rendering.image import laid_on
from diamond_cutter.tasks.rendering.layer_graphs import InputSide, LayerGraphs
from diamond_cutter.tasks.rendering.loop import LoopState, OptimisationLoop
from diamond_cutter.tasks.rendering.objectives import Focus, target_maps, total_objective
from diamond_cutter.tasks.rendering.subjects import Targets
from diamond_cutter.tasks.rendering.trace_key import TraceKey
from diamond_cutter.tasks.rendering.transforms import Views

# While TensorFlow traces one graph, no other: the small functions that all loops share, such as the
# colours', build their gradients in the first trace that needs them, and do not expect two.
_tracing = threading.Lock()


class BatchScores(NamedTuple):
    """The effect of a batch's pictures on the layers, over all views.

    objective: mean, float32 `[batch]`.
    highest: the highest value at any position, float32 `[batch]`.
    means: the mean of every channel of the first layer, float32 `[batch, channel]`.
    """

    objective: npt.NDArray[np.float32]
    highest: npt.NDArray[np.float32]
    means: npt.NDArray[np.float32]


class LayerRenderer:
    """Renders batches of one layer's channels, or of mixes of several layers'."""

    def __init__(self, bundle: Bundle, layers: tuple[str, ...], key: TraceKey) -> None:
        self._key, self._channels = key, bundle.card.layer(layers[0]).channels
        with _tracing:
            self._graphs = LayerGraphs(bundle, layers, key)
        self._loop = OptimisationLoop(self._graphs, key, bundle.card.image.channels)
        compiled = {"autograph": False, "jit_compile": key.execution.xla or None}
        course, targets, focus = _signature(self._loop.state_shape, len(layers))
        state = LoopState(*[tf.TensorSpec([], tf.resource)] * 3)
        self._optimise = tf.function(
            self._loop.trace, input_signature=[state, course, targets, focus], **compiled
        )
        _, batch, planes, side, _ = self._loop.state_shape
        images = tf.TensorSpec([batch, side, side, planes])
        self._score = tf.function(
            self._trace_score, input_signature=[images, course.views, targets, focus], **compiled
        )
        self._compiling, self._optimises, self._scores = threading.Lock(), False, False

    @property
    def is_in_use(self) -> bool:
        """Tell whether the loop is compiled, or being compiled."""
        return self._optimises or self._compiling.locked()

    @property
    def has_scored(self) -> bool:
        """Tell whether the scores are compiled."""
        return self._scores

    @property
    def trace_count(self) -> int:
        """Return the number of traces of the loop: 1, however many shards it has rendered."""
        return int(self._optimise.experimental_get_tracing_count())

    def optimise(
        self, course: Course, targets: tuple[Targets, ...], focus: Focus
    ) -> npt.NDArray[np.float32]:
        """Return the optimised images, float32 `[batch, height, width, plane]` in (0, 1).

        Several threads may optimise batches at once.

        Args:
            course: where to start, and what the steps read.
            targets: of each layer. A member maximises the sum over the layers.
            focus: the positions to maximise at.
        """
        self.compile_loop(course, targets, focus)
        return self._run_loop(course, targets, focus)

    def compile_loop(self, course: Course, targets: tuple[Targets, ...], focus: Focus) -> None:
        """Trace and compile the loop, unless that is done; the arguments are those of `optimise`.

        One thread compiles it while the others wait: TensorFlow would optimise the graph once for
        each thread that comes before it is done.
        """
        with self._compiling:
            if not self._optimises:
                with _tracing:
                    self._optimise.get_concrete_function()
                self._run_loop(course._replace(steps=np.int32(0)), targets, focus)
                self._optimises = True

    def _run_loop(
        self, course: Course, targets: tuple[Targets, ...], focus: Focus
    ) -> npt.NDArray[np.float32]:
        variables = [tf.Variable(tf.zeros(self._loop.state_shape)) for _ in LoopState._fields]
        images: npt.NDArray[np.float32] = self._optimise(
            LoopState(*(each.handle for each in variables)), course, targets, focus
        ).numpy()
        return images

    def score(
        self,
        images: npt.NDArray[np.float32],
        views: Views,
        targets: tuple[Targets, ...],
        focus: Focus,
    ) -> BatchScores:
        """Return the scores of images, always computed in float32.

        Args:
            images: float32 `[batch, height, width, plane]` with values in [0, 1]. Transparent parts
                show white.
            views: at each draw. Objectives are averaged over the draws.
            targets: as in `optimise`.
            focus: as in `optimise`.
        """
        with self._compiling if not self._scores else nullcontext():
            if not self._scores:
                with _tracing:
                    self._score.get_concrete_function()
            found = self._score(images, views, targets, focus)
            self._scores = True
        return BatchScores(*(values.numpy() for values in found))

    def _trace_score(
        self, images: tf.Tensor, views: Views, targets: tuple[Targets, ...], focus: Focus
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        draws, graphs = tf.shape(views.maps)[0], self._graphs
        shown = laid_on(images, tf.ones_like(images[..., :-1])) if self._key.alpha else images

        def seen(draw: tf.Tensor, side: InputSide) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            activations = graphs.activations(graphs.exact, shown, views.maps[draw], side)
            highest = sum(
                tf.reduce_max(target_maps(values, wanted), axis=[1, 2])
                for values, wanted in zip(activations, targets, strict=True)
            )
            positions = list(range(1, activations[0].shape.rank - 1))
            means = tf.reduce_mean(activations[0], axis=positions)
            return total_objective(activations, targets, focus), highest, means

        def body(
            draw: tf.Tensor, total: tf.Tensor, highest: tf.Tensor, means: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            side = views.sides[draw]
            achieved, peak, mean = graphs.by_side(side, functools.partial(seen, draw))
            return draw + 1, total + achieved, tf.maximum(highest, peak), means + mean

        zeros = tf.zeros([self._key.batch_size])
        means = tf.zeros([self._key.batch_size, self._channels])
        start = [tf.constant(0), zeros, zeros - np.inf, means]
        _, total, highest, means = tf.while_loop(lambda draw, *_: draw < draws, body, start)
        count = tf.cast(draws, tf.float32)
        return total / count, highest, means / count


def _signature(state_shape: list[int], layers: int) -> tuple[Course, tuple[Targets, ...], Focus]:
    """Return the tensor specs of a batch's course, targets and focus; steps and terms vary."""
    batch, scalar = state_shape[1], tf.TensorSpec([])
    course = Course(
        parameters=tf.TensorSpec(state_shape),
        views=Views(tf.TensorSpec([None, batch, 6]), tf.TensorSpec([None], tf.int32)),
        noise=tf.TensorSpec([None, batch, 2], tf.int32),
        rates=tf.TensorSpec([None]),
        steps=tf.TensorSpec([], tf.int32),
        redirect_steps=tf.TensorSpec([], tf.int32),
        weights=Weights(scalar, scalar, scalar),
        epsilon=scalar,
    )
    targets = tuple(
        Targets(tf.TensorSpec([batch, None], tf.int32), tf.TensorSpec([batch, None]))
        for _ in range(layers)
    )
    return course, targets, Focus(scalar, tf.TensorSpec([2]))
