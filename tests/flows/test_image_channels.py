"""Commands do their work on models of grey and multi-spectral images."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tifffile
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


def write_images(folder: Path, channels: int) -> Path:
    """Write three images of one or of more channels, and beside the latter one that is grey."""
    folder.mkdir()
    stream = np.random.default_rng(0)
    grey = stream.integers(0, 255, (3, 40, 40), np.uint8)
    for number in range(3 if channels == 1 else 1):
        Image.fromarray(grey[number]).save(folder / f"{number}.png")
    if channels > 1:
        values = stream.integers(0, 65535, (40, 40, channels), np.uint16)
        np.save(folder / "array.npy", values)
        np.save(folder / "numbers.npy", values.astype(np.float32) / 65535)
        tifffile.imwrite(folder / "bands.tif", values, photometric="minisblack")
    return folder


@pytest.mark.slow
@pytest.mark.prefect
@pytest.mark.parametrize("channels", [1, 4])
def test_commands_on_models_of_any_number_of_channels(
    channels: int, at_once: Command, tmp_path: Path
) -> None:
    path = two_convolutions(channels, tmp_path / "mine.keras")
    photos = write_images(tmp_path / "photos", channels)
    where = ("--bucket", str(tmp_path / "bucket"))
    # Commands that read images share the sprites of one recipe; other tests render more of them,
    # and judge what `tune` tries.
    known = ("--recipe", "fast" if channels == 1 else "lucid", *SMALL)
    transparent = ("--recipe", "alpha", "--recipe.size-px", "64", "--recipe.steps", "4")
    some = ("--layers", "one", "--channels", "0:2", *where)
    table = (
        (0, ("models", "add", str(path), "--name", "mine", "--value-range", "0", "1", *where)),
        (0, ("models", "show", "mine", *where)),
        (0, ("plan", "mine", *some, *SMALL)),
        *(((0, ("sprites", "mine", *some, *transparent)),) if channels == 1 else ()),
        (0, ("sprites", "mine", *some, "--photos", str(photos), *known)),
        (
            0,
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
                *known,
            ),
        ),
        (0, ("ls", *where)),
        (0, ("verify", *where)),
    )
    for code, command in table:
        done = at_once(*command)
        said = " ".join(done.stderr.split())
        assert done.returncode == code and "Traceback" not in said, (command, said)
        if channels == 4 and command[0] == "attribute":
            assert "its number of channels is wrong: expected 4, found 1" in done.stdout
            assert "3 images of photos" in done.stdout
    assert list((tmp_path / "bucket" / "sprites").rglob("index.html"))
