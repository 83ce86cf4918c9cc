"""The convolutional networks of keras.applications: their images and the files of their weights.

Nothing here imports TensorFlow or Keras.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from diamond_cutter.model_inventory.card import ImageSpec, ModelSource
from diamond_cutter.model_inventory.errors import WeightsMissing
from diamond_cutter.model_inventory.preprocessing import SCALINGS, Preprocessing, image_of
from diamond_cutter.model_inventory.weights import cache_folder, keras_folder

_IMPORTER = "keras.applications/1"
# The effect of `preprocess_input` of a module on values in 0..255.
KerasPreprocessing = Literal["to -1..1", "by torchvision", "by caffe", "in the model"]

_NAMES: Mapping[KerasPreprocessing, Preprocessing] = {
    "to -1..1": "tf",
    "by torchvision": "torch",
    "by caffe": "caffe",
    "in the model": "none",
}


@dataclass(frozen=True)
class KerasApplication:
    """One network.

    Attributes:
        builder: the name of the function that builds it.
        image_size: the side of its images in pixels.
        preprocessing: of its images.
        file: the name of the file of its weights.
    """

    builder: str
    image_size: int
    preprocessing: KerasPreprocessing
    file: str

    @property
    def image(self) -> ImageSpec:
        """Return the format of its images."""
        return image_spec(self.preprocessing, self.image_size)

    @property
    def weights_file(self) -> Path | None:
        """Return the file of the weights in our or Keras' cache, or None."""
        return next(
            (file for file in (self.own_file, keras_folder() / self.file) if file.is_file()), None
        )

    @property
    def own_file(self) -> Path:
        """Return the path of the weights in our cache."""
        return cache_folder() / "keras" / self.file


def image_spec(preprocessing: KerasPreprocessing, side: int) -> ImageSpec:
    """Return the format of images with a preprocessing."""
    return image_of(SCALINGS[_NAMES[preprocessing]], side, side, 3)


def keras_source(name: str) -> ModelSource:
    """Return the source of the weights of a network on this machine.

    Raises:
        WeightsMissing: the weights are not on this machine.
    """
    application = KERAS_APPLICATIONS[name]
    file = application.weights_file
    if file is None:
        raise WeightsMissing(
            f"the weights of {name} are not on this machine. Run `diamond-cutter models fetch "
            f"{name}` to download them."
        )
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return ModelSource(
        origin=f"keras.applications.{application.builder}, {file.name}",
        weights_sha256=digest,
        importer=_IMPORTER,
    )


_KERNELS = "_weights_tf_dim_ordering_tf_kernels"
_LISTED = (
    KerasApplication("ConvNeXtTiny", 224, "in the model", "convnext_tiny.h5"),
    KerasApplication("ConvNeXtSmall", 224, "in the model", "convnext_small.h5"),
    KerasApplication("ConvNeXtBase", 224, "in the model", "convnext_base.h5"),
    KerasApplication("ConvNeXtLarge", 224, "in the model", "convnext_large.h5"),
    KerasApplication("ConvNeXtXLarge", 224, "in the model", "convnext_xlarge.h5"),
    KerasApplication("DenseNet121", 224, "by torchvision", f"densenet121{_KERNELS}.h5"),
    KerasApplication("DenseNet169", 224, "by torchvision", f"densenet169{_KERNELS}.h5"),
    KerasApplication("DenseNet201", 224, "by torchvision", f"densenet201{_KERNELS}.h5"),
    KerasApplication("EfficientNetB0", 224, "in the model", "efficientnetb0.h5"),
    KerasApplication("EfficientNetB1", 240, "in the model", "efficientnetb1.h5"),
    KerasApplication("EfficientNetB2", 260, "in the model", "efficientnetb2.h5"),
    KerasApplication("EfficientNetB3", 300, "in the model", "efficientnetb3.h5"),
    KerasApplication("EfficientNetB4", 380, "in the model", "efficientnetb4.h5"),
    KerasApplication("EfficientNetB5", 456, "in the model", "efficientnetb5.h5"),
    KerasApplication("EfficientNetB6", 528, "in the model", "efficientnetb6.h5"),
    KerasApplication("EfficientNetB7", 600, "in the model", "efficientnetb7.h5"),
    KerasApplication("EfficientNetV2B0", 224, "in the model", "efficientnetv2-b0.h5"),
    KerasApplication("EfficientNetV2B1", 240, "in the model", "efficientnetv2-b1.h5"),
    KerasApplication("EfficientNetV2B2", 260, "in the model", "efficientnetv2-b2.h5"),
    KerasApplication("EfficientNetV2B3", 300, "in the model", "efficientnetv2-b3.h5"),
    KerasApplication("EfficientNetV2S", 384, "in the model", "efficientnetv2-s.h5"),
    KerasApplication("EfficientNetV2M", 480, "in the model", "efficientnetv2-m.h5"),
    KerasApplication("EfficientNetV2L", 480, "in the model", "efficientnetv2-l.h5"),
    KerasApplication("InceptionResNetV2", 299, "to -1..1", f"inception_resnet_v2{_KERNELS}.h5"),
    KerasApplication("InceptionV3", 299, "to -1..1", f"inception_v3{_KERNELS}.h5"),
    KerasApplication("MobileNet", 224, "to -1..1", "mobilenet_1_0_224_tf.h5"),
    KerasApplication("MobileNetV2", 224, "to -1..1", f"mobilenet_v2{_KERNELS}_1.0_224.h5"),
    KerasApplication(
        "MobileNetV3Small", 224, "in the model", "weights_mobilenet_v3_small_224_1.0_float.h5"
    ),
    KerasApplication(
        "MobileNetV3Large", 224, "in the model", "weights_mobilenet_v3_large_224_1.0_float.h5"
    ),
    KerasApplication("NASNetLarge", 331, "to -1..1", "nasnet_large.h5"),
    KerasApplication("NASNetMobile", 224, "to -1..1", "nasnet_mobile.h5"),
    KerasApplication("ResNet50", 224, "by caffe", f"resnet50{_KERNELS}.h5"),
    KerasApplication("ResNet101", 224, "by caffe", f"resnet101{_KERNELS}.h5"),
    KerasApplication("ResNet152", 224, "by caffe", f"resnet152{_KERNELS}.h5"),
    KerasApplication("VGG16", 224, "by caffe", f"vgg16{_KERNELS}.h5"),
    KerasApplication("VGG19", 224, "by caffe", f"vgg19{_KERNELS}.h5"),
    KerasApplication("ResNet50V2", 224, "to -1..1", f"resnet50v2{_KERNELS}.h5"),
    KerasApplication("ResNet101V2", 224, "to -1..1", f"resnet101v2{_KERNELS}.h5"),
    KerasApplication("ResNet152V2", 224, "to -1..1", f"resnet152v2{_KERNELS}.h5"),
    KerasApplication("Xception", 299, "to -1..1", f"xception{_KERNELS}.h5"),
)
KERAS_APPLICATIONS: Mapping[str, KerasApplication] = {
    f"keras/{row.builder.lower()}": row for row in _LISTED
}
