"""Lucid's zoo says what lucid's classes say, and its models come from a bucket to a bundle."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, activation_function, to_model_input
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.lucid.zoo import (
    LucidModel,
    import_lucid_model,
    lucid_models,
    read_labels,
)
from diamond_cutter.storage.downloads import fetch_file
from tests.storage.gcs_server import Fault, GcsServer, serving
from tools.lucid_zoo_rows import ROWS, as_text, lucid_classes, row

pytestmark = pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")

v1 = tf.compat.v1
REPOSITORY = Path(__file__).parents[3]
NAMES = sorted(lucid_models())


@pytest.fixture(scope="module")
def classes() -> dict[str, Any]:
    return lucid_classes()


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[GcsServer]:
    with serving() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server


# what the rows say


def test_there_is_a_row_for_each_class_that_lucid_exports(classes: dict[str, Any]) -> None:
    assert [name.removeprefix("lucid/") for name in lucid_models()] == list(classes)
    assert len(classes) == 31


def test_the_file_is_what_the_tool_writes(classes: dict[str, Any]) -> None:
    assert ROWS.read_text(encoding="utf-8") == as_text(
        [row(name, lucid_class) for name, lucid_class in classes.items()]
    )


def test_a_row_says_what_its_class_says(classes: dict[str, Any]) -> None:
    for name in NAMES:
        ours, theirs = lucid_models()[name], classes[name.removeprefix("lucid/")]()
        assert theirs.name == name.removeprefix("lucid/")
        assert ours.weights == theirs.model_path
        assert ours.labels == theirs.labels_path
        assert ours.synsets == getattr(theirs, "synsets_path", None)
        assert ours.dataset == getattr(theirs, "dataset", None)
        assert ours.input_name == theirs.input_name
        assert list(ours.image.shape) == list(theirs.image_shape)
        assert (ours.image.channel_order == "bgr") == (getattr(theirs, "is_BGR", False) is True)
        assert [(layer.name, layer.channels, set(layer.tags)) for layer in ours.layers] == [
            (layer.name, layer.depth, layer.tags) for layer in theirs.layers
        ]
        assert ours.output_layer == (theirs.layers[-1].name if theirs.layers else None)
        assert ours.output_size == (theirs.layers[-1].depth if theirs.layers else None)
        assert ours.pre_relu_layers == (
            name in ("lucid/InceptionV1", "lucid/InceptionV1_adv_finetuned")
        )


def test_images_become_what_lucid_makes_of_them(classes: dict[str, Any], toy: Bundle) -> None:
    for name in NAMES:
        images = np.random.default_rng(1).random((2, 5, 6, 3), np.float32)
        with tf.Graph().as_default(), v1.Session() as session:
            _, wanted = classes[name.removeprefix("lucid/")]().create_input(tf.constant(images))
            wanted = session.run(wanted)
        card = toy.card.model_copy(update={"image": lucid_models()[name].image})
        np.testing.assert_allclose(
            to_model_input(tf.constant(images), card).numpy(), wanted, rtol=1e-6, atol=1e-4
        )


def test_the_main_layers_show_a_network_once() -> None:
    for name in NAMES:
        ours = lucid_models()[name]
        main = [layer for layer in ours.layers if layer.main]
        assert all("conv" in layer.tags and not layer.name.startswith("head") for layer in main)
        assert bool(main) == bool(ours.layers)
        assert all(
            layer.columns == int(math.sqrt(layer.channels)) and layer.tensor == f"{layer.name}:0"
            for layer in ours.layers
        )


def test_files_in_the_cache_keep_the_names_of_their_objects() -> None:
    ours = lucid_models()["lucid/MobilenetV1_025_slim"]
    assert str(ours.weights_file) == "modelzoo/vision/slim_models/MobilenetV1025.pb"
    assert str(ours.labels_file) == "modelzoo/labels/ImageNet_standard_with_dummy.txt"
    assert lucid_models()["lucid/Clip_ResNet50_4x"].labels_file is None
    assert len({ours.weights_file for ours in lucid_models().values()}) == 31


def test_looking_at_the_zoo_loads_no_tensorflow() -> None:
    script = (
        "import sys; from diamond_cutter.model_inventory.lucid.zoo import lucid_models; "
        "lucid_models(); print('tensorflow' in sys.modules)"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            cwd=REPOSITORY,
        ).stdout
        == "False\n"
    )


# from the bucket to a bundle


def graph_of(ours: LucidModel) -> Any:
    """Return a frozen graph with a model's true names and channels: a chain of 1 x 1 convolutions,
    with weights that take no room.
    """
    chance = np.random.default_rng(5)

    def weights(taken: int, given: int) -> tf.Tensor:
        left, right = (
            tf.constant(chance.normal(size=shape).astype(np.float32))
            for shape in ((taken, 1), (1, given))
        )
        return tf.matmul(left, right) / taken

    def convolved(x: tf.Tensor, given: int, stride: int = 1) -> tf.Tensor:
        with v1.name_scope("made_up"):
            kernel = weights(x.shape[3], given)[None, None]
            return tf.nn.conv2d(x, kernel, strides=stride, padding="SAME") + tf.constant(
                chance.normal(size=given).astype(np.float32)
            )

    def joined(x: tf.Tensor, given: int, name: str) -> tf.Tensor:
        towers = [
            tf.nn.relu(convolved(x, part), name=f"{name}_tower/{part}")
            for part in (given // 4, given - given // 4)
        ]
        return tf.raw_ops.Concat(concat_dim=3, values=towers, name=name)

    def classified(x: tf.Tensor, given: int, name: str, logits: str) -> None:
        tf.nn.softmax(tf.add(tf.matmul(x, weights(x.shape[1], given)), 0.1, name=logits), name=name)

    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [1, *ours.image.shape], name=ours.input_name)
        x = convolved(x, 8, stride=32)
        vector = None
        for layer in ours.layers:
            given = layer.channels
            if layer.name == ours.output_layer or layer.name.startswith("softmax"):
                vector = tf.reduce_mean(x, [1, 2]) if vector is None else vector
                classified(
                    vector,
                    given,
                    layer.name,
                    ours.logits_layer or "scores"
                    if layer.name == ours.output_layer
                    else f"{layer.name}_a",
                )
                vector = None
            elif "dense" in layer.tags:
                vector = tf.reduce_mean(x, [1, 2]) if vector is None else vector
                vector = tf.nn.relu(
                    tf.matmul(vector, weights(vector.shape[1], given)), name=layer.name
                )
            elif layer.name.startswith("head"):
                tf.nn.relu(convolved(x, given), name=layer.name)
            elif layer.name.startswith("mixed"):
                x = joined(x, given, layer.name)
            else:
                x = tf.nn.relu(convolved(x, given), name=layer.name)
    return graph.as_graph_def()


def fetched(
    ours: LucidModel, gcs: GcsServer, cache: Path, graph: Any, labels: str
) -> tuple[Path, Path]:
    """Serve a graph and labels under their objects' real names, and fetch them as a user would."""
    assert ours.labels and ours.labels_file
    for url, data in ((ours.weights, graph.SerializeToString()), (ours.labels, labels.encode())):
        bucket, _, name = url.removeprefix("gs://").partition("/")
        gcs.put(bucket, name, data)
    files = cache / ours.weights_file, cache / ours.labels_file
    for url, file in zip((ours.weights, ours.labels), files, strict=True):
        fetch_file(url, file)
    return files


