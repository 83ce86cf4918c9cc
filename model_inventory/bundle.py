"""A bundle: a frozen graph and its card, the one form in which the pipeline knows a model."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
from pydantic import ValidationError

from diamond_cutter.model_inventory.card import (
    ClassLabel,
    ImageSpec,
    LayerCard,
    ModelCard,
    ModelSource,
    NamedLayer,
)
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.allowed_operations import refuse_graph
from diamond_cutter.model_inventory.graph.batch_norm import fold_batch_norms
from diamond_cutter.model_inventory.graph.constant_folding import fold_constants
from diamond_cutter.model_inventory.graph.graph_def import (
    before_activation,
    freeze,
    node_name,
    nodes_with_bad_numbers,
    run_inside,
    subgraph,
    tensor_hashes,
)
from diamond_cutter.model_inventory.graph.layer_discovery import Structure
from diamond_cutter.model_inventory.graph.layer_measures import (
    Measured,
    macs,
    measure,
    receptive_fields,
)


@dataclass(frozen=True)
class Bundle:
    """A model: its card and the bytes of its frozen GraphDef."""

    card: ModelCard
    graph_bytes: bytes


def make_bundle(
    *,
    name: str,
    source: ModelSource,
    graph: tf.compat.v1.GraphDef,
    input_tensor: str,
    output_tensor: str,
    image: ImageSpec,
    labels: tuple[ClassLabel, ...] = (),
    layers: Sequence[NamedLayer] = (),
) -> Bundle:
    """Measure a graph's layers by running it and write its card.

    Args:
        name: what users call the model.
        source: where its weights come from.
        graph: constants and a placeholder for images, no variables.
        input_tensor: the placeholder.
        output_tensor: scores or probabilities of classes, or whatever the graph ends in.
        image: the images that it takes.
        labels: of its classes, if they are known.
        layers: in forward order; found in the graph if left out, as is whatever of one is left out.

    Raises:
        BadModel: a weight is not a finite number, the graph does not run on such images, it has no
            layer with rows and columns, or the labels are not as many as the classes.
    """
    structure = Structure(graph, input_tensor, output_tensor)
    named = list(layers) or structure.layers()
    frozen = freeze(graph, [input_tensor, output_tensor, *(layer.tensor for layer in named)])
    refuse_graph(frozen, name)
    bad = nodes_with_bad_numbers(frozen)
    if bad:
        raise BadModel(
            f"{name} has weights that are not finite numbers (first in {bad[0]}), so it cannot be "
            "rendered; import sound weights"
        )
    ending = structure.ending()
    measured = measure(
        frozen,
        input_tensor,
        image,
        [*(layer.tensor for layer in named), *(f"{node}:0" for node in reversed(ending))],
        name,
    )
    logits = structure.logits({node: len(measured.shapes[node]) + 1 for node in ending})
    named = _with_logits(named, logits, found=not layers)
    _check_labels(name, labels, logits, measured)
    spatial = {layer.name: len(measured.shape(layer.tensor)) == 3 for layer in named}
    if not any(spatial.values()):
        raise BadModel(
            f"{name} has no layer with rows and columns, so there is nothing to render; give a "
            "convolutional network"
        )
    hashes, fields = (
        tensor_hashes(frozen),
        receptive_fields(structure.forward_path(), structure.inputs, measured.shapes),
    )
    data = frozen.SerializeToString(deterministic=True)
    card = ModelCard(
        name=name,
        source=source,
        graph_sha256=hashlib.sha256(data).hexdigest(),
        input_tensor=input_tensor,
        image=image,
        logits_tensor=logits,
        labels=labels,
        layers=tuple(
            _layer_card(
                layer,
                measured,
                structure,
                fields.get(structure.value(layer)),
                hashes[node_name(layer.tensor)],
            )
            for layer in structure.described(named, spatial)
        ),
    )
    return Bundle(card, data)


def _with_logits(
    named: Sequence[NamedLayer], logits: str | None, *, found: bool
) -> list[NamedLayer]:
    """Return the layers with one named `logits` among them, if there are any logits.

    A layer that was found in the graph takes the name; beside one that has a name of the user's own
    there is another.
    """
    if logits is None or any(layer.name == "logits" for layer in named):
        return list(named)
    if found and any(layer.tensor == logits for layer in named):
        return [
            replace(layer, name="logits") if layer.tensor == logits else layer for layer in named
        ]
    return [*named, NamedLayer("logits", logits)]


def _check_labels(
    name: str, labels: Sequence[ClassLabel], logits: str | None, measured: Measured
) -> None:
    if not labels:
        return
    classes = measured.shape(logits)[-1] if logits else 0
    if len(labels) != classes:
        raise BadModel(
            f"there are {len(labels)} labels for the {classes} classes of {name}; give one for "
            "each class, in their order"
        )


def load_bundle(card_json: bytes, graph_bytes: bytes) -> Bundle:
    """Put a stored card and graph together again.

    Raises:
        BadModel: the card cannot be read, or the graph is not the one it describes.
    """
    try:
        card = ModelCard.model_validate_json(card_json)
    except ValidationError as error:
        raise BadModel(f"a model card cannot be read ({error.error_count()} errors)") from error
    if hashlib.sha256(graph_bytes).hexdigest() != card.graph_sha256:
        raise BadModel(f"the graph of {card.key} is not the one its card describes")
    bundle = Bundle(card, graph_bytes)
    # Whoever can write into the bucket can write a graph and a card with its hash.
    refuse_graph(parse_graph(bundle), f"the graph of {card.key} in the bucket")
    return bundle


def layer_graph(
    bundle: Bundle, layers: Sequence[str], *, pre_activation: bool = False
) -> tuple[tf.compat.v1.GraphDef, list[str]]:
    """Return the part of the graph that produces some layers' activations, and the tensors that
    hold them.

    Constants are folded, and BatchNorm into the convolutions.

    Args:
        bundle: the model.
        layers: names of its layers.
        pre_activation: take what goes into a layer's activation function, where it has one.

    Raises:
        UnknownLayer: names the nearest layers.
    """
    graph = parse_graph(bundle)
    tensors = [bundle.card.layer(layer).tensor for layer in layers]
    if pre_activation:
        tensors = [before_activation(graph, tensor) for tensor in tensors]
    return fold_batch_norms(fold_constants(subgraph(graph, tensors)), keep=tensors), tensors


def parse_graph(bundle: Bundle) -> tf.compat.v1.GraphDef:
    """Return the bundle's graph as it was frozen, with nothing folded.

    Raises:
        BadModel: the bytes are no graph.
    """
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(bundle.graph_bytes)
    except Exception as error:  # protobuf's own, whose package is Google's
        raise BadModel(f"the graph of {bundle.card.key} cannot be read") from error
    # None of these is in a bundle that was made here, and each could have TensorFlow do more than
    # compute the nodes.
    graph.ClearField("library")
    for node in graph.node:
        node.device = ""
        for private in [name for name in node.attr if name.startswith("_")]:
            del node.attr[private]
    return graph


def to_model_input(images: tf.Tensor, card: ModelCard) -> tf.Tensor:
    """Map images `[batch, height, width, channel]` from values in [0, 1], RGB if they have colours,
    to what the graph expects.
    """
    low, high = np.transpose(np.array(card.image.value_range, np.float32))
    ordered = images[..., ::-1] if card.image.channel_order == "bgr" else images
    return ordered * (high - low) + low


def activation_function(bundle: Bundle, layer: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function from images to a layer's activations, truncated at the layer.

    The function takes float32 `[batch, height, width, channel]` with values in [0, 1] and returns
    float32 `[batch, height', width', channels]`, or `[batch, channels]` for a vector layer.

    Raises:
        UnknownLayer: names the nearest layers.
    """
    card, (graph, tensors) = bundle.card, layer_graph(bundle, [layer])

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, None], tf.float32)], autograph=False
    )
    def activations(images: tf.Tensor) -> tf.Tensor:
        return run_inside(graph, card.input_tensor, to_model_input(images, card), tensors)[0]

    return activations


def _layer_card(
    layer: NamedLayer, measured: Measured, structure: Structure, field_px: int | None, sha256: str
) -> LayerCard:
    shape = measured.shape(layer.tensor)
    height, width = (shape[0], shape[1]) if len(shape) == 3 else (None, None)
    return LayerCard(
        name=layer.name,
        tensor=layer.tensor,
        kind=layer.kind or "other",
        main=bool(layer.main),
        channels=shape[-1],
        height=height,
        width=width,
        any_size=layer.tensor in measured.of_any_size,
        receptive_field=field_px if height else None,
        macs=macs(structure.forward_path(layer.tensor), measured.shapes),
        sha256=sha256,
    )
