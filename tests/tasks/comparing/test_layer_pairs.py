"""Layers find their counterparts, and channels of real networks theirs."""

import numpy as np
import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.tasks.comparing.cka import linear_kernel, similarity
from diamond_cutter.tasks.comparing.layer_pairs import closest_layers, layer_pair
from diamond_cutter.tasks.features.extraction import feature_function, features_of
from tests.small_networks import images
from tests.tasks.comparing.permuted_network import CHANNELS, SIDE, network

ORDER = np.random.default_rng(5).permutation(CHANNELS)


def card(name: str, channels: int = 8, side: int = 7) -> LayerCard:
    return LayerCard(
        name=name,
        tensor=f"{name}:0",
        kind="block",
        main=True,
        channels=channels,
        height=side,
        width=side,
        sha256="0",
    )


def features(bundle: Bundle, layers: list[str]) -> dict[str, np.ndarray]:
    pixels = np.uint8(255 * images(64, SIDE))
    found = features_of(feature_function(bundle, layers, "average"), pixels, lambda done: None)
    return dict(zip(layers, found, strict=True))


def test_layers_of_the_same_name_and_shape_are_pairs_others_the_most_similar() -> None:
    first = [card("stem"), card("block", 16), card("head")]
    second = [card("stem"), card("block", 12), card("top")]
    cka = [[0.1, 0.9, 0.2], [0.3, 0.4, 0.5], [None, 0.2, 0.2]]
    assert closest_layers(first, second, cka) == [
        (0, 0, "name"),
        (1, 2, "similarity"),
        (2, 1, "similarity"),  # of equals, the first
    ]
    assert closest_layers(first[2:], second, [[None, None, None]]) == []


@pytest.mark.parametrize("order", [None, ORDER])
def test_the_order_of_the_channels_is_found(order: np.ndarray | None) -> None:
    one, other = network(), network(order)
    values = [features(bundle, ["one", "two"]) for bundle in (one, other)]
    found = [
        [similarity(linear_kernel(a), linear_kernel(b)) for b in values[1].values()]
        for a in values[0].values()
    ]
    assert [found[0][0].cka, found[1][1].cka] == pytest.approx([1, 1], abs=1e-5)
    assert found[0][1].cka == pytest.approx(found[1][0].cka, abs=1e-5)
    cards = one.card.layer("one"), other.card.layer("one")
    both = values[0]["one"], values[1]["one"]
    pair, table = layer_pair(cards, "name", both, found[0][0])
    kept = np.arange(CHANNELS) if order is None else order
    live = np.ptp(both[0], axis=0) > 0
    assert (kept[table["other_channel"][live].to_numpy(int)] == np.flatnonzero(live)).all()
    assert pair.correlation == pytest.approx(1, abs=1e-5) and pair.weak == 0
    assert pair.chance is not None and pair.chance < 0.6
    assert pair.same_number == int((kept == np.arange(CHANNELS))[live].sum())
    assert pair.matched + pair.dead[0] == CHANNELS
    assert table["mean"].to_numpy() == pytest.approx(both[0].mean(axis=0), rel=1e-4)
    matched = table["other_channel"][live].to_numpy(int)
    assert table["other_mean"][live].to_numpy() == pytest.approx(
        both[1].mean(axis=0)[matched], rel=1e-4
    )
