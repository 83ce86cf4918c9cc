"""Networks of keras.applications as the tests build them: some with fewer of their equal blocks."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import keras
from keras.src.applications import (
    convnext,
    densenet,
    efficientnet,
    efficientnet_v2,
    inception_resnet_v2,
    nasnet,
)

from diamond_cutter.model_inventory.keras.applications import build


def inception_resnet(**options: Any) -> keras.Model:
    """Build InceptionResNet V2 with two of each block; Keras has no option for their number."""
    two = patch.object(inception_resnet_v2, "range", lambda *ends: range(*ends)[:2], create=True)
    with two:
        return inception_resnet_v2.InceptionResNetV2(**options)


# Each kind of block and each way between them is there, but not a dozen times. Without the others
# a network takes half of the time; networks of hundreds of layers are among those built whole.
WITH_FEWER_BLOCKS: dict[str, tuple[Callable[..., keras.Model], dict[str, Any]]] = {
    "keras/convnexttiny": (
        convnext.ConvNeXt,
        {"depths": [1, 1, 2, 1], "projection_dims": [96, 192, 384, 768]},
    ),
    "keras/densenet121": (densenet.DenseNet, {"blocks": [2, 3, 4, 3]}),
    "keras/efficientnetb0": (
        efficientnet.EfficientNet,
        {"width_coefficient": 1.0, "depth_coefficient": 0.5, "default_size": 224},
    ),
    "keras/efficientnetv2b0": (
        efficientnet_v2.EfficientNetV2,
        {
            "name": "efficientnetv2-b0",
            "width_coefficient": 1.0,
            "depth_coefficient": 0.5,
            "default_size": 224,
        },
    ),
    "keras/inceptionresnetv2": (inception_resnet, {}),
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
    """Build a network with the same initial weights each time, whole or with fewer blocks."""
    if name not in WITH_FEWER_BLOCKS:
        return build(name, image_size, classes)
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    builder, options = WITH_FEWER_BLOCKS[name]
    shape = (image_size, image_size, 3)
    return builder(weights=None, input_shape=shape, classes=classes, **options)
