"""SavedModels of TensorFlow 2, of Keras' export and of TensorFlow 1 do what their makers' models
do; what is no such folder is refused.
"""

import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.core.protobuf import saved_model_pb2

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.model_inventory.tensorflow.saved_model import read_saved_model

# Keras turns a variable into an array in a way that NumPy will drop.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
IMAGES = np.random.default_rng(0).random((2, 12, 12, 3), np.float32)
Specs = dict[str, tf.TensorSpec]


def output_of(folder: Path, images: np.ndarray) -> np.ndarray:
    graph, image, output = read_saved_model(folder)
    assert [node.name for node in graph.node if node.op == "Placeholder"] == [
        image.removesuffix(":0")
    ]
    assert not graph.library.function
    value = tf.function(lambda x: run_inside(graph, image, x, [output])[0], autograph=False)(
        tf.constant(images)
    )
    return np.asarray(value.numpy())


def refusal(folder: Path) -> str:
    """Return the sentence that a folder is refused with."""
    with pytest.raises(BadModel) as refused:
        read_saved_model(folder)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def convolution(x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(tf.nn.conv2d(x, weights, 1, "SAME"))


class Network(tf.Module):
    """Two functions of one convolution; the inner one is called by the outer."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(
            np.random.default_rng(1).normal(size=(3, 3, 3, 5)).astype(np.float32)
        )

    @tf.function
    def features(self, x: tf.Tensor) -> tf.Tensor:
        return convolution(x, self.weights)

    def classes(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        features = self.features(image)
        return {"features": features, "scores": tf.reduce_mean(features, [1, 2])}


def save(folder: Path, **signatures: Specs) -> Network:
    """Save a network with signatures that take what is given by their names."""
    network = Network()

    def called(specs: Specs) -> tf.types.experimental.ConcreteFunction:
        def call(**given: tf.Tensor) -> dict[str, tf.Tensor]:
            image = next(
                (tensor for tensor in given.values() if tensor.dtype == tf.float32),
                tf.zeros([1, 12, 12, 3]),
            )
            return network.classes(tf.reshape(image, [-1, 12, 12, 3]))

        return tf.function(call).get_concrete_function(
            **{name: spec for name, spec in specs.items()}
        )

    tf.saved_model.save(
        network, str(folder), {name: called(specs) for name, specs in signatures.items()}
    )
    return network


def image_spec(name: str = "image") -> Specs:
    return {name: tf.TensorSpec([None, 12, 12, 3], tf.float32, name)}


def edit(folder: Path, change: Callable[[saved_model_pb2.SavedModel], None]) -> None:
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    change(saved)
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())


def test_a_function_that_calls_a_function(tmp_path: Path) -> None:
    network = save(tmp_path / "saved", serving_default=image_spec())
    found = output_of(tmp_path / "saved", IMAGES)
    np.testing.assert_allclose(
        found, network.classes(tf.constant(IMAGES))["scores"], rtol=1e-5, atol=1e-6
    )
    graph, _image, _output = read_saved_model(tmp_path / "saved")
    assert not any("PartitionedCall" in node.name for node in graph.node)


def test_what_keras_exports(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    backbone = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(6, 3, groups=3, activation="silu"),
            layers.BatchNormalization(),
        ]
    )
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Rescaling(2.0),
            backbone,
            layers.GlobalMaxPooling2D(),
            layers.Dense(4),
        ]
    )
    model.export(tmp_path / "saved", verbose=False)
    np.testing.assert_allclose(
        output_of(tmp_path / "saved", IMAGES), model(IMAGES), rtol=1e-4, atol=1e-5
    )


def saved_1(folder: Path, resource: bool = True) -> np.ndarray:
    """Save a network as TensorFlow 1 did, and return its scores of the images."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        image = tf.compat.v1.placeholder(tf.float32, [None, 12, 12, 3], name="image")
        weights = tf.compat.v1.get_variable("conv/weights", [3, 3, 3, 5], use_resource=resource)
        scores = tf.reduce_mean(convolution(image, weights), [1, 2], name="scores")
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(folder), {"x": image}, {"y": scores})
        return np.asarray(session.run(scores, {image: IMAGES}))


@pytest.mark.parametrize(
    "resource", [True, False], ids=["resource variables", "reference variables"]
)
def test_what_tensorflow_1_saved(tmp_path: Path, resource: bool) -> None:
    expected = saved_1(tmp_path / "saved", resource)
    np.testing.assert_allclose(
        output_of(tmp_path / "saved", IMAGES), expected, rtol=1e-5, atol=1e-6
    )


def test_it_is_frozen_to_the_same_bytes_each_time(tmp_path: Path) -> None:
    save(tmp_path / "saved", serving_default=image_spec())
    first, second = (
        read_saved_model(tmp_path / "saved")[0].SerializeToString(deterministic=True)
        for _ in range(2)
    )
    assert first == second


