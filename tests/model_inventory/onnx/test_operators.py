"""Each operator computes what onnxruntime computes, also for two images and another size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from onnx import NodeProto, helper

from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.model_inventory.heads import choose_output
from diamond_cutter.model_inventory.onnx.importing import read_onnx_model
from tests.model_inventory.onnx.files import Array, onnx_file, positive, run, weights, whole

Case = tuple[list[NodeProto], Mapping[str, Array], int]


def node(op: str, *inputs: str, to: str = "output", **attributes: Any) -> NodeProto:
    return helper.make_node(op, ["image", *inputs], [to], op.lower(), **attributes)


def then(op: str, *inputs: str, to: str = "output", **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs, [to], f"then_{op.lower()}_{to}", **attributes)


def case(*nodes: NodeProto, version: int = 18, **constants: Array) -> Case:
    return list(nodes), constants, version


def pool(op: str, **attributes: Any) -> Case:
    return case(node(op, **attributes))


W = weights(4, 3, 3, 3)
SCALAR = np.float32(1.7)
EACH = weights(3, 1, 1, seed=8)
CASES: dict[str, Case] = {
    "conv with padding": case(node("Conv", "w", "b", pads=[1] * 4), w=W, b=weights(4)),
    "conv with uneven padding": case(node("Conv", "w", pads=[2, 0, 1, 3], strides=[2, 1]), w=W),
    "conv with strides": case(node("Conv", "w", pads=[1] * 4, strides=[2, 2]), w=W),
    "conv dilated": case(node("Conv", "w", pads=[2] * 4, dilations=[2, 2]), w=W),
    "conv padded as same": case(node("Conv", "w", auto_pad="SAME_UPPER", strides=[2, 2]), w=W),
    "conv in groups": case(
        node("Conv", "w", to="c"), then("Conv", "c", "v", group=2), w=W, v=weights(6, 2, 3, 3)
    ),
    "conv of each channel": case(
        node("Conv", "w", group=3, pads=[1] * 4, strides=[2, 2]), w=weights(6, 1, 3, 3)
    ),
    "conv of each channel dilated": case(
        node("Conv", "w", group=3, pads=[2] * 4, dilations=[2, 2]), w=weights(3, 1, 3, 3)
    ),
    "transposed conv": case(
        node("ConvTranspose", "w", "b", strides=[2, 2], pads=[1, 0, 1, 1], output_padding=[1, 0]),
        w=weights(3, 4, 3, 3),
        b=weights(4),
    ),
    "transposed conv in groups": case(
        node("ConvTranspose", "w", group=3, strides=[2, 2]), w=weights(3, 2, 2, 2)
    ),
    "max pool": pool("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
    "max pool rounding up": pool("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "average pool": pool("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "average pool without padding counted": pool(
        "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4
    ),
    "average pool with padding counted": pool(
        "AveragePool", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1
    ),
    "average pool rounding up": pool(
        "AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1
    ),
    "global max pool": pool("GlobalMaxPool"),
    "local response": pool("LRN", size=3, alpha=0.1, beta=0.7, bias=2.0),
    "batch norm": case(
        node("BatchNormalization", "g", "b", "m", "v"),
        g=positive(3),
        b=weights(3),
        m=weights(3),
        v=positive(3),
    ),
    "instance norm": case(node("InstanceNormalization", "g", "b"), g=positive(3), b=weights(3)),
    "group norm as PyTorch exports it": case(
        node("Conv", "w", to="c"),
        then("Reshape", "c", "flat", to="r"),
        then("InstanceNormalization", "r", "one", "zero", to="i"),
        then("Shape", "c", to="s"),
        then("Reshape", "i", "s"),
        w=W,
        flat=whole(0, 2, -1),
        one=np.ones(2, np.float32),
        zero=np.zeros(2, np.float32),
    ),
    "group norm": case(
        node("Conv", "w", to="c"),
        then("GroupNormalization", "c", "g", "b", num_groups=2),
        version=21,
        w=W,
        g=positive(4),
        b=weights(4),
    ),
    "layer norm over channels": case(
        node("Transpose", to="t", perm=[0, 2, 3, 1]),
        then("LayerNormalization", "t", "g", "b", to="n"),
        then("MatMul", "n", "d", to="m"),
        then("Add", "m", "o", to="a"),
        then("Transpose", "a", perm=[0, 3, 1, 2]),
        g=positive(3),
        b=weights(3),
        d=weights(3, 5),
        o=weights(5),
    ),
    "relu6": case(node("Clip", "low", "high"), low=np.float32(0), high=np.float32(6)),
    "clip": case(node("Clip", "low"), low=np.float32(-0.3)),
    "clip of old": case(node("Clip", min=-0.2, max=0.4), version=9),
    **{
        op: case(node(op))
        for op in (
            "Relu Sigmoid Tanh Softplus Softsign Erf Exp Abs Neg Elu Selu HardSwish HardSigmoid "
            "LeakyRelu Floor Mish"
        ).split()
    },
    "hard sigmoid of PyTorch": case(node("HardSigmoid", alpha=1 / 6, beta=0.5)),
    "elu of another slope": case(node("Elu", alpha=0.4)),
    "celu": case(node("Celu", alpha=0.4)),
    "gelu": case(node("Gelu"), version=20),
    "prelu": case(node("PRelu", "slope"), slope=EACH),
    "add for each channel": case(node("Add", "each"), each=EACH),
    "scale": case(node("Mul", "s", to="m"), then("Sub", "o", "m"), s=SCALAR, o=EACH),
    "power and root": case(
        node("Pow", "two", to="p"), then("Sqrt", "p"), two=np.array(2, np.int64)
    ),
    "divide": case(node("Div", "d"), d=positive(1, 3, 1, 1)),
    "squeeze and excite": case(
        node("GlobalAveragePool", to="p"),
        then("Flatten", "p", to="f"),
        then("Gemm", "f", "d", to="g", transB=1, alpha=0.5),
        then("Unsqueeze", "g", "axes", to="u"),
        then("Sigmoid", "u", to="s"),
        then("Mul", "image", "s"),
        d=weights(3, 3),
        axes=whole(2, 3),
    ),
    "mean without axes kept": case(node("ReduceMean", "axes", keepdims=0), axes=whole(2, 3)),
    "mean of old": case(node("ReduceMean", axes=[-1, -2], keepdims=1), version=13),
    "length": case(node("ReduceL2", "axes"), axes=whole(1)),
    "concat": case(node("Relu", to="r"), then("Concat", "r", "image", axis=1)),
    "split": case(
        helper.make_node("Split", ["image", "sizes"], ["a", "b"], "split", axis=1),
        then("Concat", "b", "a", axis=1),
        sizes=whole(1, 2),
    ),
    "slice": case(
        node("Slice", "from", "to", "axes", "steps"),
        **{"from": whole(1, -1), "to": whole(9, -999), "axes": whole(2, 1), "steps": whole(2, -1)},
    ),
    "gather": case(node("Gather", "order", axis=1), order=whole(2, 0, -1)),
    "pad": case(node("Pad", "pads"), pads=whole(0, 0, 1, 2, 0, 0, 3, 0)),
    "pad by reflection": case(
        node("Pad", "pads", mode="reflect"), pads=whole(0, 0, 1, 2, 0, 0, 3, 0)
    ),
    "nearest": case(
        node(
            "Resize",
            "",
            "scales",
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        scales=np.array([1, 1, 2, 2], np.float32),
    ),
    "linear": case(
        node("Resize", "", "scales", mode="linear"), scales=np.array([1, 1, 2, 2], np.float32)
    ),
    "linear with aligned corners": case(
        node(
            "Resize",
            "",
            "scales",
            mode="linear",
            coordinate_transformation_mode="align_corners",
        ),
        scales=np.array([1, 1, 2, 2], np.float32),
    ),
    "softmax": case(
        node("GlobalAveragePool", to="p"),
        then("Flatten", "p", to="f"),
        then("Softmax", "f", axis=1),
    ),
    "dropout": case(node("Relu", to="r"), then("Dropout", "r")),
    "weights that are computed": case(
        then("Mul", "w", "s", to="v"), node("Conv", "v"), w=W, s=weights(4, 1, 1, 1)
    ),
    "reshape of an attention": case(
        node("Reshape", "flat", to="r"),
        then("Transpose", "r", to="t", perm=[0, 2, 1]),
        then("MatMul", "r", "t", to="m"),
        then("Softmax", "m", axis=-1, to="s"),
        then("MatMul", "s", "r"),
        flat=whole(0, 0, -1),
    ),
}


@pytest.mark.slow
def test_operators_compute_what_onnxruntime_computes(tmp_path: Path) -> None:
    assert not _wrong(CASES, tmp_path)


def _wrong(cases: Mapping[str, Case], tmp_path: Path) -> dict[str, float | str]:
    wrong: dict[str, float | str] = {}
    for name, (nodes, constants, version) in cases.items():
        path = onnx_file(
            tmp_path / "case.onnx", nodes, constants, image=("n", 3, "h", "w"), version=version
        )
        try:
            difference = _difference(path)
        except Exception as error:
            difference = f"{type(error).__name__}: {error}"
        if not isinstance(difference, float) or difference > 1e-4:
            wrong[name] = difference
    return wrong


SHAPES = ((1, 20, 20, 3), (2, 13, 18, 3))


def _difference(path: Path, shapes: Sequence[tuple[int, ...]] = SHAPES) -> float | str:
    model = read_onnx_model(path, choose_output, 20)
    stream = np.random.default_rng(0)
    largest = 0.0
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
        (output,) = run_inside(model.graph, model.input_tensor, images, [model.output_tensor])
        for shape in shapes:
            array = stream.normal(0, 2, shape).astype(np.float32)
            expected = run(path, array.transpose(0, 3, 1, 2))
            if expected.ndim == 4:
                expected = expected.transpose(0, 2, 3, 1)
            found = session.run(output, {images: array})
            if found.shape != expected.shape:
                return f"{found.shape} instead of {expected.shape}"
            largest = max(largest, float(np.abs(found - expected).max()))
    return largest


def test_an_image_is_resized_to_the_size_at_export(tmp_path: Path) -> None:
    resized = node("Resize", "", "", "sizes", mode="linear")
    sizes = {"sizes": whole(1, 3, 40, 30)}
    path = onnx_file(tmp_path / "case.onnx", [resized], sizes, image=("n", 3, 20, 20), version=18)
    assert _difference(path, SHAPES[:1]) == pytest.approx(0, abs=1e-4)


def chosen(*conditions: NodeProto) -> Case:
    """Return a case that takes the image where the condition `c` holds, and else another number."""
    return case(*conditions, then("Where", "c", "image", "s"), each=EACH, s=SCALAR)


FLAT = (node("GlobalAveragePool", to="p"), then("Flatten", "p", to="f"))
RARE: dict[str, Case] = {
    **{op: case(node(op)) for op in "Ceil Cos Round Sign Sin".split()},
    "identity": case(node("Identity", to="i"), then("Relu", "i")),
    "log": case(node("Softplus", to="p"), then("Log", "p")),
    "reciprocal": case(
        node("Relu", to="r"), then("Add", "r", "s", to="a"), then("Reciprocal", "a"), s=SCALAR
    ),
    "relu above a threshold": case(node("ThresholdedRelu", alpha=0.7)),
    **{op: case(node(op, "each", "s"), each=EACH, s=SCALAR) for op in "Max Mean Min Sum".split()},
    "remainder": case(node("Mod", "d", fmod=1), d=positive(1, 3, 1, 1)),
    **{
        op: chosen(node(op, "each", to="c"))
        for op in "Greater GreaterOrEqual Less LessOrEqual".split()
    },
    "equal": chosen(node("Relu", to="r"), then("Equal", "r", "image", to="c")),
    "not and": chosen(
        node("Greater", "each", to="a"),
        node("Less", "s", to="b"),
        then("And", "a", "b", to="d"),
        then("Not", "d", to="c"),
    ),
    "or": chosen(
        node("Greater", "s", to="a"), node("Less", "each", to="b"), then("Or", "a", "b", to="c")
    ),
    **{
        op: case(node(op, "axes"), axes=whole(2, 3))
        for op in "ReduceL1 ReduceMax ReduceMin ReduceSum".split()
    },
    "sum of squares": case(node("Tanh", to="t"), then("ReduceSumSquare", "t", "a"), a=whole(1)),
    "product": case(node("ReduceProd", "axes", keepdims=0), axes=whole(1)),
    "length of 1": case(node("LpNormalization", axis=1, p=1)),
    "length of 2": case(node("LpNormalization", axis=1)),
    "log softmax": case(*FLAT, then("LogSoftmax", "f", axis=1)),
    "squeeze": case(
        node("GlobalAveragePool", to="p"), then("Squeeze", "p", "axes"), axes=whole(2, 3)
    ),
    "tile": case(node("Tile", "times"), times=whole(1, 2, 1, 3)),
    "expand": case(
        node("ReduceMax", "channels", to="m"),
        then("Expand", "m", "shape"),
        channels=whole(1),
        shape=whole(1, 3, 1, 1),
    ),
    "depth to space": case(node("Conv", "w", to="c"), then("DepthToSpace", "c", blocksize=2), w=W),
    "upsample": case(
        node("Upsample", "scales", mode="nearest"),
        version=9,
        scales=np.array([1, 1, 2, 2], np.float32),
    ),
    "constants that are computed": case(
        then("Range", "from", "to", "by", to="r"),
        then("Size", "r", to="n"),
        helper.make_node("Cast", ["n"], ["m"], "cast", to=1),
        then("ConstantOfShape", "ones", to="z"),
        then("Add", "z", "m", to="a"),
        node("Mul", "a"),
        ones=whole(1, 1, 1, 1),
        **{"from": np.array(1), "to": np.array(8), "by": np.array(2)},
    ),
}


@pytest.mark.slow
def test_rare_operators_compute_what_onnxruntime_computes(tmp_path: Path) -> None:
    assert not _wrong(RARE, tmp_path)
