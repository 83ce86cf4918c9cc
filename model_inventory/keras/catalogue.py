"""The convolutional networks of keras.applications: what each takes, and which file holds its
weights.

Nothing here imports TensorFlow or Keras.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from diamond_cutter.model_inventory.card import ImageSpec, ModelSource
from diamond_cutter.model_inventory.errors import WeightsMissing
from diamond_cutter.model_inventory.weights import cache_folder, keras_folder

_IMPORTER = "keras.applications/1"
# What `preprocess_input` of a module does to values in 0..255.
Preprocessing = Literal["to -1..1", "by torchvision", "by caffe", "in the model"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class KerasApplication:
    """One network: the function that builds it, the side of its images in pixels, its
    preprocessing, its weights' file.
    """

    builder: str
    image_size: int
    preprocessing: Preprocessing
    file: str

    @property
    def image(self) -> ImageSpec:
        """Return the images that it takes."""
        return image_spec(self.preprocessing, self.image_size)

    @property
    def weights_file(self) -> Path | None:
        """Return the file that holds the weights, in our cache or in Keras', or None if neither has
        it.
        """
        return next(
            (file for file in (self.own_file, keras_folder() / self.file) if file.is_file()), None
        )

    @property
    def own_file(self) -> Path:
        """Return where weights lie that somebody put into our cache."""
        return cache_folder() / "keras" / self.file


def image_spec(preprocessing: Preprocessing, side: int) -> ImageSpec:
    """Return the images that a network takes whose images are prepared that way."""
    if preprocessing == "by caffe":
        ranges = tuple((-mean, 255.0 - mean) for mean in _CAFFE_MEAN_BGR)
        return ImageSpec(height=side, width=side, value_range=ranges, channel_order="bgr")
    if preprocessing == "by torchvision":
        ranges = tuple(
            ((0.0 - mean) / std, (1.0 - mean) / std) for mean, std in zip(_MEAN, _STD, strict=True)
        )
        return ImageSpec(height=side, width=side, value_range=ranges)
    return ImageSpec(
        height=side,
        width=side,
        value_range=((-1.0, 1.0) if preprocessing == "to -1..1" else (0.0, 255.0),),
    )


def keras_source(name: str) -> ModelSource:
    """Return where the weights of a network come from, as they are on this machine.

    Raises:
        WeightsMissing: they are not here.
    """
    application = KERAS_APPLICATIONS[name]
    file = application.weights_file
    if file is None:
        raise WeightsMissing(
            f"the weights of {name} are not on this machine; diamond-cutter models fetch {name} "
            "brings them"
        )
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return ModelSource(
        origin=f"keras.applications.{application.builder}, {file.name}",
        weights_sha256=digest,
        importer=_IMPORTER,
    )


def _listed() -> dict[str, KerasApplication]:
    kernels = "_weights_tf_dim_ordering_tf_kernels"
    rows: list[KerasApplication] = []

    def add(preprocessing: Preprocessing, size: int, file: str, *builders: str) -> None:
        rows.extend(
            KerasApplication(builder, size, preprocessing, file.format(name=builder.lower()))
            for builder in builders
        )

    for size in ("Tiny", "Small", "Base", "Large", "XLarge"):
        add("in the model", 224, f"convnext_{size.lower()}.h5", f"ConvNeXt{size}")
    add(
        "by torchvision",
        224,
        "{name}" + kernels + ".h5",
        "DenseNet121",
        "DenseNet169",
        "DenseNet201",
    )
    for number, side in enumerate((224, 240, 260, 300, 380, 456, 528, 600)):
        add("in the model", side, "{name}.h5", f"EfficientNetB{number}")
    for variant, side in {
        "B0": 224,
        "B1": 240,
        "B2": 260,
        "B3": 300,
        "S": 384,
        "M": 480,
        "L": 480,
    }.items():
        add(
            "in the model", side, f"efficientnetv2-{variant.lower()}.h5", f"EfficientNetV2{variant}"
        )
    add("to -1..1", 299, f"inception_resnet_v2{kernels}.h5", "InceptionResNetV2")
    add("to -1..1", 299, f"inception_v3{kernels}.h5", "InceptionV3")
    add("to -1..1", 224, "mobilenet_1_0_224_tf.h5", "MobileNet")
    add("to -1..1", 224, f"mobilenet_v2{kernels}_1.0_224.h5", "MobileNetV2")
    for size in ("Small", "Large"):
        add(
            "in the model",
            224,
            f"weights_mobilenet_v3_{size.lower()}_224_1.0_float.h5",
            f"MobileNetV3{size}",
        )
    add("to -1..1", 331, "nasnet_large.h5", "NASNetLarge")
    add("to -1..1", 224, "nasnet_mobile.h5", "NASNetMobile")
    add(
        "by caffe",
        224,
        "{name}" + kernels + ".h5",
        "ResNet50",
        "ResNet101",
        "ResNet152",
        "VGG16",
        "VGG19",
    )
    add("to -1..1", 224, "{name}" + kernels + ".h5", "ResNet50V2", "ResNet101V2", "ResNet152V2")
    add("to -1..1", 299, "{name}" + kernels + ".h5", "Xception")
    return {f"keras/{row.builder.lower()}": row for row in rows}


KERAS_APPLICATIONS: Mapping[str, KerasApplication] = _listed()
