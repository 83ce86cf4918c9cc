"""Files of a small model in both formats of Keras, and names of layers that begin again."""

from collections.abc import Iterator
from pathlib import Path

import keras
import pytest

from tests.model_inventory.keras.saved_models import small


@pytest.fixture
def keras_file(tmp_path: Path) -> Path:
    small().save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


@pytest.fixture
def h5_file(tmp_path: Path) -> Path:
    small().save(tmp_path / "model.h5")
    return tmp_path / "model.h5"


@pytest.fixture
def names_begin_again() -> Iterator[None]:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
