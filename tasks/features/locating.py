"""Find where in an image a channel is most active."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.photos.reading import UnreadablePhoto, read_image

if TYPE_CHECKING:
    import tensorflow as tf

    from diamond_cutter.model_inventory.bundle import Bundle

# A layer, a channel of it, and the number of an image.
Place = tuple[str, int, int]


def highest_positions(
    bundle: "Bundle", wanted: Iterable[Place], images: Mapping[int, FoundImage]
) -> dict[Place, int]:
    """Return the position of the highest activation for each channel and image, row by row.

    Images that have become unreadable are left out.

    Args:
        bundle: of the model.
        wanted: channels with images.
        images: by number.
    """
    by_image: dict[int, list[Place]] = {}
    for place in wanted:
        by_image.setdefault(place[2], []).append(place)
    layers = sorted({layer for places in by_image.values() for layer, _, _ in places})
    if not layers:
        return {}
    positions = _position_function(bundle, layers)
    found: dict[Place, int] = {}
    for number, places in sorted(by_image.items()):
        try:
            pixels = read_image(images[number], bundle.card.image.shape)
        except UnreadablePhoto:  # it was readable before
            continue
        highest = dict(zip(layers, positions(pixels[np.newaxis]), strict=True))
        found |= {place: int(highest[place[0]][place[1]]) for place in places}
    return found


def _position_function(
    bundle: "Bundle", layers: Sequence[str]
) -> "Callable[[npt.NDArray[np.float32]], list[tf.Tensor]]":
    """Return a function from one image to the position of each channel's highest activation."""
    import tensorflow as tf

    from diamond_cutter.model_inventory.bundle import layer_graph, to_model_input
    from diamond_cutter.model_inventory.graph.graph_def import run_inside

    card, (graph, tensors) = bundle.card, layer_graph(bundle, layers)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, None])], autograph=False)
    def positions(pixels: tf.Tensor) -> list[tf.Tensor]:
        found = run_inside(graph, card.input_tensor, to_model_input(pixels, card), tensors)
        flat = [tf.reshape(layer, [-1, layer.shape[-1]]) for layer in found]
        return [tf.argmax(layer, axis=0) for layer in flat]

    return positions
