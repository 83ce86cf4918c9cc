"""Images of all kinds as a model and as people see them, and files that are none."""

import io
import os
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diamond_cutter.storage import Unavailable
from diamond_cutter.storage.retries import CallRetries
from diamond_cutter.tasks.photos import reading
from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.photos.reading import (
    UnreadablePhoto,
    as_input,
    as_picture,
    decode,
    read_image,
    read_images,
    read_picture,
)
from tests.storage.gcs_server import Fault, GcsServer
from tests.tasks.photos.small_images import BLUE, GREEN, RED, encoded, found, plain, save

REPOSITORY = Path(__file__).parents[3]
SHAPE = (8, 8, 3)


def seen(file: Path, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    return read_image(found(file), shape)


def reason(file: Path) -> str:
    with pytest.raises(UnreadablePhoto) as raised:
        seen(file)
    assert (
        str(raised.value) == f"{file.name}: {raised.value.reason}"
        and "\n" not in raised.value.reason
    )
    return raised.value.reason


@pytest.mark.parametrize(
    ("height", "width"), [(20, 60), (60, 20), (8, 24), (3, 9), (1, 20_000), (20_000, 1)]
)
def test_the_middle_of_the_long_side_stays(height: int, width: int, tmp_path: Path) -> None:
    values = plain(RED, height, width)
    third = max(height, width) // 3
    middle = slice(third, max(height, width) - third)
    values[middle if height > width else slice(None), middle if width > height else slice(None)] = (
        GREEN
    )
    file = save(tmp_path / "a.png", values)
    image = seen(file, (20, 20, 3))
    assert (image.shape, image.dtype) == ((20, 20, 3), np.float32)
    assert image.min() >= 0 and image.max() <= 1
    np.testing.assert_allclose(
        image[5:-5, 5:-5], np.broadcast_to((0, 1, 0), (10, 10, 3)), atol=0.02
    )


@pytest.mark.parametrize("shape", [(8, 8, 3), (224, 224, 3), (5, 9, 3), (8, 8, 1)])
def test_one_pixel_fills_an_image(shape: tuple[int, int, int], tmp_path: Path) -> None:
    image = seen(save(tmp_path / "a.png", plain((102, 102, 102), 1, 1)), shape)
    np.testing.assert_allclose(image, np.full(shape, 0.4), atol=0.01)


@pytest.mark.parametrize(
    ("shape", "size"),
    [((8, 8, 3), (32, 32)), ((8, 16, 3), (16, 32)), ((16, 8, 1), (32, 16)), ((1, 300, 3), (1, 32))],
)
def test_people_see_in_colour_the_part_that_the_model_sees(
    shape: tuple[int, int, int], size: tuple[int, int], tmp_path: Path
) -> None:
    values = plain(RED, 60, 90)
    values[:, 40:] = BLUE
    image = found(save(tmp_path / "a.png", values))
    picture = read_picture(image, shape, 32)
    assert (picture.shape, picture.dtype) == ((*size, 3), np.uint8)
    longer = max(shape[:2])
    same = Image.fromarray(read_picture(image, shape, longer)).convert(
        "RGB" if shape[2] == 3 else "L"
    )
    np.testing.assert_allclose(
        np.asarray(same).reshape(shape) / 255, read_image(image, shape), atol=0.02
    )
    assert tuple(picture[0, 0]) == RED and tuple(picture[-1, -1]) == BLUE


def test_one_decoding_serves_model_and_people(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (1200, 900, 3), np.uint8)
    image = found(save(tmp_path / "a.jpg", values, quality=90))
    picture = decode(image, 64)
    # The JPEG has been decoded to a fraction of its size.
    assert picture.mode == "RGB" and 128 <= min(picture.size) < 900
    np.testing.assert_array_equal(
        as_picture(picture, (32, 32, 3), 64), read_picture(image, (32, 32, 3), 64)
    )
    np.testing.assert_array_equal(
        as_input(decode(image, 32), (32, 32, 3)), read_image(image, (32, 32, 3))
    )
    grey = read_image(image, (32, 32, 1))
    np.testing.assert_allclose(
        grey[..., 0], read_image(image, (32, 32, 3)) @ (0.299, 0.587, 0.114), atol=0.02
    )


def test_a_large_jpeg_is_what_its_own_size_says(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 1600)[None, :, None]
    values = np.broadcast_to(ramp, (1600, 1600, 3)).astype(np.uint8)
    image = seen(save(tmp_path / "a.jpg", values, quality=95), (16, 16, 3))
    np.testing.assert_allclose(
        image, np.broadcast_to((np.arange(16)[None, :, None] + 0.5) / 16, (16, 16, 3)), atol=0.02
    )


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(10))
def test_a_photo_is_turned_upright(orientation: int, kind: str, tmp_path: Path) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16], upright[:8, 16:], upright[8:, :16], upright[8:, 16:] = (
        RED,
        GREEN,
        BLUE,
        (255, 255, 255),
    )
    stored = {
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }.get(orientation, upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = (
        {"quality": 100, "subsampling": 0}
        if kind == "jpg"
        else {"lossless": True}
        if kind == "webp"
        else {}
    )
    file = save(tmp_path / f"a.{kind}", np.ascontiguousarray(stored), exif=exif, **lossless)
    np.testing.assert_allclose(
        seen(file, (16, 32, 3))[::15, ::31], upright[::15, ::31] / 255, atol=0.02
    )


@pytest.mark.parametrize(
    "damage", [b"Exif\0\0rubbish", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"\0" * 40]
)
def test_damaged_metadata_do_not_matter(damage: bytes, tmp_path: Path) -> None:
    for kind in ("jpg", "png", "webp"):
        np.testing.assert_allclose(
            seen(save(tmp_path / f"a.{kind}", plain(GREEN), exif=damage)),
            np.broadcast_to((0, 1, 0), SHAPE),
            atol=0.02,
        )


def palette() -> Image.Image:
    return Image.fromarray(plain(GREEN)).quantize(4)


def animation(kind: str) -> bytes:
    target = io.BytesIO()
    frames = [Image.fromarray(plain(colour)) for colour in (GREEN, RED, BLUE)]
    frames[0].save(target, kind, save_all=True, append_images=frames[1:], duration=50, loop=0)
    return target.getvalue()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def half_clear(mode: str) -> bytes:
    return saved(Image.fromarray(plain((*RED, 0))).convert(mode), "PNG")


GREY16 = np.full((8, 8), 102 * 256 + 77, np.uint16)
ONES: dict[str, tuple[Callable[[], bytes], tuple[float, float, float]]] = {
    "palette.png": (lambda: saved(palette(), "PNG"), (0, 1, 0)),
    "palette with transparency.png": (
        lambda: saved(palette(), "PNG", transparency=bytes([0, 255, 255, 255])),
        (1, 1, 1),
    ),
    "palette with one clear colour.gif": (
        lambda: saved(palette(), "GIF", transparency=0),
        (1, 1, 1),
    ),
    "adobe cmyk.jpg": (
        lambda: saved(Image.fromarray(plain(GREEN)).convert("CMYK"), "JPEG", quality=100),
        (0, 1, 0),
    ),
    "cmyk.tif": (lambda: saved(Image.fromarray(plain(GREEN)).convert("CMYK"), "TIFF"), (0, 1, 0)),
    "grey.png": (lambda: encoded(np.full((8, 8), 102, np.uint8), "PNG"), (0.4, 0.4, 0.4)),
    "grey.jpg": (lambda: encoded(np.full((8, 8), 102, np.uint8), "JPEG"), (0.4, 0.4, 0.4)),
    "grey16.png": (lambda: encoded(GREY16, "PNG"), (0.4, 0.4, 0.4)),
    "grey16.tif": (lambda: encoded(GREY16, "TIFF"), (0.4, 0.4, 0.4)),
    "grey16 big-endian.tif": (
        lambda: saved(Image.frombytes("I;16B", (8, 8), GREY16.astype(">u2").tobytes()), "TIFF"),
        (0.4, 0.4, 0.4),
    ),
    "black and white.png": (lambda: saved(Image.new("1", (8, 8), 1), "PNG"), (1, 1, 1)),
    "clear.png": (lambda: encoded(plain((*RED, 0)), "PNG"), (1, 1, 1)),
    "half clear.png": (lambda: encoded(plain((*RED, 128)), "PNG"), (1, 0.5, 0.5)),
    "half clear.webp": (lambda: encoded(plain((*RED, 128)), "WEBP", lossless=True), (1, 0.5, 0.5)),
    "clear grey.png": (lambda: half_clear("LA"), (1, 1, 1)),
    "one clear colour.png": (
        lambda: saved(Image.fromarray(plain(GREEN)), "PNG", transparency=GREEN),
        (1, 1, 1),
    ),
    "animation.gif": (lambda: animation("GIF"), (0, 1, 0)),
    "animation.webp": (lambda: animation("WEBP"), (0, 1, 0)),
    "pages.tiff": (lambda: animation("TIFF"), (0, 1, 0)),
    "bitmap.bmp": (lambda: encoded(plain(GREEN), "BMP"), (0, 1, 0)),
    "a png, whatever it says.jpg": (lambda: encoded(plain(GREEN), "PNG"), (0, 1, 0)),
}


@pytest.mark.parametrize("name", ONES)
def test_every_kind_of_colour_becomes_rgb(name: str, tmp_path: Path) -> None:
    make, colour = ONES[name]
    (tmp_path / name).write_bytes(make())
    np.testing.assert_allclose(seen(tmp_path / name), np.broadcast_to(colour, SHAPE), atol=0.03)


def test_a_large_image_is_coloured_in_bands_that_fit_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).integers(0, 256, (50, 30, 4), np.uint8)
    image = found(save(tmp_path / "a.png", values))
    whole = np.asarray(decode(image, 8))
    monkeypatch.setattr(reading, "_BAND_PIXELS", 100)
    np.testing.assert_array_equal(np.asarray(decode(image, 8)), whole)
    expected = values[..., :3] * (values[..., 3:] / 255) + 255 - values[..., 3:]
    np.testing.assert_allclose(whole, expected, atol=2)


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png_that_says(width: int, height: int) -> bytes:
    """Return a PNG of some hundred bytes that says it is that large."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def noise(kind: str) -> bytes:
    return encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), kind)


def half(kind: str) -> bytes:
    return noise(kind)[: len(noise(kind)) // 2]


BAD: dict[str, tuple[bytes, str]] = {
    "empty.png": (b"", "it is an empty file"),
    "rubbish.jpg": (
        b"rubbish",
        "its format is unknown: expected one of BMP, GIF, JPEG, PNG, TIFF, WEBP",
    ),
    "page.png": (b"<html><script>alert(1)</script>", "its format is unknown"),
    "postscript.png": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "its format is unknown",
    ),
    "cut off.jpg": (half("JPEG"), "it is truncated"),
    "cut off.png": (half("PNG"), "it is truncated"),
    "cut off.gif": (half("GIF"), "it is truncated"),
    "cut off.bmp": (half("BMP"), "it is truncated"),
    "cut off.webp": (half("WEBP"), "it is damaged or of a rare kind"),
    "cut off.tif": (half("TIFF"), "it is"),
    "head only.png": (noise("PNG")[:20], "it is"),
    "head only.jpg": (noise("JPEG")[:20], "its format is unknown"),
    "bomb.png": (
        png_that_says(30_000, 30_000),
        "it is too large: expected at most 89,478,485 pixels, found far too many. Make it smaller",
    ),
    "small bomb.png": (
        png_that_says(10_000, 10_000),
        "it is too large: expected at most 89,478,485 pixels, found 10,000 x 10,000",
    ),
    "float.tif": (
        encoded(np.ones((8, 8), np.float32), "TIFF"),
        "its pixels are floating-point numbers without a known value range",
    ),
    "integers.tif": (
        encoded(np.ones((8, 8), np.int32), "TIFF"),
        "its pixels are 32-bit integers without a known value range",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_taken_is_refused_in_plain_words(name: str, tmp_path: Path) -> None:
    content, words = BAD[name]
    (tmp_path / name).write_bytes(content)
    assert reason(tmp_path / name).startswith(words)


def test_a_bomb_below_the_limit_takes_little_more_than_its_pixels(tmp_path: Path) -> None:
    side = 5_000
    clear = Image.new("P", (side, side))
    clear.putpalette([255, 0, 0, 0, 255, 0])
    clear.save(tmp_path / "a.png", transparency=bytes([128, 255]), bits=1, compress_level=1)
    assert (tmp_path / "a.png").stat().st_size < 50_000
    script = (
        "import resource, sys; from diamond_cutter.tasks.photos.reading import decode; from "
        "diamond_cutter.tasks.photos.image_set import FoundImage\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); picture = decode(FoundImage('a.png', sys.argv[1]), 8)\n"
        "print(picture.getpixel((0, 0)), (peak() - before) >> 10)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.png")],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    colour, _, mebibytes = done.stdout.strip().rpartition(" ")
    assert colour == "(255, 127, 127)"
    # Four bytes a pixel in colour, one with a palette, and a band; whole, it would stand there four
    # times.
    assert int(mebibytes) < 5 * side * side / 2**20 + 100


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    assert reason(tmp_path / "vanished.png") == "it does not exist any more"
    (tmp_path / "folder.png").mkdir()
    assert reason(tmp_path / "folder.png") == "it is unreadable (Is a directory)"
    os.mkfifo(tmp_path / "pipe.png")
    assert "it is not a regular file" in reason(tmp_path / "pipe.png")
    with open(tmp_path / "huge.webp", "wb") as file:
        file.truncate(800 << 20)
    assert (
        reason(tmp_path / "huge.webp")
        == "its size is not valid: expected at most 768 MiB, found 800 MiB"
    )


def test_a_file_that_may_not_be_read(not_root: Path) -> None:
    save(not_root / "a.png").chmod(0)
    assert reason(not_root / "a.png") == "this user has no permission to read it"


def test_why_a_photo_cannot_be_read_can_be_sent_to_another_process() -> None:
    sent = pickle.loads(pickle.dumps(UnreadablePhoto("a\n.png", "it is none")))
    assert (sent.name, sent.reason, str(sent)) == ("a\n.png", "it is none", "a\n.png: it is none")


def test_a_bad_file_costs_itself_only_and_threads_see_the_same(tmp_path: Path) -> None:
    stream = np.random.default_rng(0)
    for number in range(24):
        save(tmp_path / f"{number:02}.png", stream.integers(0, 256, (40, 30, 3), np.uint8))
    (tmp_path / "07.png").write_bytes(b"rubbish")
    (tmp_path / "23.png").unlink()
    images = [found(tmp_path / f"{number:02}.png") for number in range(24)]
    seen = list(read_images(images, SHAPE))
    assert [image for image, _ in seen] == images
    assert [image.name for image, pixels in seen if isinstance(pixels, UnreadablePhoto)] == [
        "07.png",
        "23.png",
    ]
    with ThreadPoolExecutor(8) as pool:
        again = list(
            pool.map(
                lambda image: (
                    None if image.name in ("07.png", "23.png") else read_image(image, SHAPE)
                ),
                images,
            )
        )
    for (_, pixels), other in zip(seen, again, strict=True):
        assert other is None or np.array_equal(pixels, other)


def test_an_object_of_a_bucket_is_read_as_a_file_is(gcs_place: GcsServer, tmp_path: Path) -> None:
    file = save(
        tmp_path / "a b?.png", np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    )
    gcs_place.put("place", "my photos/a b?.png", file.read_bytes())
    gcs_place.put("place", "my photos/none.png", b"rubbish")
    images = [
        FoundImage(name, f"gs://place/my photos/{name}")
        for name in ("a b?.png", "none.png", "gone.png")
    ]
    (_, there), (_, none), (_, gone) = read_images(images, SHAPE)
    np.testing.assert_array_equal(there, seen(file))
    assert isinstance(none, UnreadablePhoto) and none.reason.startswith("its format is unknown")
    assert isinstance(gone, UnreadablePhoto) and gone.reason == "it does not exist any more"


def test_a_cloud_that_fails_is_no_image_s_fault(
    gcs_place: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = FoundImage("a.png", "gs://place/a.png")
    gcs_place.put("place", "a.png", encoded(plain(RED), "PNG"))
    gcs_place.faults = [Fault("status", status=403)]
    with pytest.raises(UnreadablePhoto, match="this user has no permission to read it"):
        read_image(image, SHAPE)
    gcs_place.faults = [Fault("status", status=503) for _ in range(500)]
    monkeypatch.setattr(
        "diamond_cutter.storage.gcs.source_objects.CallRetries",
        lambda: CallRetries(total_s=0.3, first_wait_s=0.01),
    )
    with pytest.raises(Unavailable, match="HTTP 503"):
        list(read_images([image], SHAPE))
