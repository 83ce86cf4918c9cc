"""How high photos drive the channels of some layers, all layers in one pass."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, layer_graph, to_model_input
from diamond_cutter.model_inventory.graph.graph_def import run_inside

_BATCH_SIZE = 16


def highest_activations(
    bundle: Bundle,
    layers: Sequence[str],
    photos: Iterable[np.ndarray],
    *,
    pre_activation: bool = False,
) -> list[np.ndarray]:
    """Return each channel's highest activation over all positions and photos, for each layer
    float32 `[channel]`.

    Args:
        bundle: the model.
        layers: names of its layers.
        photos: one or more, float32 `[height, width, channel]` of the model's image size with
            values in [0, 1]; a few are held at a time.
        pre_activation: measure what goes into a layer's activation function, where it has one.

    Raises:
        UnknownLayer: names the nearest layers.
    """
    card, (graph, tensors) = bundle.card, layer_graph(bundle, layers, pre_activation=pre_activation)

    @tf.function(input_signature=[tf.TensorSpec([_BATCH_SIZE, *card.image.shape])], autograph=False)
    def highest_of(images: tf.Tensor) -> list[tf.Tensor]:
        activations = run_inside(graph, card.input_tensor, to_model_input(images, card), tensors)
        return [
            tf.reduce_max(values, axis=list(range(values.shape.rank - 1))) for values in activations
        ]

    highest = [np.full(card.layer(layer).channels, -np.inf, np.float32) for layer in layers]
    for batch in _batches(photos):
        highest = [
            np.maximum(so_far, found.numpy())
            for so_far, found in zip(highest, highest_of(batch), strict=True)
        ]
    return highest


def _batches(photos: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield batches of one size, the last one filled up with its last photo, float32 `[batch,
    height, width, channel]`.
    """
    batch: list[np.ndarray] = []
    for photo in photos:
        batch.append(photo)
        if len(batch) == _BATCH_SIZE:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch + batch[-1:] * (_BATCH_SIZE - len(batch)))
