"""Makes small ONNX files, and runs them with onnxruntime."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper, save

Array = npt.NDArray[Any]
IMAGE = ("batch", 3, 12, 16)


def weights(*shape: int, seed: int = 0) -> Array:
    """Return weights of a normal distribution."""
    return np.random.default_rng(seed).normal(0, 0.4, shape).astype(np.float32)


def positive(*shape: int, seed: int = 1) -> Array:
    """Return weights between a half and one and a half."""
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape).astype(np.float32)


def whole(*numbers: int) -> Array:
    """Return whole numbers, as shapes and axes are."""
    return np.array(numbers, np.int64)


def onnx_file(
    path: Path,
    nodes: Sequence[NodeProto],
    constants: Mapping[str, Array],
    *,
    image: Sequence[int | str | None] = IMAGE,
    output: str = "output",
    version: int = 18,
) -> Path:
    """Write a model of one image, with float weights."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = [helper.make_opsetid("", version)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def run(path: Path, images: Array, output: str | None = None) -> Array:
    """Return an output of a file, its only one if omitted, for images as the file takes them."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (found,) = session.run([output] if output else None, {"image": images})
    return np.asarray(found)


def classifier(path: Path, *, version: int = 18, batch: int | str = "batch") -> Path:
    """Write a network of three convolutions, BatchNorm and a dense layer, as PyTorch exports it."""
    nodes = [
        helper.make_node(
            "Conv", ["image", "w1"], ["c1"], "/stem/stem.0/Conv", pads=[1] * 4, strides=[2, 2]
        ),
        helper.make_node(
            "BatchNormalization",
            ["c1", "gamma", "beta", "mean", "variance"],
            ["n1"],
            "/stem/stem.1/BatchNormalization",
            epsilon=1e-5,
        ),
        helper.make_node("Relu", ["n1"], ["r1"], "/stem/stem.2/Relu"),
        helper.make_node(
            "Conv", ["r1", "w2"], ["c2"], "/block/block.0/Conv", pads=[1] * 4, group=8
        ),
        helper.make_node("Add", ["c2", "r1"], ["a2"], "/block/Add"),
        helper.make_node("Relu", ["a2"], ["r2"], "/block/relu/Relu"),
        helper.make_node("GlobalAveragePool", ["r2"], ["p"], "/pool/GlobalAveragePool"),
        helper.make_node("Flatten", ["p"], ["f"], "/Flatten"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["output"], "/fc/Gemm", transB=1),
    ]
    constants = {
        "w1": weights(8, 3, 3, 3),
        "gamma": positive(8),
        "beta": weights(8, seed=2),
        "mean": weights(8, seed=3),
        "variance": positive(8, seed=4),
        "w2": weights(8, 1, 3, 3, seed=5),
        "w3": weights(4, 8, seed=6),
        "b3": weights(4, seed=7),
    }
    return onnx_file(path, nodes, constants, image=(batch, 3, 24, 24), version=version)
