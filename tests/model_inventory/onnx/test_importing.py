"""An ONNX file becomes a bundle with equal logits, layers named by modules, and gradients."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import helper

from diamond_cutter.model_inventory.bundle import activation_function, layer_graph
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.heads import choose_output
from diamond_cutter.model_inventory.onnx.importing import read_onnx_model
from diamond_cutter.model_inventory.user_models import Imported, ImportOptions, import_user_model
from tests.model_inventory.onnx.files import classifier, onnx_file, run, weights, whole

UNSCALED = ImportOptions(value_range=(0.0, 1.0))


def imported(path: Path) -> Imported:
    return import_user_model(path, "mine", options=UNSCALED)


@pytest.mark.slow
@pytest.mark.parametrize("batch", ["batch", 1])
def test_the_bundle_of_a_classifier_computes_what_onnxruntime_does(
    tmp_path: Path, batch: int | str
) -> None:
    path = classifier(tmp_path / "model.onnx", batch=batch)
    bundle = imported(path).bundle
    card = bundle.card
    images = np.random.default_rng(0).random((2, 24, 24, 3), np.float32)
    expected = [run(path, image[None].transpose(0, 3, 1, 2))[0] for image in images]
    np.testing.assert_allclose(activation_function(bundle, "logits")(images), expected, atol=1e-5)
    assert [layer.name for layer in card.layers] == [
        "stem.0",
        "stem.1",
        "stem.2",
        "block.0",
        "block.relu",
        "fc",
        "logits",
    ]
    assert [layer.name for layer in card.layers if layer.main] == ["stem.2", "block.relu"]
    assert [layer.kind for layer in card.layers if layer.height] == [
        "convolution",
        "convolution",
        "convolution",
        "depthwise",
        "block",
    ]
    assert all(layer.any_size for layer in card.layers)
    assert (card.image.shape, card.source.importer) == ((24, 24, 3), "onnx/1")


def test_batch_norm_is_folded_and_a_gradient_reaches_the_image(tmp_path: Path) -> None:
    bundle = imported(classifier(tmp_path / "model.onnx")).bundle
    graph, _tensors = layer_graph(bundle, ["logits"])
    assert not [node.name for node in graph.node if node.op.startswith("FusedBatchNorm")]
    images = tf.constant(np.random.default_rng(0).random((1, 32, 40, 3), np.float32))
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(activation_function(bundle, "block.relu")(images))
    assert float(tf.reduce_max(tf.abs(tape.gradient(total, images)))) > 0


def test_a_file_for_images_of_any_size_is_converted_at_the_size_of_the_training(
    tmp_path: Path,
) -> None:
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], "c"),
        helper.make_node("Flatten", ["c"], ["f"], "f"),
        helper.make_node("Gemm", ["f", "dense"], ["output"], "d"),
    ]
    constants = {"w": weights(2, 1, 3, 3), "dense": weights(2 * 6 * 6, 3)}
    path = onnx_file(tmp_path / "any.onnx", nodes, constants, image=("n", 1, "h", "w"))
    with pytest.raises(BadModel, match=r"values do not fit"):
        imported(path)
    bundle = import_user_model(
        path, "mine", options=ImportOptions(value_range=(0, 1), image_size=8)
    ).bundle
    assert bundle.card.image.shape == (8, 8, 1)
    assert [layer.any_size for layer in bundle.card.layers] == [True, False, False]


def test_the_hash_of_the_weights_covers_files_beside_the_model(tmp_path: Path) -> None:
    path = classifier(tmp_path / "model.onnx")
    data = tmp_path / "model.data"
    onnx.save(
        onnx.load(path),
        path,
        save_as_external_data=True,
        location=data.name,
        size_threshold=0,
    )
    first = imported(path).bundle.card.source.weights_sha256
    content = data.read_bytes()
    data.write_bytes(bytes(4) + content[4:])
    assert imported(path).bundle.card.source.weights_sha256 != first


def test_constants_of_nodes_may_lie_in_files_that_are_hashed(tmp_path: Path) -> None:
    path, data = classifier(tmp_path / "model.onnx"), tmp_path / "model.data"
    model = onnx.load(path)
    tensor = model.graph.initializer.pop(0)
    data.write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=data.name)
    node = helper.make_node("Constant", [], [tensor.name], "k", value=tensor)
    model.graph.node.insert(0, node)
    path.write_bytes(model.SerializeToString())
    assert read_onnx_model(path, choose_output).files == (data,)


@pytest.mark.parametrize("sides", [("n", 3, 8, 8), (1, 8, 8, 3)])
def test_whole_numbers_are_taken_as_floats_up_to_255(
    tmp_path: Path, sides: tuple[int | str, ...]
) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], "cast", to=onnx.TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["t"], "t", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t", "w"], ["output"], "conv"),
    ]
    if sides[1] == 3:
        nodes[1].op_type = "Relu"
        nodes[1].ClearField("attribute")
    path = onnx_file(tmp_path / "model.onnx", nodes, {"w": weights(2, 3, 3, 3)}, image=sides)
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    path.write_bytes(model.SerializeToString())
    bundle = import_user_model(path, "mine").bundle
    assert bundle.card.image.value_range == ((0, 255),)
    images = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype(np.uint8)
    turned = images.transpose(0, 3, 1, 2) if sides[1] == 3 else images
    np.testing.assert_allclose(
        activation_function(bundle, "conv")(images / np.float32(255)),
        run(path, turned).transpose(0, 2, 3, 1),
        rtol=1e-4,
        atol=1e-2,
    )


def test_an_image_with_the_channels_last_is_recognised(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["image"], ["t"], "t", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t", "w"], ["output"], "c"),
    ]
    path = onnx_file(
        tmp_path / "last.onnx", nodes, {"w": weights(2, 3, 3, 3)}, image=(1, 12, 16, 3)
    )
    model = read_onnx_model(path, choose_output)
    assert model.image_shape == (12, 16, 3)
    assert "Transpose" not in {node.op for node in model.graph.node}


def test_shuffled_channels_stay_last(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], "c"),
        helper.make_node("Shape", ["c"], ["s"], "s"),
        helper.make_node("Gather", ["s", "zero"], ["b"], "b", axis=0),
        helper.make_node("Concat", ["b", "halves"], ["wanted"], "k", axis=0),
        helper.make_node("Reshape", ["c", "wanted"], ["halved"], "h"),
        helper.make_node("Transpose", ["halved"], ["turned"], "t", perm=[0, 2, 1, 3, 4]),
        helper.make_node("Concat", ["b", "whole"], ["back"], "l", axis=0),
        helper.make_node("Reshape", ["turned", "back"], ["shuffled"], "r"),
        helper.make_node("Conv", ["shuffled", "w2"], ["output"], "d"),
    ]
    constants = {
        "w": weights(6, 3, 3, 3),
        "w2": weights(2, 6, 3, 3),
        "zero": whole(0),
        "halves": whole(2, 3, 10, 14),
        "whole": whole(6, 10, 14),
    }
    path = onnx_file(tmp_path / "shuffle.onnx", nodes, constants)
    model = read_onnx_model(path, choose_output)
    assert sum(node.op == "Transpose" for node in model.graph.node) == 1
    bundle = imported(path).bundle
    assert all(layer.any_size for layer in bundle.card.layers)
    images = np.random.default_rng(0).random((1, 12, 16, 3), np.float32)
    np.testing.assert_allclose(
        activation_function(bundle, "d")(images),
        run(path, images.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1),
        atol=1e-5,
    )


def test_a_file_for_a_single_image_that_joins_it_with_others_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], "c"),
        helper.make_node("ReduceMean", ["c", "all"], ["m"], "m"),
        helper.make_node("Add", ["c", "m"], ["output"], "a"),
    ]
    constants = {"w": weights(2, 3, 3, 3), "all": whole(0, 1, 2, 3)}
    path = onnx_file(tmp_path / "mixed.onnx", nodes, constants, image=(1, 3, 12, 16))
    with pytest.raises(BadModel, match=r"^.+mixed.onnx cannot be imported: it mixes the images"):
        imported(path)


def test_an_unknown_operator_is_named_with_its_node(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], "first"),
        helper.make_node("NonZero", ["c"], ["output"], "strange"),
    ]
    path = onnx_file(tmp_path / "model.onnx", nodes, {"w": weights(2, 3, 3, 3)})
    with pytest.raises(
        BadModel,
        match=r"^.+model.onnx cannot be imported: the operator NonZero of the node strange is not "
        r"supported\. Export it without that part",
    ):
        imported(path)
