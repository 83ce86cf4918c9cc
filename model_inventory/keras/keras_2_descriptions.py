"""Checks descriptions of layers by Keras 2 (TensorFlow 2.3 to 2.15) before tf-keras sees them.

Keras 2 finds classes and functions by names in the file, and imports the modules that it names. So
only known names pass, and each known class is looked up here instead.
"""

import functools
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.allowed_operations import ALLOWED_OPERATIONS
from diamond_cutter.model_inventory.keras.layer_descriptions import (
    described_objects,
    drop_foreign_initialisers,
    export_remedy,
    layer_in_brackets,
    refuse_code,
)
from diamond_cutter.model_inventory.keras.libraries import keras_2

# How Keras 2 writes values that are no objects.
_VALUES = {"__tuple__", "__ellipsis__", "__bytes__", "__tensor__", "__numpy__", "TensorShape"}
# The columns of a table, which may name files.
_NOT_FOR_IMAGES = {"DenseFeatures"}
_OPERATIONS = {"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"}
# The functions of TensorFlow that a layer may stand for. All compute numbers from numbers. Others
# are found by name as well: `raw_ops.WriteFile`, and samplers of `nn` that read files.
_FUNCTIONS = frozenset(
    """
    cast reshape concat stack unstack split transpose expand_dims squeeze pad tile shape size rank
    slice strided_slice identity stop_gradient convert_to_tensor clip_by_value where zeros_like
    ones_like broadcast_to reverse roll gather gather_nd einsum tensordot repeat norm abs add
    subtract multiply divide truediv maximum minimum pow square sqrt exp sigmoid tanh sin cos
    reduce_mean reduce_sum reduce_max reduce_min reduce_prod matmul
    __operators__.add __operators__.getitem linalg.matmul linalg.norm linalg.l2_normalize
    nn.relu nn.relu6 nn.leaky_relu nn.elu nn.selu nn.crelu nn.silu nn.swish nn.gelu nn.sigmoid
    nn.tanh nn.softplus nn.softsign nn.softmax nn.log_softmax nn.l2_normalize nn.bias_add nn.moments
    nn.conv2d nn.depthwise_conv2d nn.separable_conv2d nn.conv2d_transpose nn.atrous_conv2d
    nn.convolution nn.avg_pool nn.avg_pool2d nn.max_pool nn.max_pool2d nn.pool
    nn.batch_normalization nn.local_response_normalization nn.lrn nn.depth_to_space
    nn.space_to_depth
    image.resize image.resize_with_pad image.resize_with_crop_or_pad image.central_crop
    image.crop_to_bounding_box image.pad_to_bounding_box image.per_image_standardization
    image.rgb_to_grayscale image.grayscale_to_rgb image.flip_left_right image.flip_up_down
    image.convert_image_dtype image.adjust_brightness image.adjust_contrast image.adjust_gamma
    image.adjust_saturation image.adjust_hue image.resize_bilinear image.resize_nearest_neighbor
    image.resize_images image.extract_patches
    keras.activations.relu keras.activations.sigmoid keras.activations.softmax
    keras.activations.tanh keras.activations.swish keras.activations.gelu keras.activations.elu
    keras.activations.selu keras.activations.softplus keras.activations.hard_sigmoid
    keras.backend.mean keras.backend.sum keras.backend.max keras.backend.min keras.backend.abs
    keras.backend.square keras.backend.sqrt keras.backend.exp keras.backend.clip keras.backend.cast
    keras.backend.relu keras.backend.sigmoid keras.backend.hard_sigmoid keras.backend.softmax
    keras.backend.tanh keras.backend.concatenate keras.backend.reshape keras.backend.expand_dims
    keras.backend.squeeze keras.backend.l2_normalize keras.backend.resize_images
    keras.backend.permute_dimensions keras.backend.bias_add
    """.split()
)


def check_keras_2_layers(path: Path, config: dict[str, Any]) -> None:
    """Check the description of the layers in a file of Keras 2: no code, and only known classes.

    The modules in the description are replaced by those of tf-keras. They differ between the
    versions 2.12 to 2.15.

    Args:
        path: the file, for errors.
        config: the description, which is changed.

    Raises:
        BadModel: names the class or function, and its layer.
    """
    drop_foreign_initialisers(config, _is_initialiser)
    for described in described_objects(config):
        refuse_code(path, described, keras_2=True)
        name = described["class_name"]
        if name == "function":
            _check_function(path, described)
        elif name not in _VALUES:
            _check_class(path, described)
        if name in _OPERATIONS:
            _check_operation(path, described)


