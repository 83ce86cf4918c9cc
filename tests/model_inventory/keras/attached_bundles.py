"""Bundles of Keras models, and bundles with new layers whose weights are drawn, not trained."""

from collections.abc import Sequence

import keras
import numpy as np

from diamond_cutter.model_inventory.attached import Attached, layer_names
from diamond_cutter.model_inventory.bundle import Bundle, make_bundle, parse_graph
from diamond_cutter.model_inventory.card import ClassLabel, ImageSpec, NamedLayer
from diamond_cutter.model_inventory.graph.graph_def import constant_value, node_name, subgraph
from diamond_cutter.model_inventory.graph.new_layers import attach_layers, initial_weights
from diamond_cutter.model_inventory.graph.unfreezing import with_weights
from diamond_cutter.model_inventory.keras.tracing import trace
from tests.built_bundle import SOURCE

CLASSES = ("cat", "dog", "hen")


def bundle_of_keras(model: keras.Model, image: ImageSpec) -> Bundle:
    traced = trace(model)
    return make_bundle(
        name="source",
        source=SOURCE,
        graph=traced.graph,
        input_tensor=traced.input_tensor,
        output_tensor=traced.output_tensor,
        image=image,
        layers=traced.layers,
    )


def with_new_layers(
    source: Bundle,
    at: Sequence[str],
    convolutions: Sequence[int] = (),
    *,
    scope: str = "attached",
    name: str = "new",
) -> Bundle:
    """Attach new layers to a bundle, and change its own kernels, as after fine-tuning."""
    card, graph = source.card, parse_graph(source)
    attached = Attached(model=card.key, at=tuple(at), convolutions=tuple(convolutions), scope=scope)
    tensors, channels = (
        [getattr(card.layer(each), field) for each in at] for field in ("tensor", "channels")
    )
    stream = np.random.default_rng(1)
    weights = initial_weights(attached, channels, len(CLASSES), seed=1)
    for key in [key for key in weights if not key.endswith("kernel") or "head" in key]:
        weights[key] = stream.uniform(0.3, 1.5, weights[key].shape).astype(np.float32)
    kernels = [node for node in graph.node if node.op == "Const" and node.name.endswith("kernel")]
    tuned = with_weights(graph, {node.name: constant_value(node) * 1.1 for node in kernels})
    inside = {node.name for node in subgraph(graph, tensors).node}
    kept = [layer for layer in card.layers if node_name(layer.tensor) in inside]
    names = layer_names(len(convolutions), [layer.name for layer in kept])
    bundle = make_bundle(
        name=name,
        source=SOURCE,
        graph=attach_layers(tuned, tensors, attached, channels, weights),
        input_tensor=card.input_tensor,
        output_tensor=attached.logits_tensor,
        image=card.image,
        labels=tuple(ClassLabel(name=each) for each in CLASSES),
        layers=[
            *(NamedLayer(layer.name, layer.tensor) for layer in kept),
            *map(NamedLayer, names, attached.convolution_tensors),
            NamedLayer("logits", attached.logits_tensor),
        ],
    )
    return Bundle(bundle.card.model_copy(update={"attached": attached}), bundle.graph_bytes)
