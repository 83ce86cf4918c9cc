"""Networks of a few layers for attribution: what is behind a layer is known, and most layers are no
bottleneck.
"""

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle
from tests.built_bundle import Build, bundle_of

SIDE = 12
CLASSES = 5


def drawn(seed: int, *shape: int) -> tf.Tensor:
    """Draw weights such that activations keep their size from layer to layer."""
    spread = np.sqrt(2 / np.prod(shape[:-1]))
    return tf.constant(np.random.default_rng(seed).normal(0, spread, shape), tf.float32)


def convolved(x: tf.Tensor, seed: int, channels: int, side: int = 3, stride: int = 1) -> tf.Tensor:
    bias = tf.constant(np.random.default_rng(seed + 100).normal(0, 0.3, channels), tf.float32)
    return tf.nn.bias_add(
        tf.nn.conv2d(x, drawn(seed, side, side, int(x.shape[-1]), channels), stride, "SAME"), bias
    )


def dense(x: tf.Tensor, seed: int, channels: int = CLASSES) -> tf.Tensor:
    bias = tf.constant(np.random.default_rng(seed + 100).normal(0, 0.3, channels), tf.float32)
    return tf.nn.bias_add(tf.linalg.matmul(x, drawn(seed, int(x.shape[-1]), channels)), bias)


def residual(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build a stem, a branch that comes back to it, pooling, and a layer that the logits do not
    depend on.
    """
    stem = tf.nn.swish(convolved(x, 1, 6, stride=2))
    aside = tf.nn.relu(convolved(stem, 2, 4))
    branch = tf.nn.relu6(
        tf.nn.depthwise_conv2d(
            convolved(stem, 3, 9, side=1), drawn(4, 3, 3, 9, 1), [1, 1, 1, 1], "SAME"
        )
    )
    block = stem + convolved(branch, 5, 6, side=1)
    pooled = tf.nn.max_pool2d(block, 2, 2, "SAME")
    joined = tf.nn.swish(convolved(pooled, 6, 7))
    vector = tf.reduce_mean(joined, [1, 2])
    layers = {
        "stem": stem,
        "aside": aside,
        "branch": branch,
        "block": block,
        "pooled": pooled,
        "joined": joined,
        "vector": vector,
    }
    return layers | {"logits": dense(vector, 7)}


def gated(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build a squeeze and excitation: a gate of a vector, multiplied with the map that it was made
    of.
    """
    stem = tf.nn.swish(convolved(x, 11, 8, stride=2))
    gate = tf.sigmoid(dense(tf.reduce_mean(stem, [1, 2]), 12, 8))
    weighed = stem * gate[:, None, None, :]
    head = tf.nn.relu(convolved(weighed, 13, 7, side=1))
    return {
        "stem": stem,
        "gate": gate,
        "weighed": weighed,
        "head": head,
        "logits": dense(tf.reduce_mean(head, [1, 2]), 14),
    }


def with_image(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build a layer that the image itself goes around."""
    first = tf.nn.relu(convolved(x, 31, 5))
    both = tf.nn.swish(convolved(tf.concat([x, first], 3), 32, 6, stride=2))
    return {"first": first, "both": both, "logits": dense(tf.reduce_mean(both, [1, 2]), 33)}


def linear_behind(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build a layer that is not linear in the image, and behind it only layers that are linear."""
    bent = tf.nn.relu(convolved(x, 21, 6, stride=2))
    second = convolved(bent, 22, 5)
    third = convolved(second, 23, 4, side=1) + tf.nn.conv2d(bent, drawn(24, 1, 1, 6, 4), 1, "SAME")
    return {
        "bent": bent,
        "second": second,
        "third": third,
        "logits": dense(tf.reduce_mean(third, [1, 2]), 25),
    }


BUILT: dict[str, Build] = {
    "residual": residual,
    "gated": gated,
    "with image": with_image,
    "linear": linear_behind,
}


def built(name: str) -> Bundle:
    return bundle_of(BUILT[name], side=SIDE)


def images(count: int, side: int = SIDE, seed: int = 3) -> np.ndarray:
    """Draw pictures of some blocks of colour, which drive a network further than noise does,
    float32 `[count, side, side, 3]`.
    """
    coarse = np.random.default_rng(seed).uniform(0, 1, (count, 4, 4, 3))
    return np.kron(coarse, np.ones((1, side // 4, side // 4, 1))).astype(np.float32)
