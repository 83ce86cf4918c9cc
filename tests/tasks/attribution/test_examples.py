"""The images that excite a channel most, and a sample of all, whatever the order in which they
come.
"""

import numpy as np
import pytest

from diamond_cutter.tasks.attribution import examples
from diamond_cutter.tasks.attribution.examples import HIGHEST, QUANTILES, ExampleImages, Examples
from diamond_cutter.tasks.attribution.measurements import LayerRows

CHANNELS = 5


def rows_of(numbers: np.ndarray, *, ties: bool = False) -> LayerRows:
    """Return the rows of images, decided by their numbers."""
    stream = np.random.default_rng(0)
    highest = stream.uniform(0, 1, (4000, CHANNELS)).astype(np.float32)
    where = stream.integers(0, 49, (4000, CHANNELS)).astype(np.int32)
    values = np.round(highest[numbers] * 4) if ties else highest[numbers]
    return LayerRows(values, np.zeros((len(numbers), 49), np.float32), values, where[numbers])


def seen(parts: list[np.ndarray], **options: bool) -> Examples:
    found = Examples(CHANNELS)
    for numbers in parts:
        found.add(numbers.astype(np.int32), rows_of(numbers, **options))
    return found


def check_same(one: ExampleImages, other: ExampleImages) -> None:
    for part in ("values", "images", "where"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))
        assert getattr(one, part).dtype == getattr(other, part).dtype


@pytest.mark.parametrize("count", [40, 3000])
@pytest.mark.parametrize("ties", [False, True])
def test_examples_are_the_same_in_any_order_of_any_parts(count: int, ties: bool) -> None:
    numbers = np.arange(count)
    shuffled = np.random.default_rng(1).permutation(count)
    whole = seen([numbers], ties=ties)
    for parts in (
        np.array_split(numbers, 7),
        np.array_split(shuffled, 13)[::-1],
        np.array_split(numbers[::-1], 3),
    ):
        other = seen(parts, ties=ties)
        check_same(other.highest(), whole.highest())
        check_same(other.at_quantiles(), whole.at_quantiles())


@pytest.mark.parametrize("ties", [False, True])
def test_the_highest_are_those_of_numpy_and_of_two_as_high_the_first(ties: bool) -> None:
    numbers = np.arange(200)
    rows, found = rows_of(numbers, ties=ties), seen(np.array_split(numbers, 9), ties=ties).highest()
    for channel in range(CHANNELS):
        order = np.lexsort((numbers, -rows.highest[:, channel]))[:HIGHEST]
        np.testing.assert_array_equal(found.images[channel], order)
        np.testing.assert_array_equal(found.values[channel], rows.highest[order, channel])
        np.testing.assert_array_equal(found.where[channel], rows.where[order, channel])


@pytest.mark.parametrize("count", [1, 2, 3, 10, 100, 1000])
def test_at_a_quantile_is_an_image_as_many_are_below(count: int) -> None:
    rows, found = rows_of(np.arange(count)), seen([np.arange(count)]).at_quantiles()
    assert found.images.shape == (CHANNELS, len(QUANTILES))
    for place, quantile in enumerate(QUANTILES):
        below = (rows.highest < found.values[:, place]).mean(axis=0)
        assert (below <= quantile).all() and (below > quantile - 1 / count - 1e-6).all()
        assert [
            rows.highest[image, channel] for channel, image in enumerate(found.images[:, place])
        ] == found.values[:, place].tolist()


def test_of_many_images_a_sample_has_nearly_the_quantiles_of_all() -> None:
    rows, found = rows_of(np.arange(4000)), seen(np.array_split(np.arange(4000), 30)).at_quantiles()
    below = np.array([(rows.highest[:, None] < found.values.T).mean(axis=0)])
    np.testing.assert_allclose(below[0].mean(axis=1), QUANTILES, atol=0.05)


@pytest.mark.parametrize("count", [1, HIGHEST - 1])
def test_of_fewer_images_than_are_kept_the_rest_are_none(count: int) -> None:
    found = seen([np.arange(count)]).highest()
    assert found.images.shape == (CHANNELS, HIGHEST)
    assert (np.sort(found.images[:, :count], axis=1) == np.arange(count)).all() and (
        found.images[:, count:] == -1
    ).all()
    assert np.isfinite(found.values[:, :count]).all()


def test_what_is_kept_does_not_grow_with_images() -> None:
    def held(count: int) -> int:
        found = seen(np.array_split(np.arange(count), count // 100))
        arrays = [*vars(found._highest).values(), *vars(found._sample).values(), found._ranks]
        # A view holds the whole array that it is of.
        return sum((array if array.base is None else array.base).nbytes for array in arrays)

    assert held(1200) == held(4000)
    assert len(seen([np.arange(4000)])._ranks) == examples._SAMPLED
