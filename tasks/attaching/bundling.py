"""Make a bundle of a cut network with trained new layers."""

import hashlib

from diamond_cutter.model_inventory.attached import Attached, free_scope, layer_names
from diamond_cutter.model_inventory.bundle import Bundle, make_bundle, parse_graph
from diamond_cutter.model_inventory.card import ClassLabel, ModelSource, NamedLayer
from diamond_cutter.model_inventory.graph.graph_def import node_name, subgraph
from diamond_cutter.model_inventory.graph.new_layers import attach_layers, folded
from diamond_cutter.model_inventory.graph.unfreezing import with_weights
from diamond_cutter.storage import Bucket
from diamond_cutter.tasks.attaching.checkpoints import Arrays, AttachedRecord, read_weights
from diamond_cutter.tasks.attaching.network import is_new
from diamond_cutter.tasks.attaching.spec import AttachSpec

_IMPORTER = "attach/1"


def attached_to(bundle: Bundle, spec: AttachSpec, training: str) -> Attached:
    """Return the description of new layers on a network; `training` is the training's folder."""
    return Attached(
        model=bundle.card.key,
        at=spec.at,
        convolutions=spec.convolutions,
        scope=free_scope([node.name for node in parse_graph(bundle).node]),
        training=training,
    )


def attached_bundle(
    bucket: Bucket, folder: str, record: AttachedRecord, source: Bundle, name: str, spec: AttachSpec
) -> Bundle:
    """Return the bundle of a trained network.

    Its layers up to the cut have the names and tensors of the source. Those without a trained
    weight have its hashes, too, so their sprites are the source's.

    Args:
        bucket: of the training.
        folder: of the training.
        record: of the training.
        source: the network that was cut.
        name: of the new model.
        spec: of the training.
    """
    card, attached = source.card, attached_to(source, spec, folder)
    weights = folded(attached, read_weights(bucket, record))
    tensors = [card.layer(layer).tensor for layer in attached.at]
    inside = {key: value for key, value in weights.items() if not is_new(key, attached)}
    graph = attach_layers(
        with_weights(parse_graph(source), inside),
        tensors,
        attached,
        [card.layer(layer).channels for layer in attached.at],
        {key: value for key, value in weights.items() if is_new(key, attached)},
    )
    bundle = make_bundle(
        name=name,
        source=ModelSource(
            origin=f"{card.name}, cut at {', '.join(attached.at)}, trained on {record.dataset}",
            weights_sha256=_sha256_of(weights),
            importer=_IMPORTER,
        ),
        graph=graph,
        input_tensor=card.input_tensor,
        output_tensor=attached.logits_tensor,
        image=card.image,
        labels=tuple(ClassLabel(name=each) for each in record.classes),
        layers=_layers(source, tensors, attached),
    )
    return Bundle(bundle.card.model_copy(update={"attached": attached}), bundle.graph_bytes)


def _sha256_of(weights: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].tobytes())
    return digest.hexdigest()


def _layers(source: Bundle, tensors: list[str], attached: Attached) -> list[NamedLayer]:
    """Return the layers of the source up to the cut, and the new ones."""
    inside = {node.name for node in subgraph(parse_graph(source), tensors).node}
    kept = [layer for layer in source.card.layers if node_name(layer.tensor) in inside]
    names = layer_names(len(attached.convolutions), [layer.name for layer in kept])
    added = zip(names, attached.convolution_tensors, strict=True)
    logits = source.card.logits
    return [
        *(NamedLayer(each.name, each.tensor, each.kind, each.main) for each in kept),
        *(NamedLayer(name, tensor, "convolution", True) for name, tensor in added),
        NamedLayer("logits", attached.logits_tensor, "dense", logits is None or logits.main),
    ]
