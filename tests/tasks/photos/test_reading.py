"""Images of all kinds as a model sees them, and files that are none."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.photos.reading import BadPhotos, UnreadablePhoto, list_photos, photos_name, read_photo

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def save(file: Path, values: np.ndarray, **options: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file, **options)
    return file


def plain(colour: tuple[int, ...], height: int = 8, width: int = 8) -> np.ndarray:
    return np.full((height, width, len(colour)), colour, np.uint8)


def names(folder: Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in list_photos(str(folder))]


def test_images_are_found_in_order_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/z.PNG", "c.webp", ".hidden.png", ".trash/d.png", "a/.thumbs/e.jpg"):
        save(tmp_path / name, plain(RED))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "broken.jpeg").write_text("looks like one")
    assert names(tmp_path) == ["a/z.PNG", "b.jpg", "broken.jpeg", "c.webp"]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(BadPhotos, match=r"no image is in the folder .*; images are files that end in \.jpg"):
        list_photos(str(tmp_path))
    for other in (tmp_path / "nowhere", tmp_path / "notes.txt"):
        with pytest.raises(BadPhotos, match="is not a folder"):
            list_photos(str(other))


def test_a_folder_is_named_by_what_is_in_it(tmp_path: Path) -> None:
    def name(folder: Path) -> str:
        return photos_name(str(folder), list_photos(str(folder)))

    here, there = tmp_path / "my photos", tmp_path / "copy" / "my photos"
    for folder in (here, there):
        save(folder / "a.png", plain(RED))
        save(folder / "sub" / "b.png", plain(BLUE))
    first = name(here)
    assert first == name(there)
    assert first.startswith("my=20photos@") and len(first) == len("my=20photos@01234567")
    (here / "notes.txt").write_text("does not count")
    assert name(here) == first
    (here / "a.png").rename(here / "c.png")
    renamed = name(here)
    save(here / "c.png", plain(GREEN))
    assert len({first, renamed, name(here)}) == 3


def test_a_link_to_nowhere_is_one_unreadable_image(tmp_path: Path) -> None:
    os.symlink(tmp_path / "nowhere.png", tmp_path / "link.png")
    files = list_photos(str(tmp_path))
    assert photos_name(str(tmp_path), files)
    with pytest.raises(UnreadablePhoto):
        read_photo(files[0], (8, 8, 3))


@pytest.mark.parametrize(("height", "width"), [(20, 60), (60, 20), (8, 24), (3, 9)])
def test_the_middle_of_the_long_side_stays(height: int, width: int, tmp_path: Path) -> None:
    values = plain(RED, height, width)
    third = max(height, width) // 3
    middle = slice(third, 2 * third)
    values[middle if height > width else slice(None), middle if width > height else slice(None)] = GREEN
    seen = read_photo(save(tmp_path / "a.png", values), (20, 20, 3))
    assert (seen.shape, seen.dtype) == ((20, 20, 3), np.float32)
    assert seen.min() >= 0 and seen.max() <= 1
    np.testing.assert_allclose(seen[5:-5, 5:-5], np.broadcast_to((0, 1, 0), (10, 10, 3)), atol=0.02)


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    values = plain(RED, 16, 16)
    values[:8] = BLUE
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: its top is on the right
    seen = read_photo(save(tmp_path / "a.png", values, exif=exif), (16, 16, 3))
    np.testing.assert_allclose(seen[:, 12:], np.broadcast_to((0, 0, 1), (16, 4, 3)), atol=0.01)
    np.testing.assert_allclose(seen[:, :4], np.broadcast_to((1, 0, 0), (16, 4, 3)), atol=0.01)


def test_every_kind_of_colour_becomes_rgb(tmp_path: Path) -> None:
    palette = Image.fromarray(plain(GREEN)).quantize(4)
    palette.save(tmp_path / "palette.png")
    palette.save(tmp_path / "palette_with_transparency.png", transparency=bytes([0, 255, 255, 255]))
    Image.fromarray(plain(GREEN)).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100)
    save(tmp_path / "grey.png", np.full((8, 8), 102, np.uint8))
    save(tmp_path / "grey16.png", np.full((8, 8), 102 * 256, np.uint16))
    save(tmp_path / "clear.png", plain((*RED, 0)))
    expected = {
        "palette.png": (0, 1, 0),
        "palette_with_transparency.png": (1, 1, 1),
        "cmyk.jpg": (0, 1, 0),
        "grey.png": (0.4, 0.4, 0.4),
        "grey16.png": (0.4, 0.4, 0.4),
        "clear.png": (1, 1, 1),
    }
    for name, colour in expected.items():
        np.testing.assert_allclose(read_photo(tmp_path / name, (8, 8, 3)), np.broadcast_to(colour, (8, 8, 3)), atol=0.03, err_msg=name)


def test_a_large_jpeg_is_what_its_own_size_says(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 1600)[None, :, None]
    values = np.broadcast_to(ramp, (1600, 1600, 3)).astype(np.uint8)
    seen = read_photo(save(tmp_path / "a.jpg", values, quality=95), (16, 16, 3))
    np.testing.assert_allclose(seen, np.broadcast_to((np.arange(16)[None, :, None] + 0.5) / 16, (16, 16, 3)), atol=0.02)


def bomb() -> bytes:
    """Return a PNG of some hundred bytes that says it is of 30,000 x 30,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def cut_off() -> bytes:
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(whole, "JPEG")
    return whole.getvalue()[: whole.tell() // 2]


def warned_of() -> bytes:
    """Return a bomb that Pillow only warns of."""
    return bomb().replace(struct.pack(">II", 30_000, 30_000), struct.pack(">II", 10_000, 10_000))


@pytest.mark.parametrize("content", [b"", b"rubbish", cut_off(), bomb(), warned_of(), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_what_is_no_image_is_refused_and_nothing_else_raised(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(content)
    with pytest.raises(UnreadablePhoto, match=r"a\.png"):
        read_photo(file, (8, 8, 3))
