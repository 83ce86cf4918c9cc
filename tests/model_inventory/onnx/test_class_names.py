"""Names of classes in an ONNX file become labels, and are not trusted."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from diamond_cutter.model_inventory.card import ClassLabel
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.heads import choose_output
from diamond_cutter.model_inventory.onnx.importing import read_onnx_model
from diamond_cutter.model_inventory.user_models import ImportOptions, import_user_model
from tests.model_inventory.onnx.files import classifier

UNSCALED = ImportOptions(value_range=(0.0, 1.0))
NAMES = ("ant", "Naïve bee", "wasp, hornet", 'bird\'s "eye"')


def changed(path: Path, *changes: Callable[[onnx.ModelProto], object]) -> Path:
    """Write a classifier of four classes with changes."""
    model = onnx.load(classifier(path))
    for change in changes:
        change(model)
    path.write_bytes(model.SerializeToString())
    return path


def class_label(model: onnx.ModelProto) -> None:
    """Let a file return the name of the highest class, as those of Custom Vision do."""
    model.graph.initializer.append(
        helper.make_tensor("labels", TensorProto.STRING, [1, 4], [name.encode() for name in NAMES])
    )
    model.graph.node.append(helper.make_node("ArgMax", ["output"], ["best"], axis=1, keepdims=0))
    model.graph.node.append(
        helper.make_node(
            "ArrayFeatureExtractor", ["labels", "best"], ["classLabel"], domain="ai.onnx.ml"
        )
    )
    outputs = [*model.graph.output]
    del model.graph.output[:]
    label = helper.make_tensor_value_info("classLabel", TensorProto.STRING, [1])
    model.graph.output.extend([label, *outputs])


def zip_map(model: onnx.ModelProto) -> None:
    """Let a file return a map of names and scores."""
    model.graph.node.append(
        helper.make_node(
            "ZipMap", ["output"], ["loss"], domain="ai.onnx.ml", classlabels_strings=NAMES
        )
    )
    scores = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    mapped = helper.make_map_type_proto(TensorProto.STRING, scores)
    del model.graph.output[:]
    model.graph.output.append(
        helper.make_value_info("loss", helper.make_sequence_type_proto(mapped))
    )


def metadata(text: str) -> Callable[[onnx.ModelProto], object]:
    return lambda model: model.metadata_props.add(key="names", value=text)


@pytest.mark.parametrize(
    "changes",
    [
        (zip_map,),
        (zip_map, class_label),
        (class_label,),
        (metadata(repr(dict(enumerate(NAMES)))),),
        (metadata(r"""['ant', "Naïve bee", 'wasp, hornet', 'bird\'s "eye"']"""),),
    ],
    ids=["map", "map and label", "label", "dictionary", "list"],
)
def test_names_in_the_file_are_read(
    tmp_path: Path, changes: tuple[Callable[[onnx.ModelProto], object], ...]
) -> None:
    model = read_onnx_model(changed(tmp_path / "model.onnx", *changes), choose_output)
    assert model.class_names == NAMES
    assert [output.name for output in model.outputs] == ["output"]


@pytest.mark.parametrize(
    "text",
    [
        "{0: 'ant', 2: 'bee'}",
        "{0: 'ant', 0: 'bee'}",
        "{0: __import__('os').getcwd()}",
        "{0: 'a\\nt'}",
        "{0: 'an\x1bt'}",
        "[' ']",
        "{0: 'ant'",
        "[" * 100_000 + "]" * 100_000,
        "['a'," * 500_000 + "]",
        "{}",
        "",
    ],
)
def test_text_that_is_no_list_of_names_is_ignored(tmp_path: Path, text: str) -> None:
    path = changed(tmp_path / "model.onnx", metadata(text))
    assert read_onnx_model(path, choose_output).class_names == ()


def test_names_are_labels_if_they_fit_and_the_user_gives_none(tmp_path: Path) -> None:
    path = changed(tmp_path / "model.onnx", zip_map)
    imported = import_user_model(path, "mine", options=UNSCALED)
    assert imported.bundle.card.class_names == NAMES
    assert imported.guesses[0].startswith("that its classes are ant, Naïve bee, wasp, hornet and 1")
    given = [ClassLabel(name=letter) for letter in "abcd"]
    assert import_user_model(path, "mine", given, UNSCALED).bundle.card.class_names == tuple("abcd")
    path = changed(tmp_path / "five.onnx", metadata("['a', 'b', 'c', 'd', 'e']"))
    assert not import_user_model(path, "mine", options=UNSCALED).bundle.card.class_names


def test_a_file_that_returns_only_a_name_is_refused(tmp_path: Path) -> None:
    def without_scores(model: onnx.ModelProto) -> None:
        model.graph.output.pop()

    path = changed(tmp_path / "model.onnx", class_label, without_scores)
    with pytest.raises(BadModel, match=r"returns no scores: expected .+, found classLabel\."):
        read_onnx_model(path, choose_output)
