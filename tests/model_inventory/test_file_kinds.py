"""Files that are no models are named for what they are, whatever their names say."""

import json
import pickle
import zipfile
from pathlib import Path

import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.file_kinds import model_format
from tests.model_inventory.onnx.files import classifier

STATE = pickle.dumps({"conv1.weight": None}, protocol=2)
OLD_TORCH = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + STATE
TENSORS = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
LAYERS = {"class_name": "Sequential", "config": {"layers": []}}
FILES: dict[str, tuple[bytes, str]] = {
    "empty.keras": (b"", "is empty"),
    "pointer.h5": (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
    "page.h5": (b"\n<!DOCTYPE html><html>", "is a web page"),
    "old.pth": (OLD_TORCH, "is a checkpoint of PyTorch. In PyTorch, load it, then run"),
    "model.pkl": (pickle.dumps([1], 4), "is a pickle of Python, which can run code"),
    "m.safetensors": (len(TENSORS).to_bytes(8, "little") + TENSORS, "is a file of safetensors"),
    "m.tflite": (b"\x1c\0\0\0TFL3" + bytes(40), "is a model of TensorFlow Lite"),
    "photo.keras": (b"\xff\xd8\xff\xe0" + bytes(20), "is a picture"),
    "weights.npy": (b"\x93NUMPY\x01\0", "is an array of NumPy"),
    "model.tar": (bytes(257) + b"ustar\0" + bytes(300), "is an archive"),
    "checkpoint": (b'model_checkpoint_path: "m.ckpt"\n', "is a checkpoint of TensorFlow"),
    "m.index": (bytes(80) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", "is a checkpoint of TensorFlow"),
    "m.data-00000-of-00001": (bytes(80), "is a checkpoint of TensorFlow"),
    "m.prototxt": (b'# net\nname: "ResNet-50"\ninput: "data"\n', "is a model of Caffe"),
    "m.caffemodel": (b"\x0a\x09ResNet-50\xa2\x06\x02\x0a\x00", "is a model of Caffe"),
    "m.mlmodel": (b"\x08\x04\x12\x05image", "is a model of Core ML"),
    "m.xml": (b'<?xml version="1.0"?>\n<net name="m">', "is a model of OpenVINO"),
    "m.json": (json.dumps(LAYERS).encode(), "is the architecture of a Keras model without"),
    "tfjs.json": (b'{"format": "graph-model", "modelTopology": {}}', "is a model of TensorFlow.js"),
    "m.zip": (b"PK\x03\x04" + bytes(40), "is a damaged or truncated archive"),
    "other.json": (b'{"a": 1}', "is a JSON file"),
}
ARCHIVES: dict[str, tuple[tuple[str, ...], str]] = {
    "m.pt": (("m/data.pkl", "m/data/0", "m/version"), "is a checkpoint of PyTorch"),
    "scripted.pt": (("m/data.pkl", "m/code/__torch__/m.py"), "is a program of TorchScript"),
    "teachable.zip": (
        ("keras_model.h5", "labels.txt"),
        "is an archive with keras_model.h5. Unpack it, and give that file and `--labels",
    ),
    "web.zip": (("model.json", "metadata.json", "weights.bin"), "is a model of TensorFlow.js"),
    "m.npz": (("w.npy",), "is an archive of NumPy"),
    "m.mlpackage.zip": (("Manifest.json", "Data/com.apple.CoreML/m"), "is a model of Core ML"),
}
FOLDERS: dict[str, tuple[tuple[str, ...], str]] = {
    "empty": ((), "is an empty folder"),
    "unpacked": (
        ("config.json", "metadata.json", "model.weights.h5"),
        "is an unpacked .keras file. Zip its files again",
    ),
    "preset": (("config.json", "task.json", "task.weights.h5"), "is a preset of KerasHub"),
    "hugging": (("config.json", "model.safetensors"), "is a model of Hugging Face"),
    "checkpoint": (("checkpoint", "m.ckpt.index"), "is a checkpoint of TensorFlow"),
    "photos": (("cats/a.jpg",), "is a folder of pictures"),
    "around": (("model.h5", "labels.txt"), "is a folder with model.h5. Give that file"),
}


def refused(path: Path, sentence: str) -> None:
    with pytest.raises(BadModel) as error:
        model_format(path)
    assert str(error.value).startswith(f"{path} {sentence}")
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_named_for_its_content(tmp_path: Path, name: str) -> None:
    content, sentence = FILES[name]
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, sentence)


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_is_named_for_the_names_in_it(tmp_path: Path, name: str) -> None:
    members, sentence = ARCHIVES[name]
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        for member in members:
            archive.writestr(member, b"{}")
    refused(tmp_path / name, sentence)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_named_for_the_names_in_it(tmp_path: Path, name: str) -> None:
    names, sentence = FOLDERS[name]
    (tmp_path / name).mkdir()
    for each in names:
        (tmp_path / name / each).parent.mkdir(exist_ok=True)
        (tmp_path / name / each).write_bytes(b"{}")
    refused(tmp_path / name, sentence)


@pytest.mark.parametrize("name", ["net.onnx.data", "net.onnx_data"])
def test_the_weights_of_an_onnx_file_are_recognised(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(100))
    refused(tmp_path / name, "holds the weights of net.onnx, which is missing")
    classifier(tmp_path / "net.onnx")
    refused(tmp_path / name, "holds the weights of net.onnx. Give that file.")


def test_the_prefix_of_a_checkpoint_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "m.ckpt.index").write_bytes(bytes(10))
    refused(tmp_path / "m.ckpt", "is a checkpoint of TensorFlow")


def test_models_are_recognised_under_any_name(tmp_path: Path) -> None:
    assert model_format(classifier(tmp_path / "model.bin")) == "onnx"
    graph = tf.Graph()
    with graph.as_default():
        tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], name="image")
    (tmp_path / "graph.bin").write_bytes(graph.as_graph_def().SerializeToString())
    assert model_format(tmp_path / "graph.bin") == "frozen graph"
    (tmp_path / "model.bin").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert model_format(tmp_path / "model.bin") == "keras"
