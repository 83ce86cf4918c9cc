"""Sheets lay pictures out as Distill did, and shards come back as they were."""

import io

import numpy as np
import pytest
from PIL import Image

from diamond_cutter.tasks.sheets import (
    SheetTooLarge,
    compose,
    cut,
    decode,
    encode,
    encode_lossless,
    shard_columns,
    spritemap_shape,
)

RNG = np.random.default_rng(0)


def pictures(count: int, cell_px: int = 8, planes: int = 3) -> list[np.ndarray]:
    return list(RNG.integers(0, 256, (count, cell_px, cell_px, planes), np.uint8))


def test_a_spritemap_has_distills_shape() -> None:
    for count, shape in [
        (1, (1, 1)),
        (2, (1, 2)),
        (3, (1, 3)),
        (4, (2, 2)),
        (32, (5, 7)),
        (112, (10, 12)),
        (508, (22, 24)),
        (512, (22, 24)),
        (2048, (45, 46)),
    ]:
        assert spritemap_shape(count) == shape


def test_every_count_fits_into_its_spritemap_without_an_empty_row() -> None:
    for count in range(1, 3000):
        columns, rows = spritemap_shape(count)
        assert columns**2 <= count < (columns + 1) ** 2
        assert columns * (rows - 1) < count <= columns * rows


@pytest.mark.parametrize(
    ("count", "cell_px", "columns"),
    [(32, 128, 32), (7, 128, 7), (32, 512, 31), (32, 511, 32), (1, 512, 1)],
)
def test_a_shard_is_one_strip_unless_webp_ends(count: int, cell_px: int, columns: int) -> None:
    assert shard_columns(count, cell_px) == columns
    assert columns * cell_px <= 16_383


@pytest.mark.parametrize("planes", [3, 4])
@pytest.mark.parametrize(("count", "columns"), [(1, 1), (7, 3), (6, 3), (5, 8)])
def test_cutting_undoes_composing(count: int, columns: int, planes: int) -> None:
    cells = pictures(count, planes=planes)
    sheet = compose(enumerate(cells), count, columns, 8)
    assert (
        sheet.shape == (-(-count // columns) * 8, columns * 8, planes) and sheet.dtype == np.uint8
    )
    np.testing.assert_array_equal(list(cut(sheet, count, columns, 8)), cells)


def test_cells_lie_row_by_row_in_any_order_and_the_rest_is_black() -> None:
    cells = [np.full((2, 2, 3), value, np.uint8) for value in (1, 2, 3, 4, 5)]
    sheet = compose([(position, cells[position]) for position in (4, 0, 3, 1, 2)], 5, 3, 2)
    assert sheet[::2, ::2, 0].tolist() == [[1, 2, 3], [4, 5, 0]]


def test_pictures_with_and_without_opacity_do_not_go_into_one_sheet() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        compose(enumerate([*pictures(1), *pictures(1, planes=4)]), 2, 2, 8)


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        compose([], 4, 2, 8)


def test_a_cut_picture_is_a_view_into_its_sheet() -> None:
    sheet = compose(enumerate(pictures(4)), 4, 2, 8)
    assert all(np.shares_memory(picture, sheet) for picture in cut(sheet, 4, 2, 8))


@pytest.mark.parametrize("kind", ["noise", "smooth", "black", "two rows"])
def test_a_shard_comes_back_byte_for_byte(kind: str) -> None:
    ramp = np.arange(64 * 256 * 3).reshape(64, 256, 3) // 97 % 256
    sheet = {
        "noise": RNG.integers(0, 256, (64, 256, 3), np.uint8),
        "smooth": ramp.astype(np.uint8),
        "black": np.zeros((64, 64, 3), np.uint8),
        "two rows": compose(enumerate(pictures(33, 8)), 33, 31, 8),
    }[kind]
    data = encode_lossless(sheet)
    assert decode(data).tobytes() == sheet.tobytes()
    assert encode_lossless(sheet) == data


@pytest.mark.parametrize("kind", ["noise", "colours under nothing", "one pixel"])
def test_a_shard_with_opacity_comes_back_byte_for_byte(kind: str) -> None:
    sheet = RNG.integers(0, 256, (64, 256, 4), np.uint8)
    if kind == "colours under nothing":
        sheet[..., 3] = 0
    if kind == "one pixel":
        sheet[..., 3] = 255
        sheet[3, 4, 3] = 254
    data = encode_lossless(sheet)
    assert decode(data).tobytes() == sheet.tobytes()
    assert encode_lossless(sheet) == data


def test_an_opaque_sheet_needs_no_opacity() -> None:
    sheet = compose(enumerate(pictures(4, planes=4)), 4, 2, 8)
    sheet[..., 3] = 255
    np.testing.assert_array_equal(decode(encode_lossless(sheet)), sheet[..., :3])


@pytest.mark.parametrize(
    ("image_format", "name"), [("webp", "WEBP"), ("png", "PNG"), ("jpg", "JPEG")]
)
def test_a_sheet_is_written_in_each_format(image_format: str, name: str) -> None:
    slope = np.linspace(0, 255, 96)
    sheet = np.stack(np.broadcast_arrays(slope[:, None], slope[None, :], 128.0), axis=2).astype(
        np.uint8
    )
    data = encode(sheet, image_format)  # type: ignore[arg-type]
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size, image.mode) == (name, (96, 96), "RGB")
    difference = np.abs(decode(data).astype(int) - sheet)
    assert difference.mean() < 3 and (image_format != "png" or not difference.any())


def test_a_better_looking_file_is_not_a_lossless_one() -> None:
    noise = RNG.integers(0, 256, (64, 64, 3), np.uint8)
    assert len(encode(noise, "webp")) < len(encode_lossless(noise))


@pytest.mark.parametrize(("image_format", "limit"), [("webp", 16_383), ("jpg", 65_500)])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_sheet_too_large_for_its_format_is_refused(
    image_format: str, limit: int, axis: int
) -> None:
    shape = [1, 1, 3]
    shape[axis] = limit
    assert decode(encode(np.zeros(shape, np.uint8), image_format)).shape == tuple(shape)  # type: ignore[arg-type]
    shape[axis] = limit + 1
    with pytest.raises(SheetTooLarge) as caught:
        encode(np.zeros(shape, np.uint8), image_format)  # type: ignore[arg-type]
    size = f"{shape[1]} x {shape[0]}"
    assert (
        str(caught.value) == f"a sheet of {size} px does not fit into {image_format}: "
        f"expected at most {limit} px a side. Use png."
    )
    assert decode(encode(np.zeros(shape, np.uint8), "png")).shape == tuple(shape)
