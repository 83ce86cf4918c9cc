"""Images of any number of channels are read as they are, and files that are none are refused."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from diamond_cutter.tasks.photos import bands
from diamond_cutter.tasks.photos.bands import preview_in_words
from diamond_cutter.tasks.photos.reading import (
    UnreadablePhoto,
    as_model_pixels,
    decode,
    read_image,
    read_picture,
)
from tests.tasks.photos.small_images import found

STREAM = np.random.default_rng(0)
BYTES = STREAM.integers(0, 256, (12, 12, 5), np.uint8)
SHORTS = STREAM.integers(0, 65536, (12, 12, 5), np.uint16)
FLOATS = STREAM.random((12, 12, 5), np.float32)


def npy(file: Path, values: np.ndarray) -> Path:
    np.save(file, values, allow_pickle=True)
    return file


def tiff(file: Path, values: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(file, values, **options)
    return file


def seen(file: Path, channels: int = 5, side: int = 12) -> np.ndarray:
    return read_image(found(file), (side, side, channels))


def reason(file: Path, channels: int = 5) -> str:
    with pytest.raises(UnreadablePhoto) as raised:
        seen(file, channels)
    return raised.value.reason


@pytest.mark.parametrize(
    ("values", "highest"), [(BYTES, 255), (SHORTS, 65535), (FLOATS, 1)], ids=["8", "16", "float"]
)
def test_an_array_or_a_tiff_is_read_as_it_is(
    values: np.ndarray, highest: float, tmp_path: Path
) -> None:
    planes = np.ascontiguousarray(values.transpose(2, 0, 1))
    files = [
        npy(tmp_path / "a.npy", values),
        npy(tmp_path / "fortran.npy", np.asfortranarray(values)),
        npy(tmp_path / "planes.npy", planes),
        npy(tmp_path / "big-endian.npy", values.astype(values.dtype.newbyteorder(">"))),
        tiff(tmp_path / "pixels.tif", values, photometric="minisblack", planarconfig="contig"),
        tiff(tmp_path / "planes.tif", planes, photometric="minisblack", planarconfig="separate"),
        tiff(tmp_path / "pages.tif", planes, photometric="minisblack"),
        tiff(
            tmp_path / "tiles.tif",
            values,
            photometric="minisblack",
            planarconfig="contig",
            tile=(16, 16),
            compression="zlib",
        ),
    ]
    for file in files:
        np.testing.assert_allclose(seen(file), values / highest, atol=1e-6, err_msg=file.name)


def test_bands_are_cropped_and_kept_exact(tmp_path: Path) -> None:
    values = np.zeros((20, 60, 4), np.uint16)
    values[:, 20:40] = (1, 2, 3, 4)
    file = npy(tmp_path / "a.npy", values)
    image = seen(file, 4, 20)
    np.testing.assert_allclose(image[5:-5, 5:-5] * 65535, [[[1, 2, 3, 4]] * 10] * 10, rtol=1e-3)
    pixels = as_model_pixels(decode(found(file), 20, 4), (20, 20, 4))
    # Eight bits would leave nothing of such values.
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels / 255, image, atol=1e-7)


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_and_16_bit_tiffs_are_photos_too(channels: int, tmp_path: Path) -> None:
    values = SHORTS[..., :channels]
    kind = "rgb" if channels == 3 else "minisblack"
    files = [npy(tmp_path / "a.npy", values), tiff(tmp_path / "a.tif", values, photometric=kind)]
    for file in files:
        np.testing.assert_allclose(seen(file, channels), values / 65535, atol=1 / 255)
        picture = read_picture(found(file), (12, 12, channels), 12)
        np.testing.assert_allclose(
            picture / 255, np.broadcast_to(values / 65535, (12, 12, 3)), atol=0.02
        )


def test_opacity_is_a_channel_of_a_model_of_two_or_four(tmp_path: Path) -> None:
    for channels in (2, 4):
        file = tmp_path / f"{channels}.png"
        Image.fromarray(BYTES[..., :channels]).save(file)
        np.testing.assert_allclose(seen(file, channels), BYTES[..., :channels] / 255, atol=1e-6)


def test_people_see_three_bands_or_one_with_stretched_contrast(tmp_path: Path) -> None:
    dark = (SHORTS // 64).astype(np.uint16)
    five = read_picture(found(npy(tmp_path / "5.npy", dark)), (12, 12, 5), 24)
    assert (five.shape, five.dtype) == ((24, 24, 3), np.uint8)
    assert five.min() == 0 and five.max() == 255 and np.ptp(five, axis=2).max() > 50
    two = read_picture(found(npy(tmp_path / "2.npy", dark[..., :2])), (12, 12, 2), 24)
    assert two.max() == 255 and not np.ptp(two, axis=2).any()
    constant = np.zeros((12, 12, 4), np.uint8)
    assert not read_picture(found(npy(tmp_path / "0.npy", constant)), (12, 12, 4), 24).any()
    assert "first three" in preview_in_words(5) and "first one" in preview_in_words(2)
    assert preview_in_words(1) == preview_in_words(3) == ""


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (BYTES[..., :3], "its number of channels is wrong: expected 5, found 3"),
        (BYTES[..., 0], "its number of channels is wrong: expected 5, found 1"),
        (BYTES[None], "its shape is not that of an image"),
        (BYTES[:0], "its shape is not that of an image"),
        (BYTES.astype(np.int16), "its values are int16: expected uint8, uint16, or floating"),
        (BYTES.astype(complex), "its values are complex128"),
        (np.where(FLOATS > 0.9, np.nan, FLOATS), "some of its values are not numbers (NaN)"),
        (FLOATS * 3 - 1, "its values are out of range: expected 0 to 1"),
        (np.where(FLOATS > 0.9, np.inf, FLOATS), "out of range"),
        (np.array([print] * 5).reshape(1, 1, 5), "its values are object"),
    ],
)
def test_arrays_of_something_else_are_refused(
    values: np.ndarray, problem: str, tmp_path: Path
) -> None:
    assert problem in reason(npy(tmp_path / "a.npy", values))


def test_damaged_and_hostile_arrays_are_refused(tmp_path: Path) -> None:
    target = io.BytesIO()
    np.save(target, BYTES)
    data, file = target.getvalue(), tmp_path / "a.npy"
    file.write_bytes(data[:-9])
    assert reason(file) == "it is truncated"
    # A header of a few bytes that claims more than a machine has.
    file.write_bytes(data.replace(b"(12, 12, 5), }      ", b"(99999, 99999, 5), }"))
    assert reason(file).startswith("it is too large: expected at most")
    file.write_bytes(data.replace(b"(12, 12, 5), }", b"(6**9 ,12,5),}"))
    assert reason(file).startswith("it is damaged or of a rare kind")
    file.write_bytes(b"\x93NUMPY\x09\x09")
    assert reason(file)


def test_damaged_and_hostile_tiffs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"photometric": "minisblack", "planarconfig": "contig"}
    file = tiff(tmp_path / "a.tif", BYTES, **options)
    whole = file.read_bytes()
    assert reason(file, 4) == "its number of channels is wrong: expected 4, found 5"
    for length in range(0, len(whole), 97):
        file.write_bytes(whole[:length])
        assert reason(file)
    # A strip that decompresses to far more than the image.
    packed = tiff(file, BYTES, compression="zlib", rowsperstrip=12, **options).read_bytes()
    with tifffile.TiffFile(file) as opened:
        offset, count = opened.pages[0].dataoffsets[0], opened.pages[0].databytecounts[0]
    bomb = zlib.compress(bytes(400_000))
    assert len(bomb) <= count
    file.write_bytes(packed[:offset] + bomb + packed[offset + len(bomb) :])
    assert reason(file) == "it is damaged: a part of it expands beyond its size"
    tiff(file, SHORTS, **options)
    monkeypatch.setattr(bands, "MAX_PIXELS", 700)
    assert "it is too large: expected at most 700 values" in reason(file)


def test_a_photo_is_no_image_of_five_channels(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(BYTES[..., :3]).save(file)
    assert reason(file) == "its number of channels is wrong: expected 5, found 3"
