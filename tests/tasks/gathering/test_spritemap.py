"""A layer's sprites come together from their shards, in little memory."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from diamond_cutter.storage import Corrupt, LocalBucket, crc32c
from diamond_cutter.storage.sets.layout import shard_record_key
from diamond_cutter.storage.sets.sprite_set import put_fingerprinted, read_layer
from diamond_cutter.tasks.gathering.spritemap import gather_sheet
from diamond_cutter.tasks.sheets import (
    compose,
    cut,
    encode_lossless,
    shard_columns,
    spritemap_shape,
)
from tests.storage.shard_records import LAYER, MODEL, RECIPE, shard_record

ROOT = Path(__file__).parents[3]
# Peak resident set, in MiB, after the imports and after a layer of 2048 channels was gathered and
# encoded.
GATHER = rf"""
import re, sys
from pathlib import Path
from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.sprite_set import read_layer
from diamond_cutter.tasks.gathering.spritemap import gather_sheet
from diamond_cutter.tasks.sheets import encode

def peak():
    # Not getrusage: that counts what the process that started this one had in memory, too.
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024

print(peak())
bucket = open_bucket(sys.argv[1])
places = list(read_layer(bucket, {MODEL!r}, {RECIPE!r}, {LAYER!r}).places().values())
sheet = gather_sheet(bucket, places, 128)
print(peak())
data = encode(sheet, sys.argv[2])
print(peak())
print(*sheet.shape, len(places))
"""


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def keep_shard(
    bucket: LocalBucket, channels: Sequence[int], pictures: np.ndarray, columns: int | None = None
) -> None:
    cell_px = pictures.shape[1]
    columns = columns or shard_columns(len(pictures), cell_px)
    data = encode_lossless(compose(enumerate(pictures), len(pictures), columns, cell_px))
    keep_encoded(bucket, channels, data, columns, cell_px, len(pictures) // len(channels))


def keep_encoded(
    bucket: LocalBucket,
    channels: Sequence[int],
    data: bytes,
    columns: int,
    cell_px: int,
    variants: int = 1,
) -> None:
    key = shard_record_key(MODEL, RECIPE, LAYER, channels)
    file = put_fingerprinted(bucket, key, data, "webp", crc32c(data))
    bucket.put(
        key,
        shard_record(
            channels, file, variants=variants, cell_px=cell_px, columns=columns
        ).to_bytes(),
    )


def test_sprites_are_gathered_in_the_order_asked_for(bucket: LocalBucket) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (11, 8, 8, 3), np.uint8)
    keep_shard(bucket, [3, 1, 2, 0], pictures[[3, 1, 2, 0]], columns=3)
    keep_shard(bucket, range(4, 11), pictures[4:])
    places = read_layer(bucket, MODEL, RECIPE, LAYER).places()
    for channels in (range(11), [10, 0, 5, 3], [7]):
        sheet = gather_sheet(bucket, [places[channel, 0] for channel in channels], 8)
        columns, rows = spritemap_shape(len(channels))
        assert sheet.shape == (rows * 8, columns * 8, 3)
        np.testing.assert_array_equal(
            list(cut(sheet, len(channels), columns, 8)), pictures[list(channels)]
        )
        assert not any(
            cell.any() for cell in list(cut(sheet, rows * columns, columns, 8))[len(channels) :]
        )


def test_variants_lie_behind_each_other(bucket: LocalBucket) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 2, 8, 8, 3), np.uint8)
    keep_shard(bucket, [2, 0], pictures[[2, 0]].reshape(4, 8, 8, 3), columns=3)
    keep_shard(bucket, [1], pictures[1])
    places = list(read_layer(bucket, MODEL, RECIPE, LAYER).places().values())
    sheet = gather_sheet(bucket, places, 8)
    np.testing.assert_array_equal(
        list(cut(sheet, 6, spritemap_shape(6)[0], 8)), pictures.reshape(6, 8, 8, 3)
    )


def test_pictures_with_opacity_lie_on_white(bucket: LocalBucket) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 4), np.uint8)
    opaque = pictures[3:].copy()
    opaque[..., 3] = 255
    keep_shard(bucket, range(3), pictures[:3])
    keep_shard(bucket, range(3, 5), opaque)
    places = list(read_layer(bucket, MODEL, RECIPE, LAYER).places().values())
    sheet = gather_sheet(bucket, places, 8)
    columns, rows = spritemap_shape(5)
    assert sheet.shape == (rows * 8, columns * 8, 3)
    share = pictures[:3, ..., 3:] / 255
    expected = np.concatenate([pictures[:3, ..., :3] * share + 255 * (1 - share), opaque[..., :3]])
    np.testing.assert_allclose(list(cut(sheet, 5, columns, 8)), expected, atol=0.51)


def test_a_shard_that_was_damaged_since_is_corrupt(bucket: LocalBucket) -> None:
    keep_shard(bucket, range(4), np.zeros((4, 8, 8, 3), np.uint8))
    places = list(read_layer(bucket, MODEL, RECIPE, LAYER).places().values())
    bucket.put(places[0].shard.file.key, b"damage", mode="overwrite")
    with pytest.raises(Corrupt, match=places[0].shard.file.key):
        gather_sheet(bucket, places, 8)


@pytest.mark.slow
@pytest.mark.parametrize("image_format", ["webp", "png"])
def test_a_layer_of_2048_channels_needs_a_few_hundred_megabytes(
    tmp_path: Path, image_format: str
) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    ramp = np.arange(128)
    waves = [
        128 + 100 * np.sin((ramp[:, None] * (1 + channel % 7) + ramp * (channel % 5)) / 9)
        for channel in range(32)
    ]
    pictures = np.repeat(np.array(waves, np.uint8)[..., None], 3, axis=3)
    columns = shard_columns(32, 128)
    encoded = encode_lossless(compose(enumerate(pictures), 32, columns, 128))
    for first in range(0, 2048, 32):
        keep_encoded(bucket, range(first, first + 32), encoded, columns, 128)
    done = subprocess.run(
        [sys.executable, "-c", GATHER, str(tmp_path / "bucket"), image_format],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    *peaks, shape = done.stdout.splitlines()
    assert shape == "5888 5760 3 2048"
    assert int(peaks[-1]) < 700, peaks
