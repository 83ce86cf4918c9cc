"""The optimisation loop as a traced graph: Adam on the parameters of each image of a batch.

Members of a batch do not depend on each other, except for the variants of one channel.
"""

import functools
from typing import NamedTuple

import tensorflow as tf

from diamond_cutter.tasks.rendering.course import Course
from diamond_cutter.tasks.rendering.image import backgrounds, laid_on, parameters_shape, to_image
from diamond_cutter.tasks.rendering.layer_graphs import InputSide, LayerGraphs
from diamond_cutter.tasks.rendering.objectives import (
    Focus,
    fine_detail,
    likeness,
    opacity,
    total_objective,
)
from diamond_cutter.tasks.rendering.subjects import Targets
from diamond_cutter.tasks.rendering.trace_key import TraceKey

# As in Distill's recipe, opacity costs nothing in this first share of the steps, while the picture
# takes shape.
_FREE_OPACITY = 0.15


class LoopState(NamedTuple):
    """The variables of one batch's optimisation, as resources.

    Each batch has its own, so that several can be optimised at once.
    """

    parameters: tf.Tensor
    first_moment: tf.Tensor
    second_moment: tf.Tensor


class _Batch(NamedTuple):
    course: Course
    targets: tuple[Targets, ...]
    focus: Focus


class OptimisationLoop:
    """The loop for batches of some layers' channels."""

    def __init__(self, graphs: LayerGraphs, key: TraceKey, channels: int) -> None:
        self._graphs, self._key, self._channels = graphs, key, channels
        self._to_image = to_image(key, channels)
        part, *planes = parameters_shape(key, channels)
        self.state_shape = [part, key.batch_size, *planes]

    def trace(
        self, state: LoopState, course: Course, targets: tuple[Targets, ...], focus: Focus
    ) -> tf.Tensor:
        """Return the optimised images, float32 `[batch, height, width, plane]` in (0, 1)."""
        batch = _Batch(course, targets, focus)
        tf.raw_ops.AssignVariableOp(resource=state.parameters, value=course.parameters)
        end = tf.minimum(course.steps, tf.shape(course.views.maps)[0])

        def body(step: tf.Tensor) -> list[tf.Tensor]:
            gradient = self._gradient(self._parameters(state), batch, step)
            self._apply(state, gradient, course, step)
            return [step + 1]

        tf.while_loop(lambda step: step < end, body, [tf.constant(0)])
        return self._to_image(self._parameters(state))

    def _parameters(self, state: LoopState) -> tf.Tensor:
        return tf.ensure_shape(
            tf.raw_ops.ReadVariableOp(resource=state.parameters, dtype=tf.float32),
            self.state_shape,
        )

    def _gradient(self, parameters: tf.Tensor, batch: _Batch, step: tf.Tensor) -> tf.Tensor:
        """Return the gradient of a step.

        In the first steps, members whose gradient is 0 everywhere get that of redirected ReLUs.
        """
        graphs = self._graphs

        def through(graph: tf.compat.v1.GraphDef, side: InputSide) -> tf.Tensor:
            loss = self._loss(graph, side, parameters, batch, step)
            (gradient,) = tf.gradients(loss, [parameters])
            return gradient

        side = batch.course.views.sides[step]
        gradient = graphs.by_side(side, functools.partial(through, graphs.climbed))

        def woken() -> tf.Tensor:
            asleep = tf.reduce_all(tf.equal(gradient, 0.0), axis=[0, 2, 3, 4], keepdims=True)
            return tf.cond(
                tf.reduce_any(asleep),
                lambda: tf.where(
                    asleep, through(graphs.redirected, graphs.side_at_scale_1), gradient
                ),
                lambda: gradient,
            )

        return tf.cond(step < batch.course.redirect_steps, woken, lambda: gradient)

    def _loss(
        self,
        graph: tf.compat.v1.GraphDef,
        side: InputSide,
        parameters: tf.Tensor,
        batch: _Batch,
        step: tf.Tensor,
    ) -> tf.Tensor:
        """Return the sum over the batch of penalties less objectives, float32 `[]`.

        In the sum each member's gradient is that of its own objective alone.
        """
        images, course = self._to_image(parameters), batch.course
        shown = images
        if self._key.alpha:
            noise = backgrounds(course.noise[step], self._key.size_px, self._channels)
            shown = laid_on(images, noise)
        activations = self._graphs.activations(graph, shown, course.views.maps[step], side)
        achieved = total_objective(activations, batch.targets, batch.focus)
        unit = tf.stop_gradient(tf.abs(achieved))
        steps = tf.cast(tf.shape(course.views.maps)[0], tf.float32)
        done = tf.cast(step, tf.float32) / steps
        held_back = self._penalties(images, activations[0], course, done, achieved)
        return tf.reduce_sum(unit * held_back - achieved)

    def _penalties(
        self,
        images: tf.Tensor,
        activations: tf.Tensor,
        course: Course,
        done: tf.Tensor,
        like: tf.Tensor,
    ) -> tf.Tensor:
        """Return the weighted penalties of each member, float32 `[batch]`, the shape of `like`."""
        key, weights = self._key, course.weights
        held_back = tf.zeros_like(like)
        if key.alpha:
            counts = tf.cast(done > _FREE_OPACITY, tf.float32)
            held_back += weights.opacity * counts * opacity(images)
        if key.penalises_detail:
            held_back += weights.detail * (1.0 - done) * fine_detail(images)
        if key.variants > 1:
            held_back += weights.likeness * likeness(activations, key.variants)
        return held_back

    def _apply(
        self, state: LoopState, gradient: tf.Tensor, course: Course, step: tf.Tensor
    ) -> None:
        count = tf.cast(step + 1, tf.float32)
        beta1, beta2 = self._key.beta1, self._key.beta2
        tf.raw_ops.ResourceApplyAdam(
            var=state.parameters,
            m=state.first_moment,
            v=state.second_moment,
            beta1_power=beta1**count,
            beta2_power=beta2**count,
            lr=course.rates[step],
            beta1=beta1,
            beta2=beta2,
            epsilon=course.epsilon,
            grad=gradient,
        )
