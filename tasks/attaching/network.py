"""The network in training: a frozen part, weights that were constants, and new layers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.attached import Attached
from diamond_cutter.model_inventory.bundle import Bundle, layer_graph, parse_graph, to_model_input
from diamond_cutter.model_inventory.graph.graph_def import run_inside, subgraph
from diamond_cutter.model_inventory.graph.new_layers import NewOutput, is_learned, new_logits
from diamond_cutter.model_inventory.graph.unfreezing import run_with_weights, trainable_weights
from diamond_cutter.tasks.attaching.spec import frozen_layers
from diamond_cutter.tasks.photos.bands import PHOTO_CHANNELS
from diamond_cutter.tasks.rendering.precision import Execution, fitting, in_precision

Arrays = dict[str, npt.NDArray[np.float32]]

# From pixels `[batch, height, width, channel]` with values 0 to 255, and the values of the trained
# weights, to the activations at the layers of the cut.
Body = Callable[[tf.Tensor, Mapping[str, tf.Tensor]], list[tf.Tensor]]


class Gradients(NamedTuple):
    """The gradients of a step.

    gradients: in the order of `TrainedNetwork.learned`.
    statistics: means and variances of the batch, by name.
    loss: the mean weighted cross-entropy, without the penalty.
    right: number of images whose class has the highest logit.
    """

    gradients: list[tf.Tensor]
    statistics: dict[str, tf.Tensor]
    loss: tf.Tensor
    right: tf.Tensor


class TrainedNetwork:
    """A cut network with new layers, some of whose weights are variables."""

    def __init__(
        self, bundle: Bundle, attached: Attached, unfreeze: str | None, weights: Arrays
    ) -> None:
        """Make the network of one phase.

        Args:
            bundle: of the network that is cut.
            attached: the new layers.
            unfreeze: the first layer of the network that is trained; None trains new layers only.
            weights: of the new layers, and of the network where they differ from the bundle.
        """
        tensors = [bundle.card.layer(name).tensor for name in attached.at]
        inside = weights_to_train(bundle, attached.at, unfreeze)
        known = {name: weights.get(name, value) for name, value in inside.items()}
        known |= {name: value for name, value in weights.items() if is_new(name, attached)}
        self.attached = attached
        self.variables = {name: tf.Variable(value, name="weight") for name, value in known.items()}
        self._inside = frozenset(inside)
        self._of_photos = bundle.card.image.channels in PHOTO_CHANNELS
        self._body = _body(bundle, attached.at, tensors, inside)
        self.prepare = tf.function(self._prepare, autograph=False, reduce_retracing=True)
        self.logits = tf.function(self._logits, autograph=False, reduce_retracing=True)
        self.features = tf.function(self._features, autograph=False, reduce_retracing=True)
        self.statistics = tf.function(self._statistics, autograph=False, reduce_retracing=True)

    @property
    def learned(self) -> list[str]:
        """Return the names of the weights that gradients change, in a fixed order."""
        return [name for name in self.variables if name in self._inside or is_learned(name)]

    def arrays(self) -> Arrays:
        """Return the present weights by name."""
        return {name: variable.numpy() for name, variable in self.variables.items()}

    def assign(self, values: Mapping[str, Any]) -> None:
        """Set some weights."""
        for name, value in values.items():
            self.variables[name].assign(value)

    def _prepare(self, pixels: tf.Tensor) -> list[tf.Tensor]:
        """Return what the trained part reads: activations of the frozen part, or pixels.

        Without new convolutions, the averages of activations are enough. Pixels of photos are
        uint8, because photos are.
        """
        if self._inside and not self._of_photos:
            return [tf.clip_by_value(pixels, 0, 255)]
        if self._inside:
            return [tf.cast(tf.round(tf.clip_by_value(pixels, 0, 255)), tf.uint8)]
        found = self._body(pixels, {})
        if self.attached.convolutions:
            return found
        return [tf.reduce_mean(each, (1, 2), keepdims=True) for each in found]

    def _logits(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        return self._output(inputs, self._reads(), training=False).logits

    def _features(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        return self._output(inputs, self._reads(), training=False).pooled

    def _statistics(self, inputs: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._output(inputs, self._reads(), training=True).statistics

    def _reads(self) -> dict[str, tf.Tensor]:
        return {name: variable.read_value() for name, variable in self.variables.items()}

    def _output(
        self, inputs: list[tf.Tensor], reads: Mapping[str, tf.Tensor], *, training: bool
    ) -> NewOutput:
        layers = self._body(inputs[0], reads) if self._inside else inputs
        return new_logits(self.attached, layers, reads, training=training)

    def gradients(
        self, inputs: list[tf.Tensor], labels: tf.Tensor, weights: tf.Tensor, decay: float
    ) -> Gradients:
        """Return the gradients of the loss; for use inside a `tf.function`.

        The loss is the mean cross-entropy of the images, each with its weight, plus `decay` times
        the squares of the head's weights.

        Args:
            inputs: from `prepare`.
            labels: int64 `[batch]`.
            weights: how much each image counts, float32 `[batch]`.
            decay: factor of the squares.
        """
        reads = self._reads()
        output = self._output(inputs, reads, training=True)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=output.logits)
        loss = tf.reduce_mean(losses * weights)
        penalty = decay * tf.reduce_sum(reads[f"{self.attached.head}/kernel"] ** 2)
        right = tf.reduce_sum(tf.cast(tf.argmax(output.logits, 1) == labels, tf.int32))
        # GradientTape does not see imported operations.
        gradients = tf.gradients(
            loss + penalty,
            [reads[name] for name in self.learned],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return Gradients(gradients, output.statistics, loss, right)


def is_new(name: str, attached: Attached) -> bool:
    """Tell whether a weight belongs to the new layers."""
    return name.startswith(f"{attached.scope}/")


def weights_to_train(bundle: Bundle, at: Sequence[str], unfreeze: str | None) -> Arrays:
    """Return the weights of a network from a layer on, up to the cut; none without a layer."""
    if unfreeze is None:
        return {}
    card = bundle.card
    frozen = [layer.tensor for layer in frozen_layers(card, unfreeze)]
    outputs = [card.layer(name).tensor for name in at]
    return trainable_weights(parse_graph(bundle), card.input_tensor, frozen, outputs)


def _body(bundle: Bundle, at: Sequence[str], tensors: Sequence[str], inside: Arrays) -> Body:
    """Return the function of the cut network.

    Without trained weights, BatchNorm is folded, and a GPU computes in bfloat16.
    """
    card = bundle.card
    if inside:
        graph = subgraph(parse_graph(bundle), tensors)

        def trained(pixels: tf.Tensor, reads: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
            images = to_model_input(tf.cast(pixels, tf.float32) / 255.0, card)
            weights = {name: reads[name] for name in inside}
            return run_with_weights(graph, card.input_tensor, images, weights, tensors)

        return trained
    folded, names = layer_graph(bundle, at)
    execution = fitting(folded, _frozen_execution())
    lowered = in_precision(folded, execution)

    def frozen(pixels: tf.Tensor, reads: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        images = to_model_input(tf.cast(pixels, tf.float32) / 255.0, card)
        found = run_inside(lowered, card.input_tensor, tf.cast(images, execution.dtype), names)
        return [tf.cast(each, tf.float32) for each in found]

    return frozen


def _frozen_execution() -> Execution:
    """Return the precision of the frozen part: its activations need no gradient."""
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    return Execution(precision="bfloat16" if on_gpu else "float32")
