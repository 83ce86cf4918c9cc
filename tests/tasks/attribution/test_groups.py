"""Groups are directions that images excite together: those that were made up are found again,
whatever the layer is like.
"""

import numpy as np
import pytest

from diamond_cutter.tasks.attribution.groups import Groups, fit_groups

STREAM = np.random.default_rng(0)
FACTORS = np.array(
    [[1, 1, 1, 0, 0, 0, 0, 0], [0, 0, 0, 3, 1, 2, 0, 0], [0, 0, 0, 0, 0, 0, 1, 4]], np.float32
)
SIGNS = np.array([1, -1, 1, 1, -1, -1, 1, 1], np.float32)


def amounts(positions: int, groups: int) -> np.ndarray:
    """Draw how much of each group is where; often there is none, so that no other factors
    would do.
    """
    stream = np.random.default_rng(positions)
    shares = stream.uniform(0.5, 2, (positions, groups)) * (
        stream.uniform(size=(positions, groups)) < 0.4
    )
    return (shares * np.arange(groups, 0, -1)).astype(np.float32)  # the first accounts for most


def lengths(groups: Groups) -> np.ndarray:
    return np.linalg.norm(groups.directions, axis=1)


@pytest.mark.parametrize("signs", [np.ones(8, np.float32), SIGNS], ids=["above zero", "signed"])
def test_made_up_groups_are_found_again(signs: np.ndarray) -> None:
    shares, factors = amounts(600, 3), FACTORS * signs
    units = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    groups = fit_groups(shares @ factors, 3)
    assert groups.explained > 0.999
    np.testing.assert_allclose(lengths(groups), np.ones(3), rtol=1e-5)
    alike = groups.directions @ units.T
    assert sorted(alike.argmax(axis=1)) == [0, 1, 2] and (alike.max(axis=1) > 0.999).all()
    # How much of each is where, in units of the direction; on images that were not fitted, too.
    for positions in (600, 50):
        found, wanted = (
            groups.over_positions(amounts(positions, 3) @ factors),
            amounts(positions, 3) * np.linalg.norm(factors, axis=1),
        )
        np.testing.assert_allclose(found, wanted[:, alike.argmax(axis=1)], atol=0.02 * wanted.max())


def test_the_group_that_accounts_for_most_comes_first() -> None:
    shares = amounts(600, 3)
    groups = fit_groups(shares @ FACTORS, 3)
    squares = np.square(groups.over_positions(shares @ FACTORS)).sum(axis=0)
    assert (np.diff(squares) < 0).all()


LAYERS = {
    "few channels": STREAM.uniform(0, 1, (50, 2)),
    "one channel": STREAM.uniform(0, 1, (50, 1)),
    "few positions": STREAM.uniform(0, 1, (2, 9)),
    "one position": STREAM.uniform(0, 1, (1, 9)),
    "signed": STREAM.normal(0, 1, (200, 6)),
    "below zero": -STREAM.uniform(0, 1, (200, 6)),
    "constant": np.full((100, 5), 0.3),
    "few patterns": np.eye(8)[STREAM.integers(0, 3, 200)],
    "rank one": np.outer(STREAM.uniform(0, 1, 100), STREAM.uniform(0, 1, 8)),
    "signed rank one": np.outer(STREAM.normal(0, 1, 200), STREAM.normal(0, 1, 8)),
    "dead channel": STREAM.uniform(0, 1, (100, 6)) * [1, 1, 0, 1, 1, 1],
    "tiny": STREAM.uniform(0, 1e-12, (100, 5)),
}


def test_directions_have_length_one_whatever_the_layer_is_like() -> None:
    for layer in LAYERS:
        values = LAYERS[layer].astype(np.float32)
        positions, channels = values.shape
        found = fit_groups(values, 6)
        groups = len(found.directions)
        assert 1 <= groups <= min(6, positions, channels)
        assert found.directions.shape == (groups, channels) and found.directions.dtype == np.float32
        np.testing.assert_allclose(lengths(found), np.ones(groups), rtol=1e-5)
        assert 0.5 < found.explained <= 1 + 1e-6
        shares = found.over_positions(values)
        assert shares.shape == (positions, groups) and shares.dtype == np.float32
        assert np.isfinite(shares).all() and (shares >= 0).all() and shares.any()
        np.testing.assert_allclose(
            found.over_positions(np.zeros_like(values)), np.zeros_like(shares), atol=1e-12
        )


@pytest.mark.parametrize(
    ("layer", "groups"),
    [
        ("few patterns", 3),
        ("few channels", 2),
        ("one position", 1),
        ("signed", 6),
        ("signed rank one", 2),
    ],
)
def test_there_are_no_more_groups_than_there_is_to_tell_apart(layer: str, groups: int) -> None:
    found = fit_groups(LAYERS[layer].astype(np.float32), 6 if layer != "signed rank one" else 2)
    assert len(found.directions) == groups


def test_as_many_groups_as_independent_channels_account_for_all() -> None:
    values = (np.eye(5)[STREAM.integers(0, 5, 300)] * STREAM.uniform(1, 2, (300, 1))).astype(
        np.float32
    )
    found = fit_groups(values, 5)
    assert found.explained == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(found.over_positions(values) @ found.directions, values, atol=0.02)


def test_a_silent_layer_has_no_groups() -> None:
    found = fit_groups(np.zeros((50, 8), np.float32), 3)
    assert found.directions.shape == (0, 8)
    assert found.over_positions(np.ones((4, 8), np.float32)).shape == (4, 0)


def test_what_a_layer_had_not_below_zero_when_it_was_fitted_counts_for_nothing() -> None:
    found = fit_groups(amounts(600, 3) @ FACTORS, 3)
    below = -np.ones((4, 8), np.float32)
    np.testing.assert_allclose(found.over_positions(below), np.zeros((4, 3)), atol=1e-6)


def test_groups_are_the_same_each_time_and_of_many_positions_some_do() -> None:
    many = amounts(9000, 3) @ FACTORS + STREAM.uniform(0, 0.1, (9000, 8)).astype(np.float32)
    one, other = fit_groups(many, 3), fit_groups(many, 3)
    np.testing.assert_array_equal(one.parts, other.parts)
    differs = fit_groups(many, 3, seed=1)
    assert (one.parts != differs.parts).any()
    np.testing.assert_allclose(one.directions, differs.directions, atol=0.05)
