"""Cells: a layer's positions, put together where there are more than a person can point at."""

import math

from diamond_cutter.model_inventory.card import LayerCard

MOST_IN_A_ROW = 20


def cell_grid(layer: LayerCard) -> tuple[int, int]:
    """Return the rows and columns of a layer's cells; a vector has one cell."""
    side = side_of(layer)
    return math.ceil((layer.height or 1) / side), math.ceil((layer.width or 1) / side)


def side_of(layer: LayerCard) -> int:
    """Return how many positions in a row, and in a column, are one cell."""
    return math.ceil(max(layer.height or 1, layer.width or 1) / MOST_IN_A_ROW)
