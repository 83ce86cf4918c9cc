"""Files that cannot be rendered or are not safe, for `tools.tried_files`: each must be refused."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tf_keras

from tests.model_inventory.graph.test_precision import network
from tests.model_inventory.keras.saved_models import small
from tests.model_inventory.onnx.files import classifier
from tests.model_inventory.test_file_kinds import ARCHIVES, FILES, FOLDERS
from tools.file_makers import keras_network

# By hand: the first bytes of such files, or the names in such archives and folders.
BY_HAND = "by hand"
# Made by real writers instead, or imported if they are whole.
_NOT_BY_HAND = ("m.tflite", "checkpoint", "teachable.zip")


@dataclass(frozen=True)
class RefusedKind:
    """A kind of file that is refused, and the function that makes one in an empty folder."""

    file: str
    writer: str
    make: Callable[[Path], Path]


def refused_kinds() -> list[RefusedKind]:
    """Return all kinds, those of real writers first."""
    return [
        RefusedKind("`.keras` with a Lambda layer", "Keras 3", _lambda("model.keras")),
        RefusedKind("`.h5` with a Lambda layer", "Keras 3", _lambda("model.h5")),
        RefusedKind("`.keras` with a layer of one's own", "Keras 3", _own_layer),
        RefusedKind("`.weights.h5`", "Keras 3", _weights),
        RefusedKind("`.h5` of weights", "tf-keras", _weights_of_keras_2),
        RefusedKind("`.keras`, quantised", "Keras 3", _quantised),
        RefusedKind("`.onnx`, quantised", "onnxruntime", _quantised_onnx),
        RefusedKind("`.keras`, truncated", "Keras 3", _truncated("model.keras")),
        RefusedKind("`.h5`, truncated", "Keras 3", _truncated("model.h5")),
        RefusedKind("`.onnx`, truncated", "onnx", _truncated("model.onnx")),
        RefusedKind("`.tflite`", "TensorFlow Lite", _lite),
        RefusedKind("checkpoint", "TensorFlow 2", _checkpoint),
        RefusedKind("SavedModel with a branch", "TensorFlow 2", _branch),
        RefusedKind("SavedModel that runs Python", "TensorFlow 2", _python),
        RefusedKind("zip archive of two models", "Keras 3", _two_models),
        *(
            RefusedKind(f"`{name}`", BY_HAND, make(name))
            for names, make in ((FILES, _file), (ARCHIVES, _archive))
            for name in names
            if name not in _NOT_BY_HAND
        ),
        *(RefusedKind(f"folder `{name}`", BY_HAND, _folder(name)) for name in FOLDERS),
    ]


def _file(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(FILES[name][0])
        return folder / name

    return make


def _archive(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / name, "w") as archive:
            for member in ARCHIVES[name][0]:
                archive.writestr(member, b"{}")
        return folder / name

    return make


def _folder(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).mkdir()
        for member in FOLDERS[name][0]:
            path = folder / name / member
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"{}")
        return folder / name

    return make


def _saved(model: Any, path: Path) -> Path:
    model.save(path)
    return path


def _lambda(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        return _saved(small(keras.layers.Lambda(lambda x: x * 2, name="twice")), folder / name)

    return make


class OwnLayer(keras.layers.Layer):
    """A layer that only this script knows."""

    def call(self, x: Any) -> Any:
        """Return the square."""
        return x * x


def _own_layer(folder: Path) -> Path:
    return _saved(small(OwnLayer(name="own")), folder / "model.keras")


def _weights(folder: Path) -> Path:
    small().save_weights(folder / "model.weights.h5")
    return folder / "model.weights.h5"


def _weights_of_keras_2(folder: Path) -> Path:
    keras_network(tf_keras, "softmax").save_weights(folder / "model.h5")
    return folder / "model.h5"


def _quantised(folder: Path) -> Path:
    model = network("float32")
    model.quantize("int8")
    return _saved(model, folder / "model.keras")


def _quantised_onnx(folder: Path) -> Path:
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(classifier(folder / "whole.onnx"), folder / "model.onnx")
    return folder / "model.onnx"


def _truncated(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        classifier(path) if name.endswith(".onnx") else small().save(path)
        path.write_bytes(path.read_bytes()[:-1000])
        return path

    return make


def _lite(folder: Path) -> Path:
    model = keras_network(keras, "softmax")
    (folder / "model.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return folder / "model.tflite"


def _checkpoint(folder: Path) -> Path:
    return Path(tf.train.Checkpoint(step=tf.Variable(0.0)).save(str(folder / "model.ckpt")))


def _module(folder: Path, compute: Callable[[tf.Tensor], tf.Tensor]) -> Path:
    module = tf.Module()
    module.serve = tf.function(
        compute, input_signature=[tf.TensorSpec([None, 12, 12, 3], tf.float32)]
    )
    tf.saved_model.save(module, str(folder / "saved"), signatures=module.serve)
    return folder / "saved"


def _branch(folder: Path) -> Path:
    return _module(
        folder, lambda x: tf.cond(tf.reduce_mean(x) > 0, lambda: tf.nn.relu(x), lambda: x)
    )


def _python(folder: Path) -> Path:
    return _module(folder, lambda x: tf.numpy_function(lambda value: value, [x], tf.float32))


def _two_models(folder: Path) -> Path:
    one = _saved(small(), folder / "one.keras")
    with zipfile.ZipFile(folder / "models.zip", "w") as archive:
        archive.write(one, "one.keras")
        archive.write(one, "two.keras")
    return folder / "models.zip"
