"""Makes small ONNX files with each kind of head or other properties, for `tools.tried_files`."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from tests.model_inventory.onnx.files import classifier, onnx_file, run, weights
from tests.model_inventory.onnx.test_class_names import changed, class_label
from tests.model_inventory.onnx.test_reading import external, halved
from tools.file_makers import ENDINGS, PIXELS, SIDE, MadeFile, noise


def onnx_maker(*, channels_last: bool) -> Callable[[Path, str], MadeFile]:
    """Return a function that writes a file as PyTorch exports it, or as tf2onnx does.

    tf2onnx keeps images `[batch, height, width, channel]`, and transposes them inside.
    """

    def make(folder: Path, head: str) -> MadeFile:
        images, path = noise(1, SIDE, SIDE, 3), folder / "model.onnx"
        _write(path, head, channels_last=channels_last)
        output = run(path, images if channels_last else images.transpose(0, 3, 1, 2), "output")
        if output.ndim == 4 and not channels_last:
            output = output.transpose(0, 2, 3, 1)
        return MadeFile(path, images, output, ENDINGS[head])

    return make


def _write(path: Path, head: str, *, channels_last: bool) -> None:
    image = "first" if channels_last else "image"
    nodes = [
        helper.make_node("Conv", [image, "w1"], ["c1"], "conv1", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "conv2", strides=[2, 2]),
        helper.make_node("Relu", ["c2"], ["map"], "relu2"),
        *_head(head),
    ]
    shape: tuple[int | str, ...] = ("batch", 3, SIDE, SIDE)
    if channels_last:
        shape = ("batch", SIDE, SIDE, 3)
        nodes.insert(0, _node("Transpose", ["image"], "first", perm=[0, 3, 1, 2]))
        if head in ("segmentation", "1 x 1 map", "no head"):
            nodes.append(_node("Transpose", [nodes[-1].output[0]], "last", perm=[0, 2, 3, 1]))
    nodes[-1].output[0] = "output"
    constants = {
        "w1": weights(6, 3, 3, 3),
        "w2": weights(8, 6, 3, 3, seed=1),
        "dense": weights(8, 1 if head.startswith("one") else 3, seed=2),
        "dense_boxes": weights(8, 4, seed=3),
        "pointwise": weights(3, 8, 1, 1, seed=4),
    }
    onnx_file(path, nodes, constants, image=shape)
    if head == "several outputs":
        model = onnx.load(path)
        model.graph.output.insert(
            0, helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["batch", 4])
        )
        onnx.save(model, path)


def _head(head: str) -> list[NodeProto]:
    """Return the nodes behind the tensor `map`; the last one makes the output."""
    pool = _node("GlobalAveragePool", ["map"], "pool")
    flat = [pool, _node("Flatten", ["pool"], "flat")]
    scores = [*flat, _node("MatMul", ["flat", "dense"], "scores")]
    match head:
        case "softmax":
            return [*scores, _node("Softmax", ["scores"], "softmax", axis=1)]
        case "one sigmoid" | "sigmoid for each class":
            return [*scores, _node("Sigmoid", ["scores"], "sigmoid")]
        case "1 x 1 map":
            pointwise = _node("Conv", ["pool", "pointwise"], "scores")
            return [pool, pointwise, _node("Softmax", ["scores"], "softmax", axis=1)]
        case "several outputs":
            boxes = _node("MatMul", ["flat", "dense_boxes"], "boxes")
            return [*scores, boxes, _node("Softmax", ["scores"], "softmax", axis=1)]
        case "segmentation":
            pointwise = _node("Conv", ["map", "pointwise"], "scores")
            return [pointwise, _node("Softmax", ["scores"], "softmax", axis=1)]
        case "no head":
            return []
        case _:
            return scores


def _node(operator: str, inputs: list[str], name: str, **attributes: object) -> NodeProto:
    """Return a node whose output has its name."""
    return helper.make_node(operator, inputs, [name], name, **attributes)


def _of_classifier(path: Path, dtype: str = "float32") -> MadeFile:
    images = noise(1, 24, 24, 3)
    return MadeFile(path, images, run(path, images.transpose(0, 3, 1, 2).astype(dtype)))


def classifier_maker(version: int = 18, batch: int | str = "batch") -> Callable[[Path], MadeFile]:
    """Return a function that writes a classifier for a version of the operators and a batch."""

    def make(folder: Path) -> MadeFile:
        return _of_classifier(classifier(folder / "model.onnx", version=version, batch=batch))

    return make


def float16_classifier(folder: Path) -> MadeFile:
    """Write a classifier in float16."""
    return _of_classifier(halved(folder / "model.onnx"), "float16")


def split_classifier(folder: Path) -> MadeFile:
    """Write a classifier with some weights in a second file."""
    path = external(folder / "model.onnx", "model.onnx.data")
    (folder / "model.onnx.data").write_bytes(weights(8, 3, 3, 3).tobytes())
    return _of_classifier(path)


def naming_classifier(folder: Path) -> MadeFile:
    """Write a classifier that returns the name of the highest class, too."""
    made = _of_classifier(classifier(folder / "plain.onnx"))
    return dataclasses.replace(made, path=changed(folder / "model.onnx", class_label))


def whole_number_images(folder: Path) -> MadeFile:
    """Write a network that takes images of uint8, which it turns into floats."""
    made = onnx_maker(channels_last=True)(folder, "logits")
    model = onnx.load(made.path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.node[0].input[0] = "floats"
    cast = helper.make_node("Cast", ["image"], ["floats"], "cast", to=TensorProto.FLOAT)
    model.graph.node.insert(0, cast)
    onnx.save(model, made.path)
    output = run(made.path, np.round(made.images * 255).astype(np.uint8))
    return dataclasses.replace(made, output=output, options=PIXELS)
