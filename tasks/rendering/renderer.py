"""The optimisation loop, compiled once for a layer and a batch shape.

Whatever differs between sprites and recipes of one shape is data: targets, first spectra,
transforms, learning rates, weights of penalties, how many steps redirect ReLUs. So a whole layer
runs through one trace, and no member of a batch knows of another, unless they are variants of one
channel.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, layer_graph, to_model_input
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.tasks.rendering.backgrounds import backgrounds, laid_on
from diamond_cutter.tasks.rendering.image import parameters_shape, to_image
from diamond_cutter.tasks.rendering.objectives import (
    Focus,
    Targets,
    likeness,
    objective,
    target_maps,
)
from diamond_cutter.tasks.rendering.penalties import fine_detail, opacity
from diamond_cutter.tasks.rendering.precision import (
    Execution,
    faster_gradients,
    fitting,
    in_precision,
)
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.redirected_relu import with_redirected_relus
from diamond_cutter.tasks.rendering.smooth_gates import with_smooth_gates
from diamond_cutter.tasks.rendering.transforms import Views, enlarged, warp

_Traced = TypeVar("_Traced", bound=Any)

# What of a recipe is data; the rest is compiled in.
_DATA = {
    "name": "any",
    "seed": 0,
    "objective": "channel",
    "neuron_at": (0.5, 0.5),
    "initial_sd": 0.01,
    "steps": 1,
    "learning_rate": 1.0,
    "cooldown": 0.0,
    "redirect_steps": 0,
    "rotate_degrees": (0.0,),
    "ladder": (),
    "layers": {},
}


@dataclass(frozen=True)
class Shape:
    """All that a compiled renderer is fixed to, beside the layers: what it is traced for."""

    batch_size: int
    execution: Execution
    recipe_json: str

    @classmethod
    def of(cls, recipe: RenderRecipe, batch_size: int, execution: Execution) -> "Shape":
        """Return the shape that a recipe's sprites are rendered in."""
        jitter = (sum(recipe.jitter_px),)
        scales = tuple(sum(group) / len(group) for group in recipe.scales_by_side)
        penalties = {
            "alpha_weight": float(recipe.alpha),
            "blur": float(recipe.blur > 0),
            "diversity": 1.0,
        }
        fixed = recipe.model_copy(
            update={**_DATA, **penalties, "jitter_px": jitter, "scale": scales}
        )
        return cls(batch_size, execution, fixed.model_dump_json())

    @property
    def recipe(self) -> RenderRecipe:
        """Return the recipe with all that is data at some default."""
        return RenderRecipe.model_validate_json(self.recipe_json)


class Weights(NamedTuple):
    """How much each penalty counts, float32 `[]`, in units of the objective."""

    opacity: tf.Tensor
    detail: tf.Tensor
    likeness: tf.Tensor


class Course(NamedTuple):
    """What a batch's optimisation starts from and goes through.

    parameters: of `image.initial_parameters`, float32 `[part, batch, plane, height, width // 2 +
    1]`. views: the transforms of each step. noise: seeds of each step's background, int32 `[step,
    batch, 2]`; only a recipe with `alpha` looks at them. rates: the learning rate of each step,
    float32 `[step]`. redirect_steps: how many first steps let gradient through shut ReLUs, int32
    `[]`. weights: of the penalties. epsilon: Adam's, float32 `[]`: what is added to the gradient's
    size, so that a gradient far below it moves nothing.
    """

    parameters: tf.Tensor
    views: Views
    noise: tf.Tensor
    rates: tf.Tensor
    redirect_steps: tf.Tensor
    weights: Weights
    epsilon: tf.Tensor


class _State(NamedTuple):
    """The variables of one batch's optimisation, resources; the batch's own, so that others can run
    beside it.
    """

    parameters: tf.Tensor
    first_moment: tf.Tensor
    second_moment: tf.Tensor


class Scored(NamedTuple):
    """What a batch's pictures do to the layer, over all draws.

    objective: mean, float32 `[batch]`.
    highest: the highest value at any position, float32 `[batch]`.
    means: the mean of every channel of the first layer, float32 `[batch, channel]`.
    """

    objective: np.ndarray
    highest: np.ndarray
    means: np.ndarray


class _InputSide(NamedTuple):
    """A size that the network's input has: rows and columns, and how many times as large as the
    recipe makes it that is.
    """

    shape: tuple[int, int]
    factor: float


def _only_side(card: ModelCard, layers: tuple[str, ...], recipe: RenderRecipe) -> _InputSide | None:
    """Return the model's own size, if there is a layer that cannot be computed at any other."""
    if all(card.layer(layer).any_size for layer in layers):
        return None
    own = (card.image.height, card.image.width)
    return _InputSide(own, max(own) / recipe.input_px)


