"""Images are decoded once for all models, and images with equal pixels are found."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diamond_cutter.tasks.attribution.batches import NumberedImage
from diamond_cutter.tasks.features.pictures import Pictures, picture_batches
from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.photos.reading import GonePhoto, read_image

SHAPES = ((16, 16, 3), (24, 20, 1))


def numbered(paths: list[Path]) -> list[NumberedImage]:
    return [NumberedImage(n, FoundImage(path.name, str(path))) for n, path in enumerate(paths)]


def write(path: Path, seed: int, **options: object) -> Path:
    stream = np.random.default_rng(seed)
    Image.fromarray(stream.integers(0, 256, (40, 30, 3)).astype(np.uint8)).save(path, **options)
    return path


def batches(paths: list[Path], size: int = 4) -> list[Pictures]:
    return list(picture_batches(numbered(paths), SHAPES, size))


def test_pixels_are_those_that_each_model_takes(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{seed}.png", seed) for seed in range(3)]
    (found,) = batches(paths)
    for shape in SHAPES:
        for number, each in enumerate(numbered(paths)):
            expected = read_image(each.image, shape)
            assert (found.pixels[shape][number] / np.float32(255) == expected).all()


def test_bad_images_are_named_and_batches_stay_full(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{seed}.png", seed) for seed in range(6)]
    paths[1].write_bytes(b"")
    paths[4].write_text("no image")
    found = batches(paths, size=2)
    assert [each.numbers for each in found] == [(0, 2), (3, 5)]
    refused = {name: reason for each in found for name, reason in each.refused.items()}
    assert set(refused) == {"1.png", "4.png"}


def test_nothing_but_bad_images_is_a_batch_without_pixels(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    (found,) = batches([tmp_path / "bad.png"])
    assert found.numbers == () and found.pixels[SHAPES[0]].shape == (0, 16, 16, 3)


def test_an_image_that_is_gone_ends_the_batch(tmp_path: Path) -> None:
    with pytest.raises(GonePhoto):
        batches([tmp_path / "gone.png"])


def test_equal_pixels_have_equal_digests_in_any_file(tmp_path: Path) -> None:
    first = write(tmp_path / "one.png", 0, compress_level=1)
    again = write(tmp_path / "again.png", 0, compress_level=9)
    bitmap = write(tmp_path / "bitmap.bmp", 0)
    other = write(tmp_path / "other.png", 1)
    assert first.read_bytes() != again.read_bytes()
    (found,) = batches([first, again, bitmap, other])
    assert len(set(found.digests[:3])) == 1 and found.digests[3] != found.digests[0]


def test_a_photo_with_other_metadata_is_a_copy(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.jpg", 0, quality=90)
    exif = Image.Exif()
    exif[0x010E] = "a description"
    described = write(tmp_path / "described.jpg", 0, quality=90, exif=exif)
    (found,) = batches([plain, described])
    assert plain.read_bytes() != described.read_bytes()
    assert found.digests[0] == found.digests[1]


def test_images_of_other_channels_keep_their_precision_and_their_digests(tmp_path: Path) -> None:
    shape = (12, 12, 4)
    values = np.random.default_rng(0).integers(0, 99, (12, 12, 4)).astype(np.uint16)
    paths = [tmp_path / name for name in ("a.npy", "copy.npy", "other.npy")]
    for path, each in zip(paths, (values, values, values + 1), strict=True):
        np.save(path, each)
    paths.append(write(tmp_path / "photo.png", 0))
    (found,) = picture_batches(numbered(paths), [shape], 4)
    np.testing.assert_allclose(found.pixels[shape][0] * 257, values, rtol=1e-5)
    assert found.digests[0] == found.digests[1] != found.digests[2]
    assert found.refused == {"photo.png": "its number of channels is wrong: expected 4, found 3"}
