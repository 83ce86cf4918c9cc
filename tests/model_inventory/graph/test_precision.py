"""Models of float16 and bfloat16 become graphs of float32 with the same weights; quantised models
are named as a whole.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import activation_function, parse_graph
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.user_models import import_user_model


def network(dtype: str) -> keras.Model:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Rescaling(1 / 255, dtype=dtype),
            keras.layers.Conv2D(6, 3, activation="relu", name="c1", dtype=dtype),
            keras.layers.BatchNormalization(name="bn", dtype=dtype),
            keras.layers.GlobalAveragePooling2D(dtype=dtype),
            keras.layers.Dense(3, name="scores", dtype=dtype),
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_narrow_weights_are_widened(tmp_path: Path, dtype: str, kind: str) -> None:
    model = network(dtype)
    path = tmp_path / ("model.keras" if kind == "file" else "folder")
    model.save(path) if kind == "file" else model.export(path, verbose=False)
    bundle = import_user_model(path, "mine").bundle
    types = {value.type for node in parse_graph(bundle).node for value in node.attr.values()}
    assert not types & {tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum}
    images = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    found = activation_function(bundle, "logits")(images)
    np.testing.assert_allclose(found, np.float32(model(images * 255)), atol=0.02)
    assert all(layer.any_size for layer in bundle.card.layers)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
def test_a_quantised_model_is_named_as_a_whole(tmp_path: Path) -> None:
    model = network("float32")
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    with pytest.raises(BadModel) as refused:
        import_user_model(tmp_path / "model.keras", "mine")
    text = str(refused.value)
    assert " is quantised: expected weights in float32 or float16, found int8 (" in text
    assert text.endswith("). Give the model from before it was quantised.")
