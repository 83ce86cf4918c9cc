"""Names of layers that are too long for files are shortened, stay apart, and are said."""

from pathlib import Path

import keras
import pytest

from diamond_cutter.model_inventory.layer_names import is_shortened, short_name
from diamond_cutter.model_inventory.user_models import import_user_model
from diamond_cutter.storage.sets.layout import escape


@pytest.mark.parametrize("name", ["conv1/conv", "Schicht_für_Ökos.π", "x" * 190, "é" * 31, "main"])
def test_other_names_stay(name: str) -> None:
    assert short_name(name) == name
    assert not is_shortened(name)


@pytest.mark.parametrize("letter", ["x", "é", "π", "/", "."])
def test_long_names_become_names_of_files_and_stay_apart(letter: str) -> None:
    names = {short_name(letter * 300), short_name(letter * 301)}
    assert len(names) == 2
    for name in names:
        assert is_shortened(name)
        assert len(escape(name)) <= 200
        assert short_name(name) == name


@pytest.mark.slow
def test_a_model_with_names_of_all_kinds_is_added(tmp_path: Path) -> None:
    keras.backend.clear_session()
    names = ["my conv (3x3)", "π", "x" * 300, "Conv_A", "conv_a", "*", "-1", "..", "main", "all"]
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 255),
            *(keras.layers.Conv2D(2, 1, name=name) for name in names),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    model.save(tmp_path / "names.keras")
    imported = import_user_model(tmp_path / "names.keras", "names")
    found = [layer.name for layer in imported.bundle.card.layers]
    assert found[: len(names)] == [short_name(name) for name in names]
    assert any(guess.endswith(short_name("x" * 300)) for guess in imported.guesses)
