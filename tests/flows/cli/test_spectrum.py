"""The user's own images give a recipe that renders by their spectrum."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diamond_cutter.flows.cli.main import run
from diamond_cutter.flows.cli.spectrum import maco_of_photos
from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from tests.storage.gcs_server import GcsServer


def folder_of_images(root: Path, seed: int) -> Path:
    root.mkdir()
    stream = np.random.default_rng(seed)
    for index in range(3):
        coarse = Image.fromarray(stream.integers(0, 256, (8, 8, 3), np.uint8))
        coarse.resize((300, 300), Image.Resampling.BICUBIC).save(root / f"{index}.png")
    return root


def test_a_recipe_has_the_spectrum_of_the_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    smooth = maco_of_photos(str(folder_of_images(tmp_path / "smooth", 0)))
    assert smooth.name == "maco" and smooth.spectrum != RenderRecipe(name="maco").spectrum
    # Blurred images have hardly any fine detail.
    assert all(row[-1] < 0.01 * row[0] for row in smooth.spectrum)
    assert run(["spectrum", str(tmp_path / "smooth")]) == 0
    assert RenderRecipe.model_validate_json(capsys.readouterr().out) == smooth


def test_what_is_no_image_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of_images(tmp_path / "some", 1)
    whole = maco_of_photos(str(folder))
    (folder / "broken.jpg").write_bytes(b"no image")
    assert maco_of_photos(str(folder)) == whole
    assert "broken.jpg" in capsys.readouterr().err


def test_images_may_lie_in_a_cloud(tmp_path: Path, gcs_place: GcsServer) -> None:
    folder = folder_of_images(tmp_path / "some", 2)
    for file in folder.iterdir():
        gcs_place.put("place", f"my photos/{file.name}", file.read_bytes())
    assert (
        maco_of_photos("gs://place/my photos")
        == maco_of_photos(str(folder))
        == maco_of_photos(folder.as_uri())
    )


def test_without_images_there_is_no_spectrum(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(BadPhotos, match="no spectrum can be measured"):
        maco_of_photos(str(tmp_path))
    assert run(["spectrum", str(tmp_path / "missing")]) == 2
