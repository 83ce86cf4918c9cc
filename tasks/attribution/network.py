"""Cut a model to the layers and the logits that attribution needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, layer_graph, parse_graph, to_model_input
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.graph.cutting import Tail, behind
from diamond_cutter.model_inventory.graph.graph_def import activation_behind, run_inside


@dataclass(frozen=True)
class Network:
    """The part of a model's graph that computes some layers and the logits, with BatchNorm folded.

    `exclusive` tells whether the classes exclude each other (softmax) or not (a sigmoid each).
    """

    card: ModelCard
    graph: tf.compat.v1.GraphDef
    layers: tuple[str, ...]
    tensors: tuple[str, ...]
    logits: str
    exclusive: bool

    @property
    def classes(self) -> int:
        """Return the number of logits."""
        return self.card.check_logits().channels

    @property
    def two_classes(self) -> bool:
        """Tell whether one score decides between two classes."""
        return self.card.head_kind == "two classes"

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """Return the probability of each class, `[batch, class]`, for logits of the same shape.

        The values of a regression have none; they are returned as they are.
        """
        if self.card.head_kind == "values":
            return logits
        return tf.nn.softmax(logits) if self.exclusive and self.classes > 1 else tf.sigmoid(logits)

    def ranked(self, logits: tf.Tensor, threshold: float | None) -> tf.Tensor:
        """Return logits whose highest is the model's decision, `[batch, class]`.

        Args:
            logits: float32 `[batch, class]`.
            threshold: the least probability of the second of two classes; one half if None.
        """
        if threshold is None:
            return logits
        return logits - tf.constant([0.0, math.log(threshold / (1 - threshold))])

    def run(self, images: tf.Tensor, tensors: Sequence[str]) -> list[tf.Tensor]:
        """Add the network's operations to the graph being traced; return some tensors' values.

        Args:
            images: `[batch, height, width, channel]` in [0, 1].
            tensors: the names of the tensors.
        """
        return run_inside(
            self.graph, self.card.input_tensor, to_model_input(images, self.card), tensors
        )

    def tail(self, layer: str) -> Tail:
        """Return the part of the graph from a layer to the logits."""
        return behind(
            self.graph,
            self.card.input_tensor,
            self.tensors[self.layers.index(layer)],
            [self.logits],
        )

    def part_between(self, layer: str, next_layer: str) -> Tail:
        """Return the part of the graph from a layer to a later layer."""
        tensor, end = (self.tensors[self.layers.index(name)] for name in (layer, next_layer))
        return behind(self.graph, self.card.input_tensor, tensor, [end])


def network_of(bundle: Bundle, layers: Sequence[str]) -> Network:
    """Return the part of a model that attribution to some of its layers needs.

    Raises:
        UnknownLayer: the model lacks a layer; the message names similar layers.
        BadModel: the model has no logits.
    """
    card = bundle.card
    graph, tensors = layer_graph(bundle, [*layers, card.check_logits().name])
    exclusive = activation_behind(parse_graph(bundle), tensors[-1]) != "Sigmoid"
    return Network(card, graph, tuple(layers), tuple(tensors[:-1]), tensors[-1], exclusive)
