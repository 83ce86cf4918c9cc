"""Cells of positions hold their sums, means and highest, whatever the sides, and nothing that is
not there.
"""

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.tasks.attribution.details import cell_maxima, cell_means, cell_sums
from diamond_cutter.tasks.attribution.spec import MOST_CELLS_IN_A_ROW, cell_grid, cell_side

SIDES = [(1, 1), (7, 7), (20, 20), (21, 21), (35, 30), (3, 41), (112, 112)]


def card(height: int | None, width: int | None) -> LayerCard:
    return LayerCard(
        name="one",
        tensor="one:0",
        kind="other",
        main=True,
        channels=3,
        height=height,
        width=width,
        sha256="0" * 64,
    )


def by_hand(values: np.ndarray, side: int) -> list[list[np.ndarray]]:
    """Return, by image and cell, the values `[position, channel]` in it."""
    return [
        [
            image[row : row + side, column : column + side].reshape(-1, image.shape[-1])
            for row in range(0, image.shape[0], side)
            for column in range(0, image.shape[1], side)
        ]
        for image in values
    ]


@pytest.mark.parametrize(("height", "width"), SIDES)
def test_cells_are_as_few_as_a_person_can_point_at_and_cover_all(height: int, width: int) -> None:
    side, (rows, columns) = cell_side(card(height, width)), cell_grid(card(height, width))
    assert max(rows, columns) <= MOST_CELLS_IN_A_ROW
    assert (rows - 1) * side < height <= rows * side and (
        columns - 1
    ) * side < width <= columns * side
    if max(height, width) <= MOST_CELLS_IN_A_ROW:
        assert (rows, columns, side) == (height, width, 1)
    else:  # and no coarser than need be
        assert max(height, width) > MOST_CELLS_IN_A_ROW * (side - 1)


@pytest.mark.parametrize(("height", "width"), SIDES)
def test_what_is_in_a_cell_is_what_numpy_finds_there(height: int, width: int) -> None:
    layer = card(height, width)
    # All below zero: what fills cells up at the edge must not be the highest there, nor be counted.
    values = np.random.default_rng(0).uniform(-2, -1, (2, height, width, 3)).astype(np.float32)
    cells, tensor = by_hand(values, cell_side(layer)), tf.constant(values)
    for found, wanted in ((cell_sums, np.sum), (cell_means, np.mean), (cell_maxima, np.max)):
        expected = np.array([[wanted(cell, axis=0) for cell in image] for image in cells])
        np.testing.assert_allclose(found(tensor, layer), expected, rtol=1e-4)
    rows, columns = cell_grid(layer)
    assert cell_sums(tensor, layer).shape == (2, rows * columns, 3)


def test_a_vector_is_one_cell() -> None:
    layer, values = card(None, None), np.array([[1, -2, 3], [4, 5, -6]], np.float32)
    assert cell_grid(layer) == (1, 1) and cell_side(layer) == 1
    for found in (cell_sums, cell_means, cell_maxima):
        np.testing.assert_array_equal(found(tf.constant(values), layer), values[:, None])
