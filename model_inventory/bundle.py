"""A bundle: a frozen graph and its card, the form of every model in the pipeline."""

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
    LayerKind,
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
from diamond_cutter.model_inventory.graph.logit_nodes import LogitTensors
from diamond_cutter.model_inventory.heads import Head
from diamond_cutter.model_inventory.imagenet_accuracy import published_accuracy
from diamond_cutter.model_inventory.layer_names import short_name


@dataclass(frozen=True)
class Bundle:
    """A model: its card and the serialised bytes of its frozen GraphDef."""

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
    logits: LogitTensors | None = None,
    head: Head | None = None,
) -> Bundle:
    """Measure the layers of a graph by running it, and return the bundle.

    Args:
        name: of the model.
        source: of its weights.
        graph: constants and a placeholder for images, no variables.
        input_tensor: the placeholder.
        output_tensor: scores or probabilities of classes, or another end of the graph.
        image: the format of its images.
        labels: of its classes, if known.
        layers: in forward order. Missing layers and fields are derived from the graph. Names that
            are too long for files are shortened.
        logits: those that are not the output without its softmax; derived from the graph if
            omitted.
        head: how the logits are read, unless they are plain scores of classes.

    Raises:
        BadModel: a weight is not finite, the graph does not run on such images, it has no layer
            with rows and columns, or the number of labels differs from that of the classes.
    """
    structure = Structure(graph, input_tensor, output_tensor)
    named = list(layers) or structure.layers()
    tensors = [layer.tensor for layer in named]
    frozen = _frozen(name, graph, [input_tensor, output_tensor, *tensors, *(logits or ())])
    tensors += [logits.logits] if logits else []
    measured, found = _measured(name, frozen, input_tensor, image, tensors, structure)
    logits_tensor = logits.logits if logits else found
    kind = Structure(graph, input_tensor, logits.logits).kind(logits.logits) if logits else None
    named = [
        replace(layer, name=short_name(layer.name))
        for layer in _with_logits(named, logits_tensor, kind, found=not layers)
    ]
    _check_labels(name, labels, logits_tensor, measured)
    data = frozen.SerializeToString(deterministic=True)
    card = ModelCard(
        name=name,
        source=source,
        graph_sha256=hashlib.sha256(data).hexdigest(),
        input_tensor=input_tensor,
        image=image,
        logits_tensor=logits_tensor,
        labels=labels,
        layers=_layer_cards(name, frozen, named, structure, measured),
        imagenet=published_accuracy(name),
        head=head,
    )
    return Bundle(card, data)


def _frozen(
    name: str, graph: tf.compat.v1.GraphDef, tensors: Sequence[str]
) -> tf.compat.v1.GraphDef:
    """Return the part of the graph that produces the tensors, after checking it."""
    frozen = freeze(graph, tensors)
    refuse_graph(frozen, name)
    bad = nodes_with_bad_numbers(frozen)
    if bad:
        raise BadModel(
            f"{name} has weights that are not finite numbers (first in {bad[0]}), so it cannot be "
            "rendered. Import valid weights."
        )
    return frozen


def _measured(
    name: str,
    frozen: tf.compat.v1.GraphDef,
    input_tensor: str,
    image: ImageSpec,
    tensors: Sequence[str],
    structure: Structure,
) -> tuple[Measured, str | None]:
    """Return the measurements of the tensors and of the ending, and the tensor of the logits."""
    ending = structure.ending()
    measured = measure(
        frozen, input_tensor, image, [*tensors, *(f"{node}:0" for node in reversed(ending))], name
    )
    return measured, structure.logits({node: len(measured.shapes[node]) + 1 for node in ending})


def _with_logits(
    named: Sequence[NamedLayer], logits: str | None, kind: LayerKind | None, *, found: bool
) -> list[NamedLayer]:
    """Return the layers, one of which is that of the logits if the model has logits.

    A layer that was found in the graph is renamed to `logits`. A layer that the importer named is
    kept, and `logits` is added. If another layer has that name, such as the convolution before the
    logits, the added one is `class_logits`.
    """
    names = {layer.name for layer in named}
    known = any(layer.tensor == logits for layer in named)
    if logits is None or ("logits" in names and known):
        return list(named)
    if found and known:
        return [
            replace(layer, name="logits") if layer.tensor == logits else layer for layer in named
        ]
    free = (
        "logits",
        "class_logits",
        *(f"class_logits_{number}" for number in range(2, len(names) + 3)),
    )
    return [*named, NamedLayer(next(name for name in free if name not in names), logits, kind)]


