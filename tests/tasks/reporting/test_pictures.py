"""Sprites come from sound shards, and a patch is what a position of a layer sees of an image."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.sprite_set import read_layer
from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.reporting.layer_contents import Sheet
from diamond_cutter.tasks.reporting.pictures import (
    PATCH_PX,
    SPRITE_PX,
    SPRITES_OF_A_FILE,
    PatchCutter,
    sheet_columns,
    sprite_places,
    sprite_sheet,
)
from tests.flows.made_up_set import RECIPE, made_up_card
from tests.tasks.gallery.made_up_gallery import MODEL, colour_of, put_layer, scores
from tests.tasks.photos.small_images import BLUE, GREEN, RED, plain, save

GREY = (128, 128, 128)
CARD = made_up_card()  # of images of 32 x 32


def cells_of(data: bytes, count: int, columns: int, cell_px: int) -> list[tuple[int, ...]]:
    """Return the colour in the middle of each cell of a sheet."""
    with Image.open(io.BytesIO(data)) as image:
        sheet = np.asarray(image.convert("RGB"))
    assert sheet.shape == (-(-count // columns) * cell_px, columns * cell_px, 3)
    middles = [
        ((cell // columns) * cell_px + cell_px // 2, (cell % columns) * cell_px + cell_px // 2)
        for cell in range(count)
    ]
    return [tuple(map(int, sheet[middle])) for middle in middles]


def check_colours(found: list[tuple[int, ...]], wanted: list[tuple[int, ...]]) -> None:
    # WebP with losses keeps a plain colour but for a few steps.
    np.testing.assert_allclose(np.array(found), np.array(wanted), atol=14)


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def test_sprites_are_found_by_channel_and_of_variants_the_first(bucket: LocalBucket) -> None:
    put_layer(bucket, "stem", [scores(3), scores(3, variant=1), scores(1), scores(1, variant=1)])
    places = sprite_places(bucket, MODEL, RECIPE.key, "stem")
    assert {channel: place.cell for channel, place in places.items()} == {1: 2, 3: 0}
    assert sprite_places(bucket, MODEL, RECIPE.key, "block_0") == {}


def test_a_sheet_has_the_sprites_in_the_order_asked_for_from_any_shards(
    bucket: LocalBucket,
) -> None:
    put_layer(bucket, "stem", [scores(channel) for channel in (0, 1, 2)], part="00000-00002")
    put_layer(bucket, "stem", [scores(channel) for channel in (5, 9)], part="00005-00009")
    places = sprite_places(bucket, MODEL, RECIPE.key, "stem")
    asked = [9, 0, 5, 2, 1]
    columns = sheet_columns(len(asked), SPRITES_OF_A_FILE)
    data, cell_px = sprite_sheet(bucket, [places[channel] for channel in asked], columns)
    assert (columns, cell_px) == (3, 32)
    check_colours(
        cells_of(data, 5, columns, cell_px), [colour_of(scores(channel)) for channel in asked]
    )


def test_large_sprites_are_made_smaller(bucket: LocalBucket) -> None:
    put_layer(bucket, "stem", [scores(7)], cell_px=200)
    place = sprite_places(bucket, MODEL, RECIPE.key, "stem")[7]
    data, cell_px = sprite_sheet(bucket, [place], 1)
    assert cell_px == SPRITE_PX
    check_colours(cells_of(data, 1, 1, SPRITE_PX), [colour_of(scores(7))])


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_sprites_of_a_damaged_shard_are_grey_and_the_others_are_there(
    bucket: LocalBucket, tmp_path: Path, damage: str
) -> None:
    put_layer(bucket, "stem", [scores(channel) for channel in (0, 1)], part="00000-00001")
    put_layer(bucket, "stem", [scores(channel) for channel in (5, 9)], part="00005-00009")
    places = sprite_places(bucket, MODEL, RECIPE.key, "stem")
    file = tmp_path / "bucket" / places[5].shard.file.key
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(
            bytes(reversed(file.read_bytes()))
        )  # as long as before, so that only its checksum tells
    columns = sheet_columns(4, SPRITES_OF_A_FILE)
    data, cell_px = sprite_sheet(bucket, [places[channel] for channel in (5, 0, 9, 1)], columns)
    wanted = [GREY, colour_of(scores(0)), GREY, colour_of(scores(1))]
    check_colours(cells_of(data, 4, columns, cell_px), wanted)


def test_a_shard_that_is_cut_short_has_no_sprites(bucket: LocalBucket, tmp_path: Path) -> None:
    put_layer(bucket, "stem", [scores(0)])
    (shard,) = read_layer(bucket, MODEL, RECIPE.key, "stem").sound.values()
    (tmp_path / "bucket" / shard.file.key).write_bytes(b"short")
    assert sprite_places(bucket, MODEL, RECIPE.key, "stem") == {}


def layer(field_px: int | None, side: int | None = 4) -> LayerCard:
    return CARD.layers[0].model_copy(
        update={"receptive_field": field_px, "height": side, "width": side}
    )


def quarters(folder: Path, name: str = "quarters.png") -> FoundImage:
    """Return an image that is red, green, blue and white in its corners."""
    values = np.full((32, 32, 3), 255, np.uint8)
    values[:16, :16], values[:16, 16:], values[16:, :16] = RED, GREEN, BLUE
    return FoundImage(name, str(save(folder / name, values)))


def patches_of(folder: Path, field: LayerCard, wanted: list[tuple[int, int]]) -> list[np.ndarray]:
    cutter = PatchCutter(
        CARD,
        {
            7: quarters(folder),
            8: FoundImage(
                "plain.png", str(save(folder / "plain.png", plain((90, 60, 30), 40, 40)))
            ),
        },
    )
    data, columns = cutter.sheet(field, wanted)
    with Image.open(io.BytesIO(data)) as image:
        sheet = np.asarray(image.convert("RGB")).astype(int)
    return [
        sheet[row * PATCH_PX : (row + 1) * PATCH_PX, column * PATCH_PX : (column + 1) * PATCH_PX]
        for row, column in (divmod(cell, columns) for cell in range(len(wanted)))
    ]


def test_a_patch_in_a_corner_is_all_of_its_field_and_inside(tmp_path: Path) -> None:
    corners = patches_of(tmp_path, layer(12), [(7, 0), (7, 3), (7, 12), (7, 15)])
    for patch, colour in zip(corners, (RED, GREEN, BLUE, (255, 255, 255)), strict=True):
        np.testing.assert_allclose(patch.mean(axis=(0, 1)), colour, atol=14)
        assert patch.std(axis=(0, 1)).max() < 20  # and of one colour


def test_a_patch_is_where_its_position_looks(tmp_path: Path) -> None:
    # Position 5 of 4 x 4 is around pixel 12; its 12 pixels are from 6 on: ten of them are red, and
    # the rest of other quarters.
    (patch,) = patches_of(tmp_path, layer(12), [(7, 5)])
    edge = round(10 / 12 * PATCH_PX)
    for rows, columns, colour in (
        (slice(8, edge - 12), slice(8, edge - 12), RED),
        (slice(8, edge - 12), slice(edge + 6, None), GREEN),
        (slice(edge + 6, None), slice(8, edge - 12), BLUE),
    ):
        np.testing.assert_allclose(patch[rows, columns].mean(axis=(0, 1)), colour, atol=40)


@pytest.mark.parametrize(
    "field",
    [layer(None), layer(32), layer(500), layer(12, None)],
    ids=["unknown", "all", "more", "vector"],
)
def test_what_sees_all_of_the_image_is_shown_all(tmp_path: Path, field: LayerCard) -> None:
    (patch,) = patches_of(tmp_path, field, [(7, 0)])
    for place, colour in (
        ((20, 20), RED),
        ((20, 60), GREEN),
        ((60, 20), BLUE),
        ((60, 60), (255, 255, 255)),
    ):
        np.testing.assert_allclose(patch[place], colour, atol=14)


def test_patches_are_in_the_order_asked_for_whatever_the_images(tmp_path: Path) -> None:
    found = patches_of(tmp_path, layer(8), [(8, 5), (7, 0), (8, 0), (7, 15), (7, 3)])
    wanted = [(90, 60, 30), RED, (90, 60, 30), (255, 255, 255), GREEN]
    np.testing.assert_allclose([patch.mean(axis=(0, 1)) for patch in found], wanted, atol=14)


def test_an_image_that_has_vanished_is_grey(tmp_path: Path) -> None:
    images = {0: quarters(tmp_path), 1: FoundImage("gone.png", str(tmp_path / "gone.png"))}
    data, columns = PatchCutter(CARD, images).sheet(layer(12), [(1, 3), (0, 0), (1, 0)])
    check_colours(cells_of(data, 3, columns, PATCH_PX), [GREY, RED, GREY])


def test_few_pictures_are_kept_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diamond_cutter.tasks.reporting.pictures._KEPT_PICTURES", 2)
    images = {
        number: FoundImage(
            f"{number}.png", str(save(tmp_path / f"{number}.png", plain((number * 40,) * 3)))
        )
        for number in range(5)
    }
    cutter = PatchCutter(CARD, images)
    data, columns = cutter.sheet(layer(None), [(number, 0) for number in range(5)])
    check_colours(cells_of(data, 5, columns, PATCH_PX), [(number * 40,) * 3 for number in range(5)])
    assert len(cutter._decoded) == 2


def test_a_large_sheet_has_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diamond_cutter.tasks.reporting.pictures.PATCHES_OF_A_FILE", 4)
    colours = [RED, GREEN, BLUE, (255, 255, 255)]
    wanted = [(0, place) for place in (0, 3, 12, 15, 12, 3)]
    files = PatchCutter(CARD, {0: quarters(tmp_path)}).sheets(layer(12), wanted)
    names = [f"{number}.webp" for number in range(len(files))]
    sheet = Sheet(file=names[0], columns=2, cell_px=PATCH_PX, cells=4, more=tuple(names[1:]))
    assert len(files) == 2
    check_colours(cells_of(files[0], 4, 2, PATCH_PX), colours)
    check_colours(cells_of(files[1], 2, 2, PATCH_PX), [BLUE, GREEN])
    assert [sheet.place(cell) for cell in (3, 4, 5)] == [
        ("0.webp", 1, 1),
        ("1.webp", 0, 0),
        ("1.webp", 0, 1),
    ]
