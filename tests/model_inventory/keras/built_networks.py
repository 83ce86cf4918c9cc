"""Networks of keras.applications as the tests build them: some with fewer of their equal blocks."""

from collections.abc import Callable
from typing import Any

import keras
from keras.src.applications import convnext, densenet, nasnet

from diamond_cutter.model_inventory.keras.applications import build

# Each kind of block and each way between them is there, but not a dozen times. Without the others
# a network takes half of the time; networks of hundreds of layers are among those built whole.
WITH_FEWER_BLOCKS: dict[str, tuple[Callable[..., keras.Model], dict[str, Any]]] = {
    "keras/convnexttiny": (
        convnext.ConvNeXt,
        {"depths": [1, 1, 2, 1], "projection_dims": [96, 192, 384, 768]},
    ),
    "keras/densenet121": (densenet.DenseNet, {"blocks": [2, 3, 4, 3]}),
    "keras/nasnetmobile": (
        nasnet.NASNet,
        {
            "penultimate_filters": 1056,
            "num_blocks": 1,
            "stem_block_filters": 32,
            "skip_reduction": False,
        },
    ),
}


def built(name: str, image_size: int, classes: int = 1000) -> keras.Model:
    """Build a network with the same initial weights each time, at once or with fewer blocks."""
    if name not in WITH_FEWER_BLOCKS:
        return build(name, image_size, classes)
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    builder, options = WITH_FEWER_BLOCKS[name]
    shape = (image_size, image_size, 3)
    return builder(weights=None, input_shape=shape, classes=classes, **options)
