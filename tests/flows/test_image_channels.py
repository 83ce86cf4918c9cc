"""Every command does its work on models of grey and multi-spectral images, or refuses in one
sentence.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.flows.conftest import SMALL, Command


def two_convolutions(channels: int, path: Path) -> Path:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((32, 32, channels)),
        keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="one"),
        keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="two"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, activation="softmax", name="classes"),
    ]
    keras.Sequential(layers).save(path)
    return path


@pytest.mark.slow
@pytest.mark.prefect
@pytest.mark.parametrize("channels", [1, 4])
def test_all_commands_on_models_of_any_number_of_channels(
    channels: int, at_once: Command, tmp_path: Path
) -> None:
    path = two_convolutions(channels, tmp_path / "mine.keras")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (40, 40), np.uint8)).save(
            photos / f"{number}.png"
        )
    where = ("--bucket", str(tmp_path / "bucket"))
    some = ("--layers", "one", "--channels", "0:2", *where)
    only_grey = 0 if channels == 1 else 2
    table = (
        (0, ("models", "add", str(path), "--name", "mine", "--value-range", "0", "1", *where)),
        (0, ("models", "show", "mine", *where)),
        (0, ("plan", "mine", *some, *SMALL)),
        *(
            (0, ("sprites", "mine", *some, "--recipe", recipe, *SMALL))
            for recipe in (("fast",) if channels == 1 else ("lucid", "maco"))
        ),
        (
            0,
            (
                "sprites",
                "mine",
                *some,
                "--recipe",
                "alpha",
                "--recipe.size-px",
                "64",
                "--recipe.steps",
                "4",
            ),
        ),
        # It takes as long as all others together; tests of `judge` are of four channels, too.
        *(((0, ("tune", "mine", "--layers", "one", *where, *SMALL)),) if channels == 1 else ()),
        (only_grey, ("sprites", "mine", *some, "--photos", str(photos), *SMALL)),
        (
            only_grey,
            (
                "attribute",
                "mine",
                str(photos),
                "--layers",
                "one",
                "--channels",
                "2",
                "--groups",
                "0",
                *where,
                *SMALL,
            ),
        ),
        (0, ("ls", *where)),
        (0, ("verify", *where)),
    )
    for code, command in table:
        done = at_once(*command)
        said = " ".join(done.stderr.split())
        assert done.returncode == code and "Traceback" not in said, (command, said)
        if code == 2:
            assert (
                said.count("diamond-cutter:") == 1 and f"or 1 for grey, found {channels}. " in said
            ), (command, said)
    assert list((tmp_path / "bucket" / "sprites").rglob("index.html"))
