"""Channels find their counterparts."""

import numpy as np
import pytest

from diamond_cutter.tasks.comparing.matching import NONE, chance_correlation, match_channels


def layer(seed: int, images: int = 60, channels: int = 12) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).normal(0, 1, (images, channels))).astype(np.float32)


def test_a_layer_matches_itself_even_if_channels_are_equal() -> None:
    one = layer(0)
    one[:, 7], one[:, 9] = one[:, 3], 2 * one[:, 3]
    found = match_channels(one, one)
    assert found.partner.tolist() == list(range(12)) and found.dead == (0, 0)
    assert found.correlation == pytest.approx(1)


def test_a_permutation_is_found_whatever_the_scales() -> None:
    one, order = layer(1), np.random.default_rng(9).permutation(12)
    noise = layer(2) / 10
    found = match_channels(one, 3 * (one + noise)[:, order] + 1)
    assert (order[found.partner] == np.arange(12)).all()
    assert found.correlation.min() > 0.9


def test_correlations_are_those_of_numpy_and_no_other_matching_is_better() -> None:
    from itertools import permutations

    one, other = layer(3, 15, 5), layer(4, 15, 5)
    found, every = match_channels(one, other), np.corrcoef(one.T, other.T)[:5, 5:]
    assert found.correlation == pytest.approx(every[np.arange(5), found.partner], abs=1e-6)
    best = max(every[range(5), list(order)].sum() for order in permutations(range(5)))
    assert found.correlation.sum() == pytest.approx(best, abs=1e-6)


def test_dead_channels_are_not_matched() -> None:
    one, other = layer(5), layer(5)
    one[:, 2], other[:, [4, 5]] = 0, 0.3
    found = match_channels(one, other)
    assert found.dead == (1, 2) and found.partner[2] == NONE
    assert not {4, 5} & set(found.partner.tolist())
    assert (found.partner == NONE).sum() == 2  # ten live channels have counterparts
    assert np.isnan(found.correlation[found.partner == NONE]).all()


@pytest.mark.parametrize(("channels", "others"), [(5, 9), (9, 5)])
def test_layers_of_other_widths_are_matched_as_far_as_possible(channels: int, others: int) -> None:
    found = match_channels(layer(6, 30, channels), layer(7, 30, others))
    matched = found.partner[found.partner != NONE]
    assert len(matched) == len(set(matched.tolist())) == 5


def test_dead_layers_match_nothing() -> None:
    dead = np.zeros((20, 4), np.float32)
    found = match_channels(dead, layer(8, 20))
    assert found.mean is None and found.dead == (4, 0)
    assert chance_correlation(dead, dead) is None


def test_chance_is_high_with_few_images_and_low_with_many() -> None:
    few = chance_correlation(layer(1, 10, 64), layer(2, 10, 64))
    many = chance_correlation(layer(1, 1000, 64), layer(2, 1000, 64))
    assert few is not None and many is not None
    assert few > 0.6 and many < 0.15
