"""Mixed precision becomes float32, and Dense layers on images become convolutions."""

import keras
import pytest
from keras import layers

from diamond_cutter.model_inventory.keras.tracing import trace
from tests.model_inventory.keras.traced_models import (
    WARNING,
    assert_equal_to_keras,
    names,
    noise,
    transfer_model,
)

pytestmark = [pytest.mark.usefixtures("names_begin_again"), WARNING]


def test_dense_layers_on_images_are_convolutions() -> None:
    model = keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            layers.Dense(5, activation="gelu", name="mix"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    traced = trace(model)
    assert names(traced) == ["mix", "dense"]
    operations = {node.op for node in traced.graph.node}
    assert {"Conv2D", "MatMul"} <= operations and "GatherV2" not in operations
    assert_equal_to_keras(model, traced, noise(2, 9, 9, 3))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_becomes_float32(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    model = transfer_model()
    traced = trace(model)
    assert model.get_layer("classes").compute_dtype == policy.removeprefix("mixed_")
    wide = keras.models.clone_model(model)
    for layer in wide._flatten_layers():
        layer.dtype_policy = "float32"
    wide.set_weights(model.get_weights())
    assert names(traced) == [
        "backbone/conv",
        "backbone/bn",
        "backbone/depthwise",
        "backbone/block_1_add",
        "pool",
        "classes",
    ]
    assert_equal_to_keras(wide, traced, noise(1, 32, 32, 3))
