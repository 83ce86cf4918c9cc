"""The tables say what was summed up, a row for each; and the sums are of all parts."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.card import ClassLabel, ModelCard
from diamond_cutter.tasks.attribution.examples import HIGHEST, QUANTILES
from diamond_cutter.tasks.attribution.measurements import ImageRows
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.totals import ALL, WRONG, SetName
from diamond_cutter.tasks.gathering.index import to_parquet
from diamond_cutter.tasks.reporting.dataset_sums import DatasetSums, sum_measurements
from diamond_cutter.tasks.reporting.layer_contents import FoundGroups
from diamond_cutter.tasks.reporting.tables import (
    channels_table,
    examples_table,
    groups_table,
    images_table,
    set_title,
)
from tests.tasks.attribution.made_up_rows import CLASSES, HOSTILE, LAYERS, rows

SPEC = AttributionSpec(layers=tuple(LAYERS), sprites="none")


@pytest.fixture(scope="module")
def card(toy: Bundle) -> ModelCard:
    return toy.card.model_copy(
        update={
            "labels": (
                ClassLabel(name=HOSTILE),
                *(ClassLabel(name=f"one of {n}") for n in range(1, CLASSES)),
            )
        }
    )


@pytest.fixture(scope="module")
def whole() -> ImageRows:
    return rows(range(30))


@pytest.fixture(scope="module")
def reduced() -> DatasetSums:
    return sum_measurements(rows(range(first, first + 10)) for first in (0, 10, 20))


def test_sums_are_the_same_in_any_parts(whole: ImageRows, reduced: DatasetSums) -> None:
    other = sum_measurements([whole])
    assert other.images == reduced.images and other.totals.right == reduced.totals.right
    for layer in LAYERS:
        np.testing.assert_allclose(
            other.totals.sets[ALL][layer].mean, reduced.totals.sets[ALL][layer].mean
        )
        np.testing.assert_array_equal(
            reduced.highest(layer), whole.layers[layer].highest.max(axis=0)
        )
    assert sum_measurements([]).images == []


def test_there_is_a_row_for_each_image(
    card: ModelCard, whole: ImageRows, reduced: DatasetSums
) -> None:
    table = images_table(card, reduced)
    assert len(table) == 30
    for column, wanted in (
        ("image", whole.numbers),
        ("name", whole.names),
        ("label_class", whole.label_classes),
        ("predicted", whole.classes[:, 0]),
        ("positive", whole.positive),
        ("negative", whole.negative),
    ):
        assert table[column].tolist() == list(wanted)
    assert [None if pd.isna(label) else label for label in table["label"]] == list(whole.labels)
    np.testing.assert_allclose(table["probability"], whole.probabilities[:, 0])
    assert table["predicted_name"].tolist() == [
        card.labels[number].name for number in whole.classes[:, 0]
    ]


def test_there_is_a_row_for_each_set_and_layer_and_channel(
    card: ModelCard, whole: ImageRows, reduced: DatasetSums
) -> None:
    table = channels_table(card, SPEC, reduced.totals)
    assert len(table) == len(reduced.totals.sets) * sum(channels for channels, _ in LAYERS.values())
    cats = [label == "cat" for label in whole.labels]
    for layer, (channels, _) in LAYERS.items():
        found = table[
            (table["set_kind"] == "label") & (table["set"] == "cat") & (table["layer"] == layer)
        ]
        assert found["channel"].tolist() == list(range(channels)) and set(found["images"]) == {10}
        numbers = whole.layers[layer]
        np.testing.assert_allclose(
            found["attribution_mean"], numbers.channels[cats].mean(axis=0), rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
            found["attribution_spread"], numbers.channels[cats].std(axis=0), rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
            found["positive_share"], (numbers.channels[cats] > 0).mean(axis=0), rtol=1e-6
        )
        np.testing.assert_allclose(
            found["highest_activation_mean"], numbers.highest[cats].mean(axis=0), rtol=1e-6
        )


def test_there_is_a_row_for_each_example_that_there_is(
    whole: ImageRows, reduced: DatasetSums
) -> None:
    table = examples_table(reduced.examples)
    channels = sum(count for count, _ in LAYERS.values())
    assert len(table) == channels * (HIGHEST + len(QUANTILES))
    for layer in LAYERS:
        found = table[(table["layer"] == layer) & (table["channel"] == 1)]
        highest, sampled = found[found["quantile"].isna()], found[~found["quantile"].isna()]
        assert sampled["quantile"].tolist() == pytest.approx(list(QUANTILES))
        assert (
            highest["activation"].tolist()
            == sorted(whole.layers[layer].highest[:, 1], reverse=True)[:HIGHEST]
        )
        for row in found.itertuples():
            assert whole.layers[layer].highest[row.image, 1] == row.activation
            assert whole.layers[layer].where[row.image, 1] == row.position
    few = examples_table(sum_measurements([rows([4])]).examples)
    assert len(few) == channels * (1 + len(QUANTILES)) and set(few["image"]) == {4}


def test_there_is_a_row_for_each_weight_of_a_group() -> None:
    groups = FoundGroups(
        directions=((0.6, 0.8, 0.0), (0.0, 0.0, -1.0)),
        attribution=(2.5, -1.0),
        by_class={},
        explained=0.9,
    )
    table = groups_table({HOSTILE: groups, "head": groups})
    assert len(table) == 12 and set(table["layer"]) == {HOSTILE, "head"}
    one = table[(table["layer"] == HOSTILE) & (table["group"] == 1)]
    assert (
        one["channel"].tolist() == [0, 1, 2]
        and one["weight"].tolist() == [0, 0, -1]
        and set(one["group_attribution"]) == {-1.0}
    )
    assert (
        groups_table({}).columns.tolist() == table.columns.tolist() and len(groups_table({})) == 0
    )


def test_tables_can_be_written_and_read(card: ModelCard, reduced: DatasetSums, tmp_path) -> None:
    nameless = sum_measurements([replace(rows([1, 2]), labels=[None, None])])
    tables = [
        images_table(card, reduced),
        images_table(card, nameless),
        channels_table(card, SPEC, reduced.totals),
        examples_table(reduced.examples),
        groups_table({}),
    ]
    for number, table in enumerate(tables):
        file = tmp_path / f"{number}.parquet"
        file.write_bytes(to_parquet(table))
        again = pd.read_parquet(file)
        assert again.columns.tolist() == table.columns.tolist() and len(again) == len(table)


def test_sets_have_titles(card: ModelCard) -> None:
    names = [
        ALL,
        WRONG,
        SetName("label", HOSTILE),
        SetName("class", number=0),
        SetName("class", number=99),
    ]
    assert [set_title(card, name) for name in names] == [
        "all images",
        "wrong predictions",
        HOSTILE,
        HOSTILE,
        "class 99",
    ]
