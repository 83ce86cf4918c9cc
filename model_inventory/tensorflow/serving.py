"""Writes a bundle as a SavedModel that serves images with values from 0 to 255."""

import re
import tempfile
from pathlib import Path

import tensorflow as tf

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.bundle import Bundle, parse_graph, to_model_input
from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.graph_def import activation_behind, run_inside, subgraph

_LABELS = "labels.txt"


def write_saved_model(bundle: Bundle, folder: Path) -> None:
    """Write a SavedModel, with the names of the classes in `assets/labels.txt` if there are any.

    Its signature `serving_default` takes `images`, float32 `[batch, height, width, channel]` with
    values in 0..255, in the order RGB if they have colours. It returns `logits` and
    `probabilities`, float32 `[batch, class]`, or the `values` of a regression, float32
    `[batch, value]`. Without logits, it returns `activations`, those of the last layer. Rows and
    columns are arbitrary if the layers allow it.

    Raises:
        BadModel: TensorFlow cannot write the graph.
        OSError: the disk is full, or the folder cannot be written.
    """
    served = tf.Module(name="served")
    served.serve = _serving_function(bundle)
    with tempfile.TemporaryDirectory() as beside:
        if bundle.card.labels:
            # TensorFlow copies the file into the folder.
            labels = Path(beside) / _LABELS
            labels.write_text(_lines(bundle.card), encoding="utf-8", errors="replace")
            served.labels = tf.saved_model.Asset(str(labels))
        try:
            tf.saved_model.save(served, str(folder), signatures=served.serve)
        except (tf.errors.OpError, ValueError) as error:
            raise BadModel(
                f"{bundle.card.key} cannot be written as a SavedModel ({first_line(error)}). Check "
                "the free space of the disk."
            ) from error


def last_layer(card: ModelCard) -> LayerCard:
    """Return the layer of the logits, or without one the last layer, which has as many channels."""
    return card.logits or card.layers[-1]


def served_values(bundle: Bundle, images: tf.Tensor) -> tf.Tensor:
    """Return the logits, or without them the activations of the last layer.

    For use inside a `tf.function`.

    Args:
        bundle: its graph runs as it was frozen, without folding.
        images: float32 `[batch, height, width, channel]`, values in 0..255.
    """
    card = bundle.card
    # The logits need not be a layer.
    tensor = card.logits_tensor or last_layer(card).tensor
    graph = subgraph(parse_graph(bundle), [card.input_tensor, tensor])
    return run_inside(graph, card.input_tensor, to_model_input(images / 255.0, card), [tensor])[0]


def _serving_function(bundle: Bundle) -> tf.types.experimental.PolymorphicFunction:
    image = bundle.card.image
    sides = (None, None) if last_layer(bundle.card).any_size else (image.height, image.width)
    images = tf.TensorSpec([None, *sides, image.channels], tf.float32, name="images")

    logits = bundle.card.logits_tensor
    each_alone = logits and activation_behind(parse_graph(bundle), logits) == "Sigmoid"
    of_classes = tf.sigmoid if each_alone else tf.nn.softmax

    @tf.function(input_signature=[images], autograph=False)
    def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
        values = served_values(bundle, images)
        if bundle.card.logits_tensor is None:
            return {"activations": values}
        if bundle.card.head_kind == "values":
            return {"values": values}
        return {"logits": values, "probabilities": of_classes(values)}

    return serve


def _lines(card: ModelCard) -> str:
    """Return the names of the classes, each on one line."""
    return "".join(re.sub(r"\s+", " ", name).strip() + "\n" for name in card.class_names)