def _check_labels(
    name: str, labels: Sequence[ClassLabel], logits: str | None, measured: Measured
) -> None:
    if not labels:
        return
    classes = measured.shape(logits)[-1] if logits else 0
    if len(labels) != classes:
        raise BadModel(
            f"the labels do not fit {name}: expected {classes}, one for each class, found "
            f"{len(labels)}"
        )


def load_bundle(card_json: bytes, graph_bytes: bytes) -> Bundle:
    """Return the bundle of a stored card and graph.

    Raises:
        BadModel: the card is not valid, or the graph is not the one that it describes.
    """
    try:
        card = ModelCard.model_validate_json(card_json)
    except ValidationError as error:
        raise BadModel(f"the model card is not valid ({error.error_count()} errors)") from error
    if hashlib.sha256(graph_bytes).hexdigest() != card.graph_sha256:
        raise BadModel(f"the graph of {card.key} differs from its card")
    bundle = Bundle(card, graph_bytes)
    # Anybody who can write to the bucket can write a graph and a card with its hash.
    refuse_graph(parse_graph(bundle), f"the graph of {card.key} in the bucket")
    return bundle


def layer_graph(
    bundle: Bundle, layers: Sequence[str], *, pre_activation: bool = False
) -> tuple[tf.compat.v1.GraphDef, list[str]]:
    """Return the part of the graph that produces the activations of layers, and their tensors.

    Constants are folded, and BatchNorm is folded into the convolutions.

    Args:
        bundle: of the model.
        layers: names of layers.
        pre_activation: take the input of the activation function of a layer, if it has one.

    Raises:
        UnknownLayer: a layer does not exist; the text suggests similar names.
    """
    graph = parse_graph(bundle)
    tensors = [bundle.card.layer(layer).tensor for layer in layers]
    if pre_activation:
        tensors = [before_activation(graph, tensor) for tensor in tensors]
    return fold_batch_norms(fold_constants(subgraph(graph, tensors)), keep=tensors), tensors


def parse_graph(bundle: Bundle) -> tf.compat.v1.GraphDef:
    """Return the graph of the bundle as it was frozen, with nothing folded.

    Raises:
        BadModel: the bytes are not a graph.
    """
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(bundle.graph_bytes)
    except Exception as error:  # protobuf's own, whose package is Google's
        raise BadModel(f"the graph of {bundle.card.key} cannot be read") from error
    # Our bundles have none of these, and each could make TensorFlow do more than compute the nodes.
    graph.ClearField("library")
    for node in graph.node:
        node.device = ""
        for private in [name for name in node.attr if name.startswith("_")]:
            del node.attr[private]
    return graph


def to_model_input(images: tf.Tensor, card: ModelCard) -> tf.Tensor:
    """Convert RGB or other images `[batch, height, width, channel]` in [0, 1] for the graph."""
    low, high = np.transpose(np.array(card.image.value_range, np.float32))
    ordered = images[..., ::-1] if card.image.channel_order == "bgr" else images
    return ordered * (high - low) + low


def activation_function(bundle: Bundle, layer: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function from images to the activations of a layer.

    The function takes float32 `[batch, height, width, channel]` with values in [0, 1] and returns
    float32 `[batch, height', width', channels]`, or `[batch, channels]` for a vector layer.

    Raises:
        UnknownLayer: the layer does not exist; the text suggests similar names.
    """
    card, (graph, tensors) = bundle.card, layer_graph(bundle, [layer])

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, None], tf.float32)], autograph=False
    )
    def activations(images: tf.Tensor) -> tf.Tensor:
        return run_inside(graph, card.input_tensor, to_model_input(images, card), tensors)[0]

    return activations


def _layer_cards(
    name: str,
    frozen: tf.compat.v1.GraphDef,
    named: Sequence[NamedLayer],
    structure: Structure,
    measured: Measured,
) -> tuple[LayerCard, ...]:
    spatial = {layer.name: len(measured.shape(layer.tensor)) == 3 for layer in named}
    if not any(spatial.values()):
        raise BadModel(
            f"{name} has no layer with rows and columns, so it cannot be rendered. Give a "
            "convolutional network."
        )
    hashes = tensor_hashes(frozen)
    fields = receptive_fields(structure.forward_path(), structure.inputs, measured.shapes)
    return tuple(
        _layer_card(
            layer,
            measured,
            structure,
            fields.get(structure.value(layer)),
            hashes[node_name(layer.tensor)],
        )
        for layer in structure.described(named, spatial)
    )


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
