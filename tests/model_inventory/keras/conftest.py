"""Files of a small model, in both formats of Keras."""

from pathlib import Path

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