def test_a_signature_that_takes_an_image_is_preferred(tmp_path: Path) -> None:
    words = {"words": tf.TensorSpec([None], tf.string, "words")}
    network = save(tmp_path / "saved", serving_default=words, of_images=image_spec("picture"))
    assert output_of(tmp_path / "saved", IMAGES).shape == tuple(
        network.classes(tf.constant(IMAGES))["scores"].shape
    )


def save_taking_bytes(folder: Path) -> Network:
    """Save a network that takes whole numbers, which it pads before it scales them."""
    network = Network()

    @tf.function(input_signature=[tf.TensorSpec([None, 12, 12, 3], tf.uint8)])
    def from_bytes(image: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(image[:, ::-1], [[0, 0], [1, 1], [1, 1], [0, 0]])
        return network.classes(tf.image.convert_image_dtype(padded, tf.float32))["scores"]

    tf.saved_model.save(network, str(folder), signatures=from_bytes)
    return network


def test_whole_numbers_are_taken_as_floats(tmp_path: Path) -> None:
    network = save_taking_bytes(tmp_path / "saved")
    images = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3))
    padded = np.pad(np.float32(images[:, ::-1] / 255), [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected = network.classes(tf.constant(padded))["scores"]
    found = output_of(tmp_path / "saved", images.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    graph, image, output = read_saved_model(tmp_path / "saved")

    @tf.function(autograph=False)
    def gradient(values: tf.Tensor) -> tf.Tensor:
        return tf.gradients(run_inside(graph, image, values, [output])[0], values)[0]

    assert np.any(gradient(tf.constant(np.float32(images))))


def test_variables_of_keras_in_a_list_are_found_by_their_names(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((12, 12, 3)), layers.Conv2D(4, 3), layers.Flatten()])

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.listed = model, model.trainable_variables

        @tf.function(input_signature=[tf.TensorSpec([None, 12, 12, 3])])
        def __call__(self, image: tf.Tensor) -> tf.Tensor:
            return self.model(image)

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.__call__)
    found = output_of(tmp_path / "saved", IMAGES)
    np.testing.assert_allclose(found, model(IMAGES), rtol=1e-5, atol=1e-6)


def test_signatures_without_an_image_alone(tmp_path: Path) -> None:
    save(tmp_path / "two", serving_default=image_spec("a") | image_spec("b"))
    assert (
        "does not take one image: expected float32 or uint8 [batch, height, width, channels], "
        "found a float32 [any, 12, 12, 3], b float32 [any, 12, 12, 3]. Export it"
        in refusal(tmp_path / "two")
    )
    save(tmp_path / "words", serving_default={"words": tf.TensorSpec([None], tf.string, "words")})
    assert "does not take one image: expected float32 " in refusal(tmp_path / "words")
    assert "found words string [any]. Export it with" in refusal(tmp_path / "words")
    save(tmp_path / "none")
    assert "has no signature. Export it with model.export" in refusal(tmp_path / "none")


def test_what_is_no_saved_model(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path / "absent")
        == f"folder {tmp_path / 'absent'} does not exist. Give the folder of a SavedModel."
    )
    assert "is not a SavedModel: expected saved_model.pb. Give the folder that" in refusal(tmp_path)
    (tmp_path / "saved_model.pbtxt").touch()
    assert "expected saved_model.pb, found saved_model.pbtxt, a SavedModel as text" in refusal(
        tmp_path
    )
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert "has no graph. Export or download it again." in refusal(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 100)
    assert "is truncated or not a SavedModel. Export or download it again." in refusal(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_graph_that_is_cut_short(tmp_path: Path, share: float) -> None:
    save(tmp_path, serving_default=image_spec())
    content = (tmp_path / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(content[: int(len(content) * share)])
    assert "is truncated or not a SavedModel" in refusal(tmp_path)


def test_weights_that_are_missing_or_cut_short(tmp_path: Path) -> None:
    save(tmp_path, serving_default=image_spec())
    (data,) = (tmp_path / "variables").glob("variables.data-*")
    data.write_bytes(data.read_bytes()[:100])
    assert "cannot be loaded (" in refusal(tmp_path)
    data.unlink()
    assert (
        "lacks its weights: expected variables.index and variables.data-* in its folder "
        "variables. Copy the whole folder." in refusal(tmp_path)
    )


def test_operations_that_nobody_knows_are_named(tmp_path: Path) -> None:
    save(tmp_path, serving_default=image_spec())

    def change(saved: saved_model_pb2.SavedModel) -> None:
        for function in saved.meta_graphs[0].graph_def.library.function:
            for node in function.node_def:
                node.op = "FancyRelu" if node.op == "Relu" else node.op

    edit(tmp_path, change)
    assert (
        f"has unknown operations: expected operations of TensorFlow {tf.__version__}, found "
        "FancyRelu" in refusal(tmp_path)
    )


def test_operations_that_run_python_or_write_files_are_refused_before_anything_runs(
    tmp_path: Path,
) -> None:
    written = tmp_path / "written"

    class Writes(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 12, 12, 3], tf.float32)])
        def __call__(self, x: tf.Tensor) -> tf.Tensor:
            tf.io.write_file(str(written), "text")
            return x

    class RunsPython(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 12, 12, 3], tf.float32)])
        def __call__(self, x: tf.Tensor) -> tf.Tensor:
            return tf.numpy_function(lambda value: value, [x], tf.float32)

    for module, op in ((Writes(), "WriteFile"), (RunsPython(), "PyFunc")):
        tf.saved_model.save(module, str(tmp_path / op), {"serving_default": module.__call__})
        assert f"expected operations that only compute numbers, found {op} in " in refusal(
            tmp_path / op
        )
    assert not written.exists()


