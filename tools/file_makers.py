"""Makes small files of Keras and TensorFlow with each kind of head, for `tools.tried_files`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

from diamond_cutter.model_inventory.user_models import ImportOptions
from tests.built_bundle import weights
from tests.headed_bundle import convolved, dense, one_position

Array = npt.NDArray[Any]
Ending = Literal["softmax", "sigmoid"]
SIDE = 16
UNSCALED = ImportOptions(value_range=(0, 1))
PIXELS = ImportOptions(value_range=(0, 255))


@dataclass(frozen=True)
class MadeFile:
    """A model file, and what its writer computes.

    path: of the file or folder.
    images: float32 `[batch, height, width, channel]` in [0, 1].
    output: the chosen output for these images; maps have their channels last.
    ending: the activation function at the end, if the output is one of scores.
    options: properties that the file lacks.
    """

    path: Path
    images: Array
    output: Array
    ending: Ending | None = None
    options: ImportOptions = UNSCALED


ENDINGS: dict[str, Ending | None] = {
    "softmax": "softmax",
    "logits": None,
    "one sigmoid": "sigmoid",
    "one linear unit": None,
    "sigmoid for each class": "sigmoid",
    "1 x 1 map": "softmax",
    "several outputs": "softmax",
    "segmentation": "softmax",
    "no head": None,
}


def noise(*shape: int) -> Array:
    """Return images of whole pixel values, divided by 255."""
    pixels = np.random.default_rng(0).integers(0, 256, shape)
    return (pixels / 255).astype(np.float32)


def keras_maker(
    library: Any, save: Callable[[Any, Path], Path], *, compiled: bool = False
) -> Callable[[Path, str], MadeFile]:
    """Return a function that saves a network of Keras 3 or tf-keras with a head."""

    def make(folder: Path, head: str) -> MadeFile:
        model, images = keras_network(library, head), noise(1, SIDE, SIDE, 3)
        if compiled:
            model.compile(tf_keras.optimizers.legacy.Adam(), "mse")
            model.train_on_batch(images * 255, model(images * 255))  # makes the optimiser's slots
        return MadeFile(
            save(model, folder), images, output_of(model, images * 255), ENDINGS[head], PIXELS
        )

    return make


def keras_network(library: Any, head: str) -> Any:
    """Build a network of two convolutions with Keras 3 or tf-keras.

    It takes images with values from 0 to 255. Each BatchNorm has statistics as after training.
    """
    library.backend.clear_session()
    layers = library.layers
    image = library.Input((SIDE, SIDE, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv1")(x)
    x = layers.BatchNormalization(name="norm1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="conv2")(x)
    model = library.Model(image, _keras_head(layers, x, head), name="network")
    model.set_weights([_drawn(weight.shape) for weight in model.get_weights()])
    return model


def _drawn(shape: tuple[int, ...]) -> Array:
    """Draw a kernel that keeps the size of activations, or a positive vector for each channel."""
    stream = np.random.default_rng(1)
    if len(shape) == 1:
        return stream.uniform(0.5, 1.5, shape)
    return stream.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)


def _keras_head(layers: Any, x: Any, head: str) -> Any:
    def scores(units: int, activation: str | None = None, name: str = "scores") -> Any:
        pooled = layers.GlobalAveragePooling2D()(x)
        return layers.Dense(units, activation=activation, name=name)(pooled)

    match head:
        case "softmax":
            return scores(3, "softmax")
        case "logits":
            return scores(3)
        case "one sigmoid":
            return scores(1, "sigmoid")
        case "one linear unit":
            return scores(1)
        case "sigmoid for each class":
            return scores(3, "sigmoid")
        case "1 x 1 map":
            pooled = layers.GlobalAveragePooling2D(keepdims=True)(x)
            return layers.Conv2D(3, 1, activation="softmax", name="scores")(pooled)
        case "several outputs":
            return [scores(4, name="boxes"), scores(3, "softmax", name="classes")]
        case "segmentation":
            return layers.Conv2D(3, 1, activation="softmax", name="scores")(x)
        case _:
            return x


def output_of(model: Any, values: Array) -> Array:
    """Return the output of a Keras model, the last of several, for the values at its input."""
    found = model(values, training=False)
    return np.float32(found[-1] if isinstance(found, list | tuple) else found)


def save_as(name: str) -> Callable[[Any, Path], Path]:
    """Return a function that saves a Keras model under a name."""

    def save(model: Any, folder: Path) -> Path:
        model.save(folder / name)
        return folder / name

    return save


def export(model: Any, folder: Path) -> Path:
    """Export a model of Keras 3 as a SavedModel."""
    model.export(folder / "exported", verbose=False)
    return folder / "exported"


def save_as_folder(model: Any, folder: Path) -> Path:
    """Save a model of tf-keras as a SavedModel."""
    model.save(folder / "saved", save_format="tf")
    return folder / "saved"


def _tensorflow_head(x: tf.Tensor, head: str) -> dict[str, tf.Tensor]:
    """Return the outputs of a network, the head last."""
    match head:
        case "softmax":
            return {"scores": tf.nn.softmax(dense(x, 3))}
        case "logits":
            return {"scores": dense(x, 3)}
        case "one sigmoid":
            return {"scores": tf.sigmoid(dense(x, 1))}
        case "one linear unit":
            return {"scores": dense(x, 1)}
        case "sigmoid for each class":
            return {"scores": tf.sigmoid(dense(x, 3))}
        case "1 x 1 map":
            return {"scores": tf.nn.softmax(one_position(x))}
        case "several outputs":
            return {"boxes": dense(x, 4), "classes": tf.nn.softmax(dense(x, 3))}
        case "segmentation":
            return {"scores": tf.nn.softmax(convolved(x, 3))}
        case _:
            return {"features": x}


def saved_by_tensorflow(folder: Path, head: str) -> MadeFile:
    """Save a `tf.Module` as a SavedModel."""
    module = tf.Module()
    module.kernel = tf.Variable(weights(3, 3, 3, 4))

    @tf.function(
        input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, "image")], autograph=False
    )
    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        # The weights of the tests are small; larger values make scores that differ.
        x = tf.nn.relu(tf.nn.conv2d(image * 20, module.kernel, 1, "SAME"))
        return _tensorflow_head(x, head)

    module.serve, images = serve, noise(1, SIDE, SIDE, 3)
    tf.saved_model.save(module, str(folder / "saved"), signatures=serve)
    output = list(serve(tf.constant(images)).values())[-1].numpy()
    return MadeFile(folder / "saved", images, output, ENDINGS[head])


def frozen_graph(folder: Path, head: str) -> MadeFile:
    """Write a frozen graph."""
    images, graph = noise(1, SIDE, SIDE, 3), tf.Graph()
    with graph.as_default(), tf.compat.v1.Session() as session:
        image = tf.compat.v1.placeholder(tf.float32, [None, SIDE, SIDE, 3], name="image")
        x = tf.nn.relu(tf.nn.conv2d(image * 20, weights(3, 3, 3, 4), 1, "SAME"), name="features")
        outputs = _tensorflow_head(x, head)
        output = session.run(list(outputs.values())[-1], {image: images})
    path = folder / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return MadeFile(path, images, output, ENDINGS[head])
