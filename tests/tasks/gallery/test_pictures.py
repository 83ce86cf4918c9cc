"""Sprites that look alike are found, wherever their texture begins."""

import time

import numpy as np

from diamond_cutter.tasks.gallery.pictures import NEIGHBOURS, nearest


def stripes(
    period: int, phase: int, *, across: bool, colour: tuple[float, float, float] = (1, 1, 1)
) -> np.ndarray:
    wave = np.sin(2 * np.pi * (np.arange(16) + phase) / period)
    picture = np.broadcast_to(wave if across else wave[:, None], (16, 16))[..., None] * colour
    return (127.5 + 120 * picture).astype(np.uint8)


def test_a_texture_is_like_itself_wherever_it_begins() -> None:
    kinds = [(4, True), (4, False), (8, True), (8, False)]
    pictures = np.stack(
        [stripes(period, phase, across=across) for period, across in kinds for phase in (0, 1)]
    )
    order, likeness = nearest(pictures, 1)
    assert order[:, 0].tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
    assert (likeness > 0.9).all()


def test_colour_counts_where_the_texture_is_the_same() -> None:
    flat = [
        np.full((16, 16, 3), colour, np.uint8)
        for colour in [(200, 0, 0), (0, 0, 200), (210, 10, 0), (0, 10, 210)]
    ]
    assert nearest(np.stack(flat), 1)[0][:, 0].tolist() == [2, 3, 0, 1]


def test_no_picture_is_its_own_neighbour_and_the_nearest_come_first() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
    order, likeness = nearest(pictures)
    assert order.shape == likeness.shape == (40, NEIGHBOURS)
    assert all(
        number not in row and len(set(row)) == NEIGHBOURS
        for number, row in enumerate(order.tolist())
    )
    assert (np.diff(likeness, axis=1) <= 0).all()
    assert (np.abs(likeness) <= 1).all()


def test_few_or_equal_pictures_have_what_neighbours_there_are() -> None:
    equal = np.full((3, 16, 16, 3), 128, np.uint8)
    order, likeness = nearest(equal)
    assert order.tolist() == [[1, 2], [0, 2], [0, 1]]
    assert not likeness.any()
    assert nearest(equal[:1])[0].shape == (1, 0)


def test_a_layer_of_2048_takes_a_moment() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2048, 16, 16, 3), np.uint8)
    # Of this process alone: others may keep the processors busy.
    started = time.process_time()
    assert nearest(pictures)[0].shape == (2048, NEIGHBOURS)
    # Half a second.
    assert time.process_time() - started < 20
