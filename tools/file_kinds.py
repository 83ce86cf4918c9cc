"""The kinds of model files that `tools.tried_files` makes and imports."""

import dataclasses
import functools
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from diamond_cutter.model_inventory.user_models import ImportOptions
from tests.model_inventory.graph.test_precision import network
from tests.model_inventory.keras import keras_2_files
from tests.model_inventory.keras.test_hub import small_classifier
from tests.model_inventory.tensorflow import test_saved_model as saved_models
from tests.model_inventory.test_user_models import saved, small_model
from tests.users_models import nested_model, slim_graph
from tools.file_makers import (
    ENDINGS,
    PIXELS,
    UNSCALED,
    MadeFile,
    export,
    frozen_graph,
    keras_maker,
    noise,
    output_of,
    save_as,
    save_as_folder,
    saved_by_tensorflow,
)
from tools.onnx_makers import (
    classifier_maker,
    float16_classifier,
    naming_classifier,
    onnx_maker,
    split_classifier,
    whole_number_images,
)

Make = Callable[[Path], MadeFile]
TORCH, TF2ONNX = "onnx, as PyTorch", "onnx, as tf2onnx"
# Averages of features, which are scores only if the user says so.
BY_HEAD = "averages, by `--head`"


@dataclass(frozen=True)
class FileKind:
    """A kind of model file, and the function that makes one in an empty folder.

    special: a property that other files of this format and writer do not have.
    """

    file: str
    writer: str
    head: str
    make: Make
    special: str = ""


def headed_kinds() -> list[FileKind]:
    """Return each format and writer with each head."""
    return [
        FileKind(file, writer, head, functools.partial(make, head=head))
        for file, writer, make in (
            ("`.keras`", "Keras 3", keras_maker(keras, save_as("model.keras"))),
            ("`.h5`", "Keras 3", keras_maker(keras, save_as("model.h5"))),
            ("SavedModel", "Keras 3", keras_maker(keras, export)),
            ("`.keras`", "tf-keras", keras_maker(tf_keras, save_as("model.keras"))),
            ("`.h5`", "tf-keras", keras_maker(tf_keras, save_as("model.h5"))),
            ("SavedModel", "tf-keras", keras_maker(tf_keras, save_as_folder)),
            (
                "SavedModel",
                "tf-keras, compiled",
                keras_maker(tf_keras, save_as_folder, compiled=True),
            ),
            ("SavedModel", "TensorFlow 2", saved_by_tensorflow),
            ("`.pb`", "TensorFlow", frozen_graph),
            ("`.onnx`, NCHW", TORCH, onnx_maker(channels_last=False)),
            ("`.onnx`, NHWC", TF2ONNX, onnx_maker(channels_last=True)),
        )
        for head in ENDINGS
    ]


def special_kinds() -> list[FileKind]:
    """Return kinds with a property of their own, all classifiers."""
    slashes, nested = "slashes in names, arithmetic", "models in a model, augmentation"
    rows: list[tuple[str, str, str, str, Make]] = [
        ("`.h5`", "tf-keras", slashes, "softmax", _keras_2("slashes.h5")),
        ("`.keras`", "tf-keras", slashes, "softmax", _keras_2("slashes.keras")),
        ("`.h5`", "tf-keras", nested, "softmax", _keras_2("nested.h5")),
        ("`.keras`", "tf-keras", nested, "softmax", _keras_2("nested.keras")),
        ("SavedModel", "tf-keras, compiled", nested, "softmax", _keras_2("compiled")),
        ("`.h5`", "tf-keras", "float16 (mixed precision)", "softmax", _mixed_precision),
        ("`.keras`", "Keras 3", "a MobileNetV2 in a model", "softmax", _transferred),
        ("`.keras`", "Keras 3", "grey images", "softmax", _of_channels(1)),
        ("`.keras`", "Keras 3", "images of five channels", "softmax", _of_channels(5)),
        ("`.keras`", "Keras 3", "images of any size", "softmax", _of_any_size),
        ("`.keras`", "Keras 3", "float16", "logits", _narrow("float16", save_as("model.keras"))),
        ("SavedModel", "Keras 3", "bfloat16", "logits", _narrow("bfloat16", export)),
        ("SavedModel", "Keras 3", "a subclassed model", "softmax", _subclassed),
        ("`.keras`", "KerasHub", "an image classifier", "logits", _hub),
        ("SavedModel", "TensorFlow 1", "`simple_save`", BY_HEAD, _saved_by_tensorflow_1),
        ("SavedModel", "TensorFlow 2", "images of whole numbers", BY_HEAD, _of_whole_numbers),
        ("SavedModel", "TensorFlow 2", "two signatures", BY_HEAD, _of_two_signatures),
        ("SavedModel", "TensorFlow 2", "in a folder of versions", "softmax", _in_versions),
        ("SavedModel", "TensorFlow 2", "in a zip archive", "softmax", _zipped_folder),
        ("`.h5`", "tf-keras", "in a zip archive, as of Teachable Machine", "softmax", _zipped_file),
        ("`.pb`", "TensorFlow 1", "TF-Slim", "softmax", _slim),
        ("`.onnx`", TORCH, "BatchNorm, groups, opset 18", "logits", classifier_maker()),
        ("`.onnx`", TORCH, "a batch of 1, opset 13", "logits", classifier_maker(13, 1)),
        ("`.onnx`", TORCH, "float16", "logits", float16_classifier),
        ("`.onnx`", TORCH, "weights in a second file", "logits", split_classifier),
        ("`.onnx`", TORCH, "returns the name of the class", "logits", naming_classifier),
        ("`.onnx`", TF2ONNX, "images of whole numbers", "logits", whole_number_images),
    ]
    return [
        FileKind(file, writer, head, make, special) for file, writer, special, head, make in rows
    ]