@functools.cache
def custom_objects() -> Mapping[str, Any]:
    """Return what Keras 2 did not find by itself, and programs named when they loaded a model.

    These are the layers of applications, `relu6` of Keras 2.2, and a dropout that many
    EfficientNets have. For inference it does nothing, as any dropout.
    """
    convnext = importlib.import_module("tf_keras.src.applications.convnext")
    inception = importlib.import_module("tf_keras.src.applications.inception_resnet_v2")
    return {
        "LayerScale": convnext.LayerScale,
        "CustomScaleLayer": inception.CustomScaleLayer,
        "Custom>CustomScaleLayer": inception.CustomScaleLayer,
        "FixedDropout": keras_2().layers.Dropout,
        "relu6": tf.nn.relu6,
    }


def _is_initialiser(name: str) -> bool:
    return name in _classes() or hasattr(keras_2().initializers, name)


def _check_class(path: Path, described: dict[str, Any]) -> None:
    found = _classes().get(described["class_name"])
    if found is None:
        module = described.get("module")
        whose = f"{module}." if module and not str(module).startswith(("keras", "tf_keras")) else ""
        raise BadModel(
            f"{path} needs the class {whose}{described['class_name']}"
            f"{layer_in_brackets(described)}: expected only classes of Keras, because a file must "
            f"not bring code. {export_remedy(keras_2=True)}"
        )
    if "module" in described:
        described |= {
            "class_name": found.__name__,
            "module": found.__module__,
            "registered_name": None,
        }


def _check_function(path: Path, described: dict[str, Any]) -> None:
    """Refuse a function, such as an activation function, that is not one of Keras."""
    name = described.get("config")
    library = keras_2()
    places = (library.activations, library.initializers, library.regularizers, library.constraints)
    if not isinstance(name, str) or not any(hasattr(place, name) for place in places):
        raise BadModel(
            f"{path} needs the function {name}: expected only functions of Keras, because a file "
            f"must not bring code. {export_remedy(keras_2=True)}"
        )
    described |= {"module": "builtins", "registered_name": "function"}


def _check_operation(path: Path, described: Mapping[str, Any]) -> None:
    """Refuse a layer that stands for anything but arithmetic of TensorFlow."""
    inner = described.get("config")
    config = inner if isinstance(inner, dict) else {}
    if described["class_name"] == "TensorFlowOpLayer":  # of TensorFlow 2.3 and before
        node = config.get("node_def")  # tf-keras takes others for serialised operations
        name = str(node.get("op")) if isinstance(node, dict) else "None"
        allowed = name in ALLOWED_OPERATIONS
    else:
        name = str(config.get("function"))
        plain = name.removeprefix("compat.v1.")
        allowed = plain in _FUNCTIONS or plain.startswith("math.")
    if not allowed:
        raise BadModel(
            f"{path} calls the function {name[:80]} of TensorFlow{layer_in_brackets(described)}: "
            "expected arithmetic, because a file must not bring code. "
            f"{export_remedy(keras_2=True)}"
        )


@functools.cache
def _classes() -> Mapping[str, type]:
    """Return the classes that a description may name, by all of their names."""
    library = keras_2()
    places = (
        library.initializers,
        library.regularizers,
        library.constraints,
        library.mixed_precision,
        library.layers.experimental.preprocessing,
        library.layers.experimental,
        library.layers,
    )
    named = {
        name: value
        for place in places
        for name, value in vars(place).items()
        if isinstance(value, type) and name not in _NOT_FOR_IMAGES
    }
    models = importlib.import_module("tf_keras.src.models")
    operations = importlib.import_module("tf_keras.src.layers.core.tf_op_layer")
    layers = importlib.import_module("tf_keras.src.engine.base_layer")
    return (
        named
        | {
            "Functional": models.Functional,
            "Model": models.Functional,  # so it was called before TensorFlow 2.3
            "Sequential": models.Sequential,
            "BatchNormalizationV1": library.layers.BatchNormalization,
            "BatchNormalizationV2": library.layers.BatchNormalization,
            "TFOpLambda": operations.TFOpLambda,
            "SlicingOpLambda": operations.SlicingOpLambda,
            "TensorFlowOpLayer": layers.TensorFlowOpLayer,
        }
        | {name: value for name, value in custom_objects().items() if isinstance(value, type)}
    )
