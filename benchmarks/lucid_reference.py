"""Imports lucid 0.3.10, written for TensorFlow 1, beside TensorFlow 2, and gives it our models.

Lucid is the reference of tests and benchmarks, for objectives, colours, scores and `render_vis`.
While its modules are imported, `tensorflow` is TensorFlow 2's `compat.v1`. They keep it, and all
other modules keep TensorFlow 2. Lucid's renderer needs one function of `tensorflow.contrib`, which
TensorFlow 2 has not.
"""

import functools
import importlib
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, parse_graph
from diamond_cutter.model_inventory.graph.graph_def import node_name


class LucidMissing(Exception):
    """Lucid is not installed; the text says how to install it."""


class Lucid(NamedTuple):
    """The modules of lucid that tests and benchmarks use."""

    objectives: Any
    param: Any
    color: Any
    render: Any
    transform: Any
    vision_base: Any


@functools.cache
def import_lucid() -> Lucid:
    """Import lucid under TensorFlow 2.

    Raises:
        LucidMissing: it is not installed.
    """
    try:
        with tensorflow_1(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lucid's syntax is deprecated by now
            names = (
                "optvis.objectives",
                "optvis.param",
                "optvis.param.color",
                "optvis.render",
                "optvis.transform",
                "modelzoo.vision_base",
            )
            return Lucid(*(importlib.import_module(f"lucid.{name}") for name in names))
    except ModuleNotFoundError as error:
        raise LucidMissing(
            f"lucid cannot be imported ({error}). Run `uv sync --group lucid`"
        ) from error


def lucid_model(bundle: Bundle) -> Any:
    """Return a lucid `Model` of the bundle's graph; `T('block_3/add')` finds its tensors."""
    model = import_lucid().vision_base.Model()
    model.model_name = bundle.card.name
    model.input_name = node_name(bundle.card.input_tensor)
    model.image_shape = list(bundle.card.image.shape)
    (model.image_value_range,) = bundle.card.image.value_range
    model._graph_def = parse_graph(bundle)
    return model


@contextmanager
def tensorflow_1() -> Iterator[None]:
    """Let `import tensorflow` mean TensorFlow 1 within this context."""
    v1 = tf.compat.v1
    contrib = types.ModuleType("tensorflow.contrib")
    contrib.slim = types.ModuleType("tensorflow.contrib.slim")  # type: ignore[attr-defined]  # touched by CPPN images only
    contrib.image = types.SimpleNamespace(rotate=_rotate)  # type: ignore[attr-defined]
    v1.contrib = contrib
    replaced = {
        "tensorflow": v1,
        "tensorflow.contrib": contrib,
        "tensorflow.contrib.slim": contrib.slim,
    }
    saved = {name: sys.modules.get(name) for name in replaced}
    sys.modules.update(replaced)
    try:
        yield
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _rotate(images: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
    """Turn images as TensorFlow 1's `contrib.image.rotate`: nearest neighbour, 0 outside."""
    shape = tf.cast(tf.shape(images)[1:3] - 1, tf.float32)
    height, width = shape[0], shape[1]
    cosine, sine = tf.cos(angle), tf.sin(angle)
    column = (width - (cosine * width - sine * height)) / 2.0
    row = (height - (sine * width + cosine * height)) / 2.0
    zero = tf.zeros([])
    return tf.raw_ops.ImageProjectiveTransformV2(
        images=images,
        transforms=tf.stack([cosine, -sine, column, sine, cosine, row, zero, zero])[None],
        output_shape=tf.shape(images)[1:3],
        interpolation="NEAREST",
    )