@pytest.mark.parametrize(
    "name",
    [
        "InceptionV1",
        "AlexNet",
        "CaffeNet_caffe",
        "VGG16_caffe",
        "MobilenetV1_025_slim",
        "NasnetMobile_slim",
        "ResnetV2_50_slim",
    ],
)
def test_a_model_comes_from_the_bucket_to_a_bundle(
    name: str, gcs: GcsServer, tmp_path: Path
) -> None:
    ours = lucid_models()[f"lucid/{name}"]
    assert ours.output_size
    gcs.faults = [Fault("cut", at=1000)]
    graph_file, labels_file = fetched(
        ours,
        gcs,
        tmp_path,
        graph_of(ours),
        "".join(f"class {i}\n" for i in range(ours.output_size)),
    )
    card = import_lucid_model(ours.name, graph_file, labels_file).card
    assert (card.name, card.image, card.input_tensor) == (
        ours.name,
        ours.image,
        f"{ours.input_name}:0",
    )
    assert card.source.origin == ours.weights
    assert card.logits_tensor == f"{ours.logits_layer or 'scores'}:0"
    assert [label.name for label in card.labels] == [f"class {i}" for i in range(ours.output_size)]
    for layer in ours.layers:
        found = card.layer(layer.name)
        assert (found.tensor, found.channels, found.main) == (
            layer.tensor,
            layer.channels,
            layer.main,
        )
        assert (found.height is None) == ("dense" in layer.tags)
    listed = [layer.name for layer in ours.layers]
    added = [layer.name for layer in card.layers if layer.name not in listed]
    assert added == [
        name
        for layer in listed
        if layer.startswith("mixed") and ours.pre_relu_layers
        for name in [f"{layer}_pre_relu"]
    ] + ["logits"]
    assert [layer.name for layer in card.select_layers(["main"])] == [
        layer.name for layer in ours.layers if layer.main
    ]


@pytest.mark.slow
def test_joined_layers_before_their_relus_are_lucids(
    classes: dict[str, Any], tmp_path: Path
) -> None:
    ours = lucid_models()["lucid/InceptionV1"]
    file = tmp_path / "InceptionV1.pb"
    graph = graph_of(ours)
    file.write_bytes(graph.SerializeToString())
    bundle = import_lucid_model(ours.name, file)
    images = np.random.default_rng(2).random((1, 224, 224, 3), np.float32)
    theirs = classes["InceptionV1"]()
    theirs._graph_def = graph
    with tf.Graph().as_default(), v1.Session() as session:
        tensors = theirs.import_graph(tf.constant(images))
        wanted = session.run(
            {
                name: tensors(name)
                for name in (
                    "mixed3a",
                    "mixed3a_pre_relu",
                    "mixed5b_pre_relu",
                    "softmax2",
                    "softmax0",
                )
            }
        )
    assert wanted["mixed3a_pre_relu"].min() < 0
    for name, value in wanted.items():
        found = activation_function(bundle, name)(images).numpy()
        assert np.abs(found - value).max() <= 1e-4 * np.abs(value).max()


