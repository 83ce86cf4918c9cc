"""Images come in batches, in their order; what cannot be read costs itself only; and no more than a
batch is decoded ahead.
"""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from diamond_cutter.storage import Unavailable
from diamond_cutter.tasks.attribution.batches import BATCH, Batch, NumberedImage, batches
from diamond_cutter.tasks.photos import reading
from diamond_cutter.tasks.photos.image_set import FoundImage
from tests.tasks.photos.small_images import plain, save
from tests.waiting import wait_for

SHAPE = (8, 8, 3)


def numbered(folder: Path, count: int, bad: tuple[int, ...] = ()) -> list[NumberedImage]:
    """Return images, each of another grey; those that are bad are no images."""
    found = []
    for number in range(count):
        file = folder / f"{number:03}.png"
        if number in bad:
            file.write_bytes(b"no image")
        else:
            save(file, plain((number, number, number)))
        found.append(NumberedImage(number + 100, FoundImage(file.name, str(file))))
    return found


def taken(images: list[NumberedImage]) -> tuple[list[Batch], dict[str, str]]:
    refused: dict[str, str] = {}
    return list(batches(images, SHAPE, refused)), refused


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH])
def test_images_come_in_their_order_with_their_pixels(tmp_path: Path, count: int) -> None:
    images = numbered(tmp_path, count)
    found, refused = taken(images)
    assert refused == {}
    assert [len(batch.images) for batch in found] == [
        min(BATCH, count - first) for first in range(0, count, BATCH)
    ]
    assert [image for batch in found for image in batch.images] == images
    for batch in found:
        assert (
            batch.pixels.shape == (len(batch.images), *SHAPE) and batch.pixels.dtype == np.float32
        )
        wanted = np.array([image.number - 100 for image in batch.images]) / 255
        np.testing.assert_allclose(
            batch.pixels,
            np.broadcast_to(wanted[:, None, None, None], batch.pixels.shape),
            atol=1e-6,
        )


@pytest.mark.parametrize(
    "bad",
    [
        (0,),
        (3, BATCH, BATCH + 1),
        (2 * BATCH,),
        tuple(range(BATCH)),
        tuple(range(BATCH, 2 * BATCH + 1)),
    ],
)
def test_what_cannot_be_read_costs_itself_only(tmp_path: Path, bad: tuple[int, ...]) -> None:
    images = numbered(tmp_path, 2 * BATCH + 1, bad)
    found, refused = taken(images)
    assert [image for batch in found for image in batch.images] == [
        image for place, image in enumerate(images) if place not in bad
    ]
    assert all(len(batch.images) == len(batch.pixels) > 0 for batch in found)
    assert set(refused) == {images[place].image.name for place in bad}
    assert all(reason.startswith("its format is unknown") for reason in refused.values())


def test_where_all_are_bad_or_there_are_none_nothing_comes(tmp_path: Path) -> None:
    assert taken([]) == ([], {})
    found, refused = taken(numbered(tmp_path, BATCH + 3, tuple(range(BATCH + 3))))
    assert found == [] and len(refused) == BATCH + 3


def test_an_image_that_has_vanished_may_come_back_and_is_not_said_to_be_bad(tmp_path: Path) -> None:
    images = numbered(tmp_path, 2)
    (tmp_path / "000.png").unlink()
    with pytest.raises(reading.GonePhoto, match=r"000\.png: it does not exist any more"):
        taken(images)


def test_no_more_is_decoded_ahead_than_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, lock = [], threading.Lock()
    decode = reading.read_image

    def counting(image: FoundImage, shape: tuple[int, int, int]) -> np.ndarray:
        with lock:
            decoded.append(image.name)
        return decode(image, shape)

    monkeypatch.setattr(reading, "read_image", counting)
    images = numbered(tmp_path, 8 * BATCH)
    coming = batches(images, SHAPE, {})
    for place in range(3):
        next(coming)
        wait_for(lambda: len(decoded) >= (place + 2) * BATCH, every_s=0.01)  # noqa: B023  it is called here
        time.sleep(0.1)  # long enough for another batch, were it decoded
        # The batch that is here, the one ahead, and what the threads that decode have begun.
        assert (place + 2) * BATCH <= len(decoded) <= (place + 2) * BATCH + 2 * reading._AT_ONCE
    coming.close()
    assert len(decoded) < 8 * BATCH


def test_a_cloud_that_does_not_answer_is_no_images_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(image: FoundImage, shape: tuple[int, int, int]) -> np.ndarray:
        raise Unavailable("nobody answers")

    monkeypatch.setattr(reading, "read_image", unavailable)
    with pytest.raises(Unavailable, match="nobody answers"):
        taken(numbered(tmp_path, 3))
