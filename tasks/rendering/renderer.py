"""The optimisation loop, compiled once for a layer and a batch shape.

Whatever differs between sprites and recipes of one shape is data: channels, first spectra, transforms, learning rates,
how many steps redirect ReLUs. So a whole layer runs through one trace, and no member of a batch knows of another.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from model_inventory.bundle import Bundle, layer_graph, to_model_input
from model_inventory.graph import run_inside
from tasks.rendering.image import frequency_scale, spectrum_shape, spectrum_to_image
from tasks.rendering.objectives import channel_maps, channel_objective
from tasks.rendering.recipe import RenderRecipe
from tasks.rendering.redirected_relu import with_redirected_relus
from tasks.rendering.transforms import warp

_ADAM_EPSILON = 1e-8


@dataclass(frozen=True)
class Shape:
    """All that a compiled renderer is fixed to, beside the layer."""

    batch_size: int
    size_px: int
    input_px: int
    pad_px: int
    decay_power: float
    beta1: float
    beta2: float

    @classmethod
    def of(cls, recipe: RenderRecipe, batch_size: int) -> "Shape":
        """Return the shape that a recipe's sprites are rendered in."""
        return cls(
            batch_size=batch_size,
            size_px=recipe.size_px,
            input_px=recipe.input_px,
            pad_px=recipe.pad_px,
            decay_power=recipe.decay_power,
            beta1=recipe.beta1,
            beta2=recipe.beta2,
        )


class LayerRenderer:
    """Renders batches of one layer's channels."""

    def __init__(self, bundle: Bundle, layer: str, shape: Shape) -> None:
        self._card = bundle.card
        self._tensor = bundle.card.layer(layer).tensor
        self._graph = layer_graph(bundle, layer)
        self._redirected = with_redirected_relus(self._graph)
        self._shape = shape
        self._scale = tf.constant(frequency_scale(shape.size_px, shape.decay_power))
        real_imaginary, *planes = spectrum_shape(shape.size_px)
        zeros = tf.zeros([real_imaginary, shape.batch_size, *planes])
        self._spectrum, self._first_moment, self._second_moment = (tf.Variable(zeros) for _ in range(3))
        batch = [shape.batch_size]
        ids, maps = tf.TensorSpec(batch, tf.int32), tf.TensorSpec([None, *batch, 6], tf.float32)
        signature = [tf.TensorSpec(zeros.shape), maps, ids, tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.int32)]
        self._optimise = tf.function(self._trace_optimise, input_signature=signature, autograph=False)
        images = tf.TensorSpec([*batch, shape.size_px, shape.size_px, 3], tf.float32)
        self._score = tf.function(self._trace_score, input_signature=[images, maps, ids], autograph=False)

    @property
    def trace_count(self) -> int:
        """Return how often the optimisation was traced: once, however many shards it has rendered."""
        return int(self._optimise.experimental_get_tracing_count())

    def optimise(self, spectrum: np.ndarray, maps: np.ndarray, channels: np.ndarray, rates: np.ndarray, redirect_steps: int) -> np.ndarray:
        """Return the optimised images, float32 `[batch, height, width, 3]` with values in (0, 1).

        Args:
            spectrum: first spectra, float32 `[2, batch, 3, height, width // 2 + 1]`.
            maps: the transforms of each step, float32 `[step, batch, 6]`.
            channels: int32 `[batch]`.
            rates: the learning rate of each step, float32 `[step]`.
            redirect_steps: how many first steps let gradient through shut ReLUs.
        """
        images: np.ndarray = self._optimise(spectrum, maps, channels, rates, redirect_steps).numpy()
        return images

    def score(self, images: np.ndarray, maps: np.ndarray, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each image's objective and its channel's highest activation under the transforms, float32 `[batch]` each.

        Args:
            images: float32 `[batch, height, width, 3]` with values in [0, 1].
            maps: float32 `[draw, batch, 6]`; objectives are averaged over the draws.
            channels: int32 `[batch]`.
        """
        objective, highest = self._score(images, maps, channels)
        return objective.numpy(), highest.numpy()

    def _activations(self, images: tf.Tensor, maps: tf.Tensor, graph: tf.compat.v1.GraphDef) -> tf.Tensor:
        seen = to_model_input(warp(images, maps, self._shape.input_px, self._shape.pad_px), self._card)
        return run_inside(graph, self._card.input_tensor, seen, [self._tensor])[0]

    def _trace_optimise(
        self, spectrum: tf.Tensor, maps: tf.Tensor, channels: tf.Tensor, rates: tf.Tensor, redirect_steps: tf.Tensor
    ) -> tf.Tensor:
        self._spectrum.assign(spectrum)
        for moment in (self._first_moment, self._second_moment):
            moment.assign(tf.zeros_like(spectrum))

        def steps_of(graph: tf.compat.v1.GraphDef, first: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
            def body(step: tf.Tensor) -> list[tf.Tensor]:
                self._trace_step(graph, maps[step], channels, rates[step], step)
                return [step + 1]

            (last,) = tf.while_loop(lambda step: step < end, body, [first])
            return last

        end = tf.shape(maps)[0]
        woken = steps_of(self._redirected, tf.constant(0), tf.minimum(redirect_steps, end))
        steps_of(self._graph, woken, end)
        return spectrum_to_image(self._spectrum.read_value(), self._scale, self._shape.size_px)

    def _trace_step(self, graph: tf.compat.v1.GraphDef, maps: tf.Tensor, channels: tf.Tensor, rate: tf.Tensor, step: tf.Tensor) -> None:
        spectrum = self._spectrum.read_value()
        images = spectrum_to_image(spectrum, self._scale, self._shape.size_px)
        # A sum over the batch: each member's gradient is that of its own objective alone.
        loss = -tf.reduce_sum(channel_objective(self._activations(images, maps, graph), channels))
        (gradient,) = tf.gradients(loss, [spectrum])
        count = tf.cast(step + 1, tf.float32)
        beta1, beta2 = self._shape.beta1, self._shape.beta2
        tf.raw_ops.ResourceApplyAdam(
            var=self._spectrum.handle,
            m=self._first_moment.handle,
            v=self._second_moment.handle,
            beta1_power=beta1**count,
            beta2_power=beta2**count,
            lr=rate,
            beta1=beta1,
            beta2=beta2,
            epsilon=_ADAM_EPSILON,
            grad=gradient,
        )

    def _trace_score(self, images: tf.Tensor, maps: tf.Tensor, channels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        draws = tf.shape(maps)[0]

        def body(draw: tf.Tensor, total: tf.Tensor, highest: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            activations = self._activations(images, maps[draw], self._graph)
            peak = tf.reduce_max(channel_maps(activations, channels), axis=1)
            return draw + 1, total + channel_objective(activations, channels), tf.maximum(highest, peak)

        zero = tf.zeros([self._shape.batch_size])
        _, total, highest = tf.while_loop(lambda draw, *_: draw < draws, body, [tf.constant(0), zero, zero - np.inf])
        return total / tf.cast(draws, tf.float32), highest