class LayerRenderer:
    """Renders batches of one layer's channels, or of mixes of several layers'."""

    def __init__(self, bundle: Bundle, layers: tuple[str, ...], shape: Shape) -> None:
        self._card, self._shape, self._recipe = bundle.card, shape, shape.recipe
        self._layers, self._channels = layers, bundle.card.layer(layers[0]).channels
        only = _only_side(bundle.card, layers, self._recipe)
        self._sides = (
            [only]
            if only
            else [_InputSide((side, side), 1.0) for side in self._recipe.input_sides_px]
        )
        self._side_at_scale_1 = only or _InputSide((self._recipe.input_px,) * 2, 1.0)
        graph, self._tensors = layer_graph(
            bundle, layers, pre_activation=self._recipe.pre_activation or self._recipe.negative
        )
        execution = fitting(graph, shape.execution)
        self._dtype = execution.dtype
        self._exact = graph
        self._graph = with_smooth_gates(
            faster_gradients(in_precision(graph, execution), execution), self._recipe.gate_smoothing
        )
        self._redirected = with_redirected_relus(self._graph)
        self._to_image = to_image(self._recipe, bundle.card.image.channels)
        part, *planes = parameters_shape(self._recipe, bundle.card.image.channels)
        self._state_shape = [part, shape.batch_size, *planes]
        batch, scalar = [shape.batch_size], tf.TensorSpec([])
        views = Views(tf.TensorSpec([None, *batch, 6]), tf.TensorSpec([None], tf.int32))
        targets = tuple(
            Targets(tf.TensorSpec([*batch, None], tf.int32), tf.TensorSpec([*batch, None]))
            for _ in layers
        )
        focus = Focus(scalar, tf.TensorSpec([2]))
        course = Course(
            parameters=tf.TensorSpec(self._state_shape),
            views=views,
            noise=tf.TensorSpec([None, *batch, 2], tf.int32),
            rates=tf.TensorSpec([None]),
            redirect_steps=tf.TensorSpec([], tf.int32),
            weights=Weights(scalar, scalar, scalar),
            epsilon=scalar,
        )
        state = _State(*[tf.TensorSpec([], tf.resource)] * 3)
        compiled = {"autograph": False, "jit_compile": execution.xla or None}
        self._optimise = tf.function(
            self._trace_optimise, input_signature=[state, course, targets, focus], **compiled
        )
        images = tf.TensorSpec([*batch, *planes[1:2] * 2, planes[0]])
        self._score = tf.function(
            self._trace_score, input_signature=[images, views, targets, focus], **compiled
        )

    @property
    def trace_count(self) -> int:
        """Return how often the optimisation was traced: once, however many shards it has
        rendered.
        """
        return int(self._optimise.experimental_get_tracing_count())

    def optimise(self, course: Course, targets: tuple[Targets, ...], focus: Focus) -> np.ndarray:
        """Return the optimised images, float32 `[batch, height, width, plane]` with values in (0,
        1).

        Several threads may optimise batches at once.

        Args:
            course: where to start and how to go on.
            targets: what each member looks for, for each of the layers; their sum is what it
                maximises.
            focus: where in the layers.
        """
        variables = [tf.Variable(tf.zeros(self._state_shape)) for _ in _State._fields]
        images: np.ndarray = self._optimise(
            _State(*(each.handle for each in variables)), course, targets, focus
        ).numpy()
        return images

    def score(
        self, images: np.ndarray, views: Views, targets: tuple[Targets, ...], focus: Focus
    ) -> Scored:
        """Return what each image does under the transforms, in float32 whatever the loop's
        precision.

        Args:
            images: float32 `[batch, height, width, plane]` with values in [0, 1]; what is
                transparent shows white.
            views: how they are seen at each draw; objectives are averaged over the draws.
            targets: as in `optimise`.
            focus: as in `optimise`.
        """
        return Scored(*(values.numpy() for values in self._score(images, views, targets, focus)))

    def _activations(
        self, images: tf.Tensor, maps: tf.Tensor, side: _InputSide, graph: tf.compat.v1.GraphDef
    ) -> list[tf.Tensor]:
        recipe = self._recipe
        seen = warp(
            images, enlarged(maps, side.factor), side.shape, recipe.pad_px, recipe.pad_value
        )
        fed = to_model_input(seen, self._card)
        dtype = tf.float32 if graph is self._exact else self._dtype
        try:
            return run_inside(graph, self._card.input_tensor, tf.cast(fed, dtype), self._tensors)
        except ValueError as error:
            rows, columns = side.shape
            raise BadModel(
                f"layer {self._layers[-1]} of {self._card.name} cannot be computed of {rows} x "
                f"{columns} pixels, "
                f"which is what it sees of a sprite of {recipe.size_px}; take a larger one, such "
                f"as --recipe.size-px {2 * recipe.size_px}"
            ) from error

    def _trace_optimise(
        self, state: _State, course: Course, targets: tuple[Targets, ...], focus: Focus
    ) -> tf.Tensor:
        tf.raw_ops.AssignVariableOp(resource=state.parameters, value=course.parameters)
        end = tf.shape(course.views.maps)[0]

        def body(step: tf.Tensor) -> list[tf.Tensor]:
            self._apply(
                state,
                self._gradient(self._parameters(state), course, targets, focus, step),
                course,
                step,
            )
            return [step + 1]

        tf.while_loop(lambda step: step < end, body, [tf.constant(0)])
        return self._to_image(self._parameters(state))

    def _parameters(self, state: _State) -> tf.Tensor:
        return tf.ensure_shape(
            tf.raw_ops.ReadVariableOp(resource=state.parameters, dtype=tf.float32),
            self._state_shape,
        )

    def _gradient(
        self,
        parameters: tf.Tensor,
        course: Course,
        targets: tuple[Targets, ...],
        focus: Focus,
        step: tf.Tensor,
    ) -> tf.Tensor:
        """Return the step's gradient; that of redirected ReLUs for members that get none otherwise,
        in the first steps.
        """

        def through(graph: tf.compat.v1.GraphDef, side: _InputSide) -> tf.Tensor:
            (gradient,) = tf.gradients(
                self._loss(graph, side, parameters, course, targets, focus, step), [parameters]
            )
            return gradient

        gradient = self._by_side(course.views.sides[step], functools.partial(through, self._graph))

        def woken() -> tf.Tensor:
            asleep = tf.reduce_all(tf.equal(gradient, 0.0), axis=[0, 2, 3, 4], keepdims=True)
            return tf.cond(
                tf.reduce_any(asleep),
                lambda: tf.where(
                    asleep, through(self._redirected, self._side_at_scale_1), gradient
                ),
                lambda: gradient,
            )

        return tf.cond(step < course.redirect_steps, woken, lambda: gradient)

    def _loss(
        self,
        graph: tf.compat.v1.GraphDef,
        side: _InputSide,
        parameters: tf.Tensor,
        course: Course,
        targets: tuple[Targets, ...],
        focus: Focus,
        step: tf.Tensor,
    ) -> tf.Tensor:
        images, recipe = self._to_image(parameters), self._recipe
        shown = (
            laid_on(
                images, backgrounds(course.noise[step], recipe.size_px, self._card.image.channels)
            )
            if recipe.alpha
            else images
        )
        activations = self._activations(shown, course.views.maps[step], side, graph)
        achieved = _total(activations, targets, focus)
        unit = tf.stop_gradient(tf.abs(achieved))
        done = tf.cast(step, tf.float32) / tf.cast(tf.shape(course.views.maps)[0], tf.float32)
        held_back = tf.zeros_like(achieved)
        if recipe.alpha:
            # As in Distill's recipe, opacity costs nothing in the beginning, when the picture has
            # yet to form.
            held_back += course.weights.opacity * tf.cast(done > 0.15, tf.float32) * opacity(images)
        if recipe.blur:
            held_back += course.weights.detail * (1.0 - done) * fine_detail(images)
        if recipe.variants > 1:
            held_back += course.weights.likeness * likeness(activations[0], recipe.variants)
        # A sum over the batch: each member's gradient is that of its own objective alone.
        return tf.reduce_sum(unit * held_back - achieved)

    def _by_side(self, side: tf.Tensor, at: Callable[[_InputSide], _Traced]) -> _Traced:
        """Return what a function of the input's side gives for one of the recipe's sides; each is
        compiled by itself.
        """
        branches = [functools.partial(at, of_input) for of_input in self._sides]
        return tf.switch_case(side, branches) if len(branches) > 1 else branches[0]()

    def _apply(self, state: _State, gradient: tf.Tensor, course: Course, step: tf.Tensor) -> None:
        count = tf.cast(step + 1, tf.float32)
        beta1, beta2 = self._recipe.beta1, self._recipe.beta2
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

    def _trace_score(
        self, images: tf.Tensor, views: Views, targets: tuple[Targets, ...], focus: Focus
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        draws = tf.shape(views.maps)[0]
        shown = laid_on(images, tf.ones_like(images[..., :-1])) if self._recipe.alpha else images

        def seen(draw: tf.Tensor, side: _InputSide) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            activations = self._activations(shown, views.maps[draw], side, self._exact)
            highest = sum(
                tf.reduce_max(target_maps(values, wanted), axis=[1, 2])
                for values, wanted in zip(activations, targets, strict=True)
            )
            means = tf.reduce_mean(
                activations[0], axis=list(range(1, activations[0].shape.rank - 1))
            )
            return _total(activations, targets, focus), highest, means

        def body(
            draw: tf.Tensor, total: tf.Tensor, highest: tf.Tensor, means: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            achieved, peak, mean = self._by_side(views.sides[draw], functools.partial(seen, draw))
            return draw + 1, total + achieved, tf.maximum(highest, peak), means + mean

        nothing = tf.zeros([self._shape.batch_size])
        start = [
            tf.constant(0),
            nothing,
            nothing - np.inf,
            tf.zeros([self._shape.batch_size, self._channels]),
        ]
        _, total, highest, means = tf.while_loop(lambda draw, *_: draw < draws, body, start)
        count = tf.cast(draws, tf.float32)
        return total / count, highest, means / count


def _total(activations: list[tf.Tensor], targets: tuple[Targets, ...], focus: Focus) -> tf.Tensor:
    """Return the sum over the layers of what each batch element achieves there, float32
    `[batch]`.
    """
    return tf.add_n(
        [
            objective(target_maps(values, wanted), focus)
            for values, wanted in zip(activations, targets, strict=True)
        ]
    )