def test_a_model_of_which_lucid_lists_no_layers(tmp_path: Path) -> None:
    ours = lucid_models()["lucid/Clip_ResNet50_4x"]
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, None, None, 3], name=ours.input_name)
        for index in range(3):
            kernel = tf.constant(
                np.random.default_rng(index).normal(size=(3, 3, x.shape[3], 4)).astype(np.float32)
            )
            x = tf.nn.relu(
                tf.nn.conv2d(x, kernel, strides=4, padding="SAME"), name=f"image_block_{index}"
            )
    file = tmp_path / "clip.pb"
    file.write_bytes(graph.as_graph_def().SerializeToString())
    card = import_lucid_model(ours.name, file).card
    assert [layer.name for layer in card.layers] == [
        "image_block_0",
        "image_block_1",
        "image_block_2",
    ]
    assert card.logits_tensor is None and card.labels == ()
    assert card.image.value_range == ((0.0, 255.0),)


def refusal(name: str, graph_file: Path, labels_file: Path | None = None) -> str:
    with pytest.raises(BadModel) as caught:
        import_lucid_model(name, graph_file, labels_file)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 500 + len(str(graph_file))
    return text


def test_the_graph_of_another_model_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.pb"
    ours = lucid_models()["lucid/MobilenetV1_025_slim"]
    file.write_bytes(graph_of(ours).SerializeToString())
    text = refusal("lucid/ResnetV1_50_slim", file)
    assert (
        "is not lucid/ResnetV1_50_slim: it lacks resnet_v1_50/conv1/Relu, "
        "resnet_v1_50/block1/unit_1/bottleneck_v1/Relu, "
        "resnet_v1_50/block1/unit_2/bottleneck_v1/Relu and 15 more. Give the graph from "
        "gs://modelzoo/"
    ) in text
    assert "has no node 'data' for images." in refusal("lucid/CaffeNet_caffe", file)
    assert "MobilenetV1/Conv2d_0/Relu6, found 8." in refusal("lucid/MobilenetV1_050_slim", file)


def test_a_cut_graph_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cut.pb"
    ours = lucid_models()["lucid/MobilenetV1_025_slim"]
    data = graph_of(ours).SerializeToString()
    file.write_bytes(data[: len(data) // 2])
    refusal(ours.name, file)


# labels


def labels(tmp_path: Path, text: str | bytes, classes: int) -> list[str]:
    file = tmp_path / "labels.txt"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return [label.name for label in read_labels(file, classes)]


def test_a_line_for_the_background_is_dropped_where_there_is_no_such_class(tmp_path: Path) -> None:
    assert labels(tmp_path, "dummy\ntench\ngoldfish\n", 2) == ["tench", "goldfish"]
    assert labels(tmp_path, "dummy\ntench\ngoldfish\n", 3) == ["dummy", "tench", "goldfish"]


def test_names_are_told_apart(tmp_path: Path) -> None:
    names = labels(tmp_path, "crane\ncrane\n\ncrane (2)\ncrane\n\nend\n", 7)
    assert names[0] == "crane" and len(set(names)) == 7
    assert names[2] == "class 2" and names[3] == "crane (2)"


def test_a_few_logits_more_than_labels_are_unused(tmp_path: Path) -> None:
    assert labels(tmp_path, "a\nb\n", 4) == ["a", "b", "unused 2", "unused 3"]


@pytest.mark.parametrize(("lines", "classes"), [(3, 1), (3, 12), (0, 9)])
def test_labels_of_something_else_are_refused(tmp_path: Path, lines: int, classes: int) -> None:
    with pytest.raises(
        BadModel, match=f"do not fit: expected {classes}, one for each class, found {lines}"
    ):
        labels(tmp_path, "x\n" * lines, classes)
    with pytest.raises(
        BadModel, match=r"labels .* are too large: expected at most 1048576 bytes, found"
    ):
        labels(tmp_path, b"x" * (1 << 21), classes)


def test_hostile_labels_are_only_text(tmp_path: Path) -> None:
    hostile = [
        "\x1b[31mred\x07",
        "\u202egnp.exe",
        "{{7*7}}",
        "../../etc/passwd",
        "x" * 9000,
        "\x00",
        "<script>",
    ]
    names = labels(tmp_path, "\n".join(hostile) + "\n", 7)
    assert names[:4] == ["[31mred", "gnp.exe", "{{7*7}}", "../../etc/passwd"]
    assert len(names[4]) == 200 and names[5] == "class 5"
    assert labels(tmp_path, b"\xff\xfe\n", 1) == ["\ufffd\ufffd"]
    assert json.loads(json.dumps(names)) == names
