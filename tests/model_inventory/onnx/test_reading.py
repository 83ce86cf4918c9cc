"""Files that are damaged or not safe are refused in one sentence, before anything is computed."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.heads import choose_output
from diamond_cutter.model_inventory.onnx.importing import read_onnx_model
from tests.model_inventory.onnx.files import Array, classifier, onnx_file, weights, whole


def refused(path: Path, match: str) -> None:
    with pytest.raises(BadModel, match=match) as error:
        read_onnx_model(path, choose_output)
    assert "\n" not in str(error.value)


def changed(path: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    model = onnx.load(classifier(path))
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def test_without_the_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = classifier(tmp_path / "model.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    refused(path, r"is an ONNX file, which needs the package onnx\. Run `pip install")


@pytest.mark.parametrize("content", [b"", b"\x08\x08", b"\xff" * 100, b"PK\x03\x04 not onnx"])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    refused(tmp_path / "model.onnx", r"is truncated or not an ONNX file|has no graph")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = classifier(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes()[:-500])
    refused(path, r"is truncated or not an ONNX file|has no graph|no node before it computes")


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\nb"])
def test_a_name_that_is_not_text_is_refused(tmp_path: Path, name: bytes) -> None:
    path = classifier(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes().replace(b"/block/Add"[: len(name)], name, 1))
    refused(path, r"has a name that (is not text|cannot be printed)\. Export or download it again")


def test_a_cycle_is_refused(tmp_path: Path) -> None:
    def turn(model: onnx.ModelProto) -> None:
        model.graph.node[0].input[0] = "r2"

    refused(changed(tmp_path / "model.onnx", turn), r"reads 'r2', which no node before it computes")


def test_a_constant_of_declared_but_absent_numbers_is_refused(tmp_path: Path) -> None:
    def grow(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].dims[:] = [1 << 20, 1 << 20, 3, 3]

    refused(changed(tmp_path / "model.onnx", grow), r"has a damaged constant \(w1: ")


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        (
            [
                helper.make_node("ConstantOfShape", ["huge"], ["k"], "fill"),
                helper.make_node("Add", ["image", "k"], ["output"], "a"),
            ],
            {"huge": whole(1 << 20, 1 << 20)},
        ),
        (
            [helper.make_node("Expand", ["image", "huge"], ["output"], "e")],
            {"huge": whole(1 << 20, 3, 1 << 20, 1)},
        ),
        (
            [
                helper.make_node("Range", ["zero", "many", "one"], ["r"], "r"),
                helper.make_node("Add", ["image", "r"], ["output"], "a"),
            ],
            {
                name: np.array(n, np.int64)
                for name, n in (("zero", 0), ("one", 1), ("many", 1 << 40))
            },
        ),
        (
            [
                *(
                    helper.make_node("Concat", [f"k{i}"] * 2, [f"k{i + 1}"], f"k{i}", axis=0)
                    for i in range(60)
                ),
                helper.make_node("Gather", ["image", "k60"], ["output"], "a", axis=1),
            ],
            {"k0": whole(0)},
        ),
    ],
    ids=["fill", "expand", "range", "doubled"],
)
def test_values_that_would_fill_the_memory_are_refused(
    tmp_path: Path, nodes: list[onnx.NodeProto], constants: dict[str, Array]
) -> None:
    path = onnx_file(tmp_path / "model.onnx", nodes, constants)
    refused(path, r"cannot be imported: its output is too large: expected at most")


@pytest.mark.parametrize(
    ("image", "match"),
    [
        (("n", 3), r"does not take images: expected floats or uint8 \[batch, "),
        (("n", "c", 8, 8), r"does not say how many channels its images have"),
        ((1, 3, 100_000, 8), r"takes images that are too large"),
    ],
)
def test_an_input_that_is_no_image_is_refused(
    tmp_path: Path, image: tuple[int | str, ...], match: str
) -> None:
    nodes = [helper.make_node("Relu", ["image"], ["output"], "r")]
    refused(onnx_file(tmp_path / "model.onnx", nodes, {}, image=image), match)


def test_two_inputs_are_refused_by_name(tmp_path: Path) -> None:
    def add(model: onnx.ModelProto) -> None:
        model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))

    path = changed(tmp_path / "model.onnx", add)
    refused(path, r"has 2 inputs: expected 1, found image, mask\. Export it with one input")


def test_old_operators_are_refused(tmp_path: Path) -> None:
    def age(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = 5

    refused(changed(tmp_path / "model.onnx", age), r"uses operator set 5 of ONNX: expected 7 or")


def test_operators_of_others_are_refused_by_name(tmp_path: Path) -> None:
    def claim(model: onnx.ModelProto) -> None:
        model.graph.node[0].domain = "com.microsoft"

    path = changed(tmp_path / "model.onnx", claim)
    refused(path, r"the operator Conv of com.microsoft of the node stem.0 is not supported")


@pytest.mark.parametrize(
    ("operators", "found"),
    [
        (["QuantizeLinear", "DequantizeLinear"], r"uint8 \(QuantizeLinear in quantizelinear\)"),
        (["QLinearConv"], r"uint8 \(QLinearConv in qlinearconv\)"),
        (["DynamicQuantizeLinear", "ConvInteger"], r"uint8 \(ConvInteger in convinteger\)"),
        (["MatMulNBits"], r"uint8 \(MatMulNBits in matmulnbits\)"),
        (["QGemm"], r"uint8 \(QGemm in qgemm\)"),
    ],
)
def test_a_quantised_file_is_named_as_a_whole(
    tmp_path: Path, operators: list[str], found: str
) -> None:
    between = ["image", *operators[1:], "output"]
    nodes = [
        helper.make_node(op, [before, *(["w"] if "Dynamic" not in op else [])], [to], op.lower())
        for op, (before, to) in zip(operators, pairwise(between), strict=True)
    ]
    path = onnx_file(tmp_path / "model.onnx", nodes, {"w": np.ones([4, 3, 1, 1], np.uint8)})
    refused(path, rf"is quantised: expected weights .+, found {found}\. Give the model from before")


def external(path: Path, location: str, **entries: str) -> Path:
    """Write a classifier whose first weights lie in another file."""

    def move(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **entries}.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value

    return changed(path, move)


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    path = external(tmp_path / "model.onnx", "model.data", offset="8", length=str(8 * 27 * 4))
    (tmp_path / "model.data").write_bytes(bytes(8) + weights(8, 3, 3, 3).tobytes())
    whole_file = classifier(tmp_path / "whole.onnx")
    assert (
        read_onnx_model(path, choose_output).graph
        == read_onnx_model(whole_file, choose_output).graph
    )
    (tmp_path / "model.data").write_bytes(bytes(80))
    refused(path, r"the weights of model.onnx in .+model.data cannot be read \(w1: the file is too")


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../b", "C:\\x", "", "link"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(4000))
    (folder / "link").symlink_to(tmp_path / "secret")
    path = external(folder / "model.onnx", location)
    refused(path, r"names weights outside its folder|cannot be read")


def halved(path: Path) -> Path:
    """Write a classifier in float16."""

    def halve(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.elem_type = TensorProto.FLOAT16

    return changed(path, halve)


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    model = read_onnx_model(halved(tmp_path / "model.onnx"), choose_output)
    assert {node.attr["dtype"].type for node in model.graph.node if node.op == "Const"} <= {1, 3}