def test_a_branch_is_refused(tmp_path: Path) -> None:
    class Branches(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 12, 12, 3], tf.float32)])
        def __call__(self, x: tf.Tensor) -> tf.Tensor:
            return tf.cond(tf.reduce_mean(x) > 0, lambda: tf.nn.relu(x), lambda: x)

    module = Branches()
    tf.saved_model.save(module, str(tmp_path), {"serving_default": module.__call__})
    assert "cannot be rendered: it has a function or a branch that cannot be inlined (" in refusal(
        tmp_path
    )


@pytest.mark.parametrize("tensorflow", [1, 2])
def test_what_initialises_a_folder_never_runs(tmp_path: Path, tensorflow: int) -> None:
    """TensorFlow's loaders run it, and so it wrote files under names of the folder's choosing."""
    made, there = tmp_path / "made", tmp_path / "there"
    there.write_text("mine")
    saved_1(tmp_path / "saved") if tensorflow == 1 else save(
        tmp_path / "saved", serving_default=image_spec()
    )

    def change(saved: saved_model_pb2.SavedModel) -> None:
        part = saved.meta_graphs[0]
        with tf.Graph().as_default() as graph:
            names, one = (
                tf.constant([str(made)], name="planted/names"),
                tf.constant(1.0, name="planted/one"),
            )
            path, mine = (
                tf.constant(str(made), name="planted/made"),
                tf.constant(str(there), name="planted/there"),
            )
            parts = tf.constant([""], name="planted/parts")
            tf.raw_ops.SaveV2(
                prefix=path,
                tensor_names=names,
                shape_and_slices=parts,
                tensors=[one],
                name="planted/save_2",
            )
            tf.raw_ops.Save(filename=mine, tensor_names=names, data=[one], name="planted/save_1")
            tf.io.write_file(path, mine, name="planted/write")
            tf.group(*graph.get_operations(), name="planted/all")
        part.graph_def.node.extend(graph.as_graph_def().node)
        part.signature_def["__saved_model_init_op"].outputs[
            "__saved_model_init_op"
        ].name = "planted/all"
        for collection in ("saved_model_main_op", "legacy_init_op"):
            part.collection_def[collection].node_list.value[:] = ["planted/all"]
        restore = next(
            node for node in part.graph_def.node if node.name == part.saver_def.restore_op_name
        )
        restore.input.append("^planted/all")

    edit(tmp_path / "saved", change)
    assert output_of(tmp_path / "saved", IMAGES).shape == (2, 5)
    assert (
        sorted(path.name for path in tmp_path.iterdir()) == ["saved", "there"]
        and there.read_text() == "mine"
    )


def test_variables_that_were_saved_in_parts(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        image = tf.compat.v1.placeholder(tf.float32, [None, 12, 12, 3], name="image")
        partitioner = tf.compat.v1.fixed_size_partitioner(2, axis=3)
        weights = tf.compat.v1.get_variable(
            "weights", [3, 3, 3, 6], partitioner=partitioner, use_resource=False
        )
        scores = tf.reduce_mean(
            convolution(image, tf.convert_to_tensor(weights)), [1, 2], name="scores"
        )
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(
            session, str(tmp_path / "saved"), {"x": image}, {"y": scores}
        )
        expected = session.run(scores, {image: IMAGES})
    np.testing.assert_allclose(
        output_of(tmp_path / "saved", IMAGES), expected, rtol=1e-5, atol=1e-6
    )


def test_a_pipe_in_place_of_the_weights_is_not_waited_for(tmp_path: Path) -> None:
    save(tmp_path, serving_default=image_spec())
    (data,) = (tmp_path / "variables").glob("variables.data-*")
    data.unlink()
    os.mkfifo(data)
    assert "expected regular files, found 'variables.data-" in refusal(tmp_path)


def test_of_several_signatures_for_images_the_default_one_is_read(tmp_path: Path) -> None:
    save(tmp_path, another=image_spec("another"), serving_default=image_spec("served"))
    _graph, image, _output = read_saved_model(tmp_path)
    assert "served" in image