@functools.cache
def _all_of_keras_2(folder: Path) -> dict[str, Any]:
    folder.mkdir()
    return keras_2_files.save_all(folder)


def _keras_2(name: str) -> Make:
    def make(folder: Path) -> MadeFile:
        files = folder.parent / "keras_2"
        outputs, values = _all_of_keras_2(files), keras_2_files.images()
        output = outputs[name.partition(".")[0]]
        return MadeFile(files / name, values / np.float32(255), output, "softmax", PIXELS)

    return make


def _mixed_precision(folder: Path) -> MadeFile:
    tf_keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        return keras_maker(tf_keras, save_as("model.h5"))(folder, "softmax")
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")


def _keras_3(model: Any, path: Path, options: ImportOptions = PIXELS) -> MadeFile:
    """Return the file of a Keras model of 0 to 255 that ends in a softmax."""
    images = noise(1, *(side or 24 for side in model.input_shape[1:3]), model.input_shape[3])
    return MadeFile(path, images, output_of(model, images * 255), "softmax", options)


def _transferred(folder: Path) -> MadeFile:
    path, stream = nested_model(folder / "model.keras"), np.random.default_rng(0)
    model = keras.saving.load_model(path)
    # The probabilities of a deep network without training are all the same.
    model.set_weights([each + stream.normal(0, 0.1, each.shape) for each in model.get_weights()])
    model.save(path)
    return _keras_3(model, path)


def _of_channels(channels: int) -> Make:
    def make(folder: Path) -> MadeFile:
        model = small_model(channels=channels)
        return _keras_3(model, saved(folder, "keras", model))

    return make


def _of_any_size(folder: Path) -> MadeFile:
    model = small_model(size=None)
    options = PIXELS.model_copy(update={"image_size": 24})
    return _keras_3(model, saved(folder, "keras", model), options)


def _narrow(dtype: str, save: Callable[[Any, Path], Path]) -> Make:
    def make(folder: Path) -> MadeFile:
        model, images = network(dtype), noise(1, 16, 16, 3)
        output = output_of(model, images * 255)
        return MadeFile(save(model, folder), images, output, options=PIXELS)

    return make


def _hub(folder: Path) -> MadeFile:
    model, images = small_classifier(), noise(1, 24, 24, 3)
    model.save(folder / "model.keras")
    return MadeFile(folder / "model.keras", images, output_of(model, images))


class Subclassed(keras.Model):
    """A network whose layers are called in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = small_model()

    def call(self, images: Any) -> Any:
        """Return the probabilities."""
        return self.inner(images)


def _subclassed(folder: Path) -> MadeFile:
    model, images = Subclassed(), noise(1, 24, 24, 3)
    output = output_of(model, images * 255)
    model.export(folder / "exported", verbose=False)
    return MadeFile(folder / "exported", images, output, "softmax", PIXELS)


def _head(options: ImportOptions, name: str) -> ImportOptions:
    return options.model_copy(update={"head": name})


def _saved_by_tensorflow_1(folder: Path) -> MadeFile:
    output = saved_models.saved_1(folder / "saved")
    return MadeFile(folder / "saved", saved_models.IMAGES, output, options=_head(UNSCALED, "y"))


def _of_whole_numbers(folder: Path) -> MadeFile:
    saved_models.save_taking_bytes(folder / "saved")
    serve = tf.saved_model.load(str(folder / "saved")).signatures["serving_default"]
    images = noise(1, 12, 12, 3)
    pixels = tf.constant(np.round(images * 255), tf.uint8)
    ((name, output),) = serve(image=pixels).items()
    return MadeFile(folder / "saved", images, output.numpy(), options=_head(PIXELS, name))


def _of_two_signatures(folder: Path) -> MadeFile:
    words = {"words": tf.TensorSpec([None], tf.string, "words")}
    made = saved_models.save(
        folder / "saved", serving_default=words, of_images=saved_models.image_spec("picture")
    )
    output = made.classes(tf.constant(saved_models.IMAGES))["scores"].numpy()
    options = _head(UNSCALED, "scores")
    return MadeFile(folder / "saved", saved_models.IMAGES, output, options=options)


def _at(made: MadeFile, path: Path) -> MadeFile:
    """Return the file at another place."""
    return dataclasses.replace(made, path=path)


def _in_versions(folder: Path) -> MadeFile:
    made = saved_by_tensorflow(folder, "softmax")
    for version in ("1", "2"):
        shutil.copytree(made.path, folder / "birds" / version)
    return _at(made, folder / "birds")


def _zipped_folder(folder: Path) -> MadeFile:
    made = saved_by_tensorflow(folder, "softmax")
    return _at(made, Path(shutil.make_archive(str(folder / "birds"), "zip", made.path)))


def _zipped_file(folder: Path) -> MadeFile:
    made = _keras_2("nested.h5")(folder)
    with zipfile.ZipFile(folder / "converted_keras.zip", "w") as archive:
        archive.write(made.path, "keras_model.h5")
        archive.writestr("labels.txt", "0 Cat\n1 Dog\n2 Owl\n")
    return _at(made, folder / "converted_keras.zip")


def _slim(folder: Path) -> MadeFile:
    path, images, graph = slim_graph(folder / "slim.pb"), noise(1, 48, 48, 3), tf.Graph()
    with graph.as_default(), tf.compat.v1.Session() as session:
        read = tf.compat.v1.GraphDef.FromString(path.read_bytes())
        tf.graph_util.import_graph_def(read, name="")
        output = session.run(f"{read.node[-1].name}:0", {"input:0": images})
    return MadeFile(path, images, output, "softmax")
