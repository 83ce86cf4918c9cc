"""Sums over images that come in parts are those of all at once."""

from dataclasses import replace

import numpy as np
import pytest

from diamond_cutter.tasks.attribution.measurements import ImageRows, join_rows
from diamond_cutter.tasks.attribution.totals import (
    ALL,
    RIGHT,
    WRONG,
    LayerTotals,
    SetName,
    Totals,
    sets_of,
)
from tests.tasks.attribution.made_up_rows import HOSTILE, LAYERS, rows

NUMBERS = list(range(60))
LABEL = SetName("label", HOSTILE)


def summed(parts: list[ImageRows]) -> Totals:
    totals = Totals()
    for part in parts:
        totals.add(part)
    return totals


@pytest.fixture(scope="module")
def whole() -> ImageRows:
    return rows(NUMBERS)


@pytest.fixture(scope="module", params=[60, 7, 1], ids=["in one go", "in parts", "one by one"])
def totals(request: pytest.FixtureRequest) -> Totals:
    return summed(
        [rows(NUMBERS[first : first + request.param]) for first in range(0, 60, request.param)]
    )


def members(whole: ImageRows) -> dict[SetName, np.ndarray]:
    """Return the images of each set, by brute force."""
    first, labels, known = whole.classes[:, 0], np.array(whole.labels, object), whole.label_classes
    found = {ALL: np.ones(60, bool), WRONG: (known >= 0) & (known != first)}
    found[RIGHT] = known == first
    found |= {SetName("label", label): labels == label for label in ("cat", HOSTILE)}
    return found | {
        SetName("class", number=int(number)): first == number for number in set(first.tolist())
    }


def test_sets_are_all_labels_classes_and_right_and_wrong(totals: Totals, whole: ImageRows) -> None:
    wanted = {name: int(places.sum()) for name, places in members(whole).items()}
    assert {name: totals.images(name) for name in totals.sets} == wanted
    assert totals.images() == 60 and totals.images(SetName("label", "dog")) == 0


def test_a_set_mixes_questions_if_several_classes_explain_it(
    totals: Totals, whole: ImageRows
) -> None:
    for name, places in members(whole).items():
        assert totals.mixes_questions(name) == (len(set(whole.positive[places].tolist())) > 1)
    assert totals.mixes_questions(ALL)


def test_numbers_are_those_of_numpy(totals: Totals, whole: ImageRows) -> None:
    for name, places in members(whole).items():
        for layer in LAYERS:
            found, numbers = totals.sets[name][layer], whole.layers[layer]
            attribution, highest = (
                numbers.channels[places].astype(np.float64),
                numbers.highest[places].astype(np.float64),
            )
            for got, wanted in (
                (found.mean, attribution.mean(axis=0)),
                (found.spread, attribution.std(axis=0)),
                (found.positive_share, (attribution > 0).mean(axis=0)),
                (found.negative_share, (attribution < 0).mean(axis=0)),
                (found.mean_highest, highest.mean(axis=0)),
                (found.highest_spread, highest.std(axis=0)),
            ):
                np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)


def test_how_often_the_model_is_right(totals: Totals, whole: ImageRows) -> None:
    known = whole.label_classes >= 0
    assert totals.labelled == known.sum() == 40
    assert totals.right == (whole.classes[known, 0] == whole.label_classes[known]).sum() > 0
    assert totals.right_of_five == sum(
        label in five
        for label, five in zip(whole.label_classes[known], whole.classes[known], strict=True)
    )
    assert totals.images(WRONG) == totals.labelled - totals.right


def test_sets_are_in_an_order_of_their_own(totals: Totals) -> None:
    names = list(totals.ordered())
    assert names[0] == ALL and names[-1] == WRONG and set(names) == set(totals.sets)
    assert [name.label for name in names if name.kind == "label"] == sorted(["cat", HOSTILE])
    classes = [(-totals.images(name), name.number) for name in names if name.kind == "class"]
    assert classes == sorted(classes)


def test_without_labels_there_are_neither_sets_of_them_nor_mistakes() -> None:
    nameless = replace(rows(NUMBERS), labels=[None] * 60, label_classes=np.full(60, -1, np.int32))
    totals = summed([nameless])
    assert {name.kind for name in totals.sets} == {"all", "class"} and totals.labelled == 0


def test_an_empty_label_is_a_label() -> None:
    found = sets_of(replace(rows([0, 1]), labels=["", None]))
    assert found[SetName("label", "")].tolist() == [0]


def test_what_varies_by_rounding_only_has_no_spread_however_many_images_there_are() -> None:
    for rounding in [0, 1e-7]:
        for value in [0.0, 6.0, 0.1, 1 / 3, 1234.567, -0.7]:
            numbers = rows(range(100), {"stem": (2, 1)}).layers["stem"]
            totals, stream = LayerTotals.of(2), np.random.default_rng(0)
            for _ in range(50):
                values = (value * (1 + rounding * stream.normal(0, 1, (100, 2)))).astype(np.float32)
                totals.add(replace(numbers, highest=values, channels=values), np.arange(100))
            assert totals.highest_spread.tolist() == totals.spread.tolist() == [0, 0]
            assert totals.mean.tolist() == pytest.approx([value] * 2)


def test_a_small_spread_around_a_large_mean_is_not_lost() -> None:
    numbers = rows(range(100), {"stem": (1, 1)}).layers["stem"]
    values = (1000 + 0.1 * np.arange(100)[:, None]).astype(np.float32)
    totals = LayerTotals.of(1)
    totals.add(replace(numbers, highest=values), np.arange(100))
    np.testing.assert_allclose(
        totals.highest_spread, values.astype(np.float64).std(axis=0), rtol=1e-4
    )


def test_sums_do_not_grow_with_images() -> None:
    def held(count: int) -> int:
        layers = summed([rows(range(first, first + 10)) for first in range(0, count, 10)]).sets[ALL]
        return sum(
            part.nbytes
            for layer in layers.values()
            for part in vars(layer).values()
            if isinstance(part, np.ndarray)
        )

    assert held(10) == held(200)
    assert join_rows([rows([1])]) is not None


def test_a_model_of_two_classes_has_a_set_for_each() -> None:
    found = sets_of(replace(rows([0, 1, 2]), classes=np.array([[1, 0], [0, 1], [1, 0]], np.int32)))
    assert found[SetName("class", number=0)].tolist() == [1]
    assert found[SetName("class", number=1)].tolist() == [0, 2]


def test_labels_come_before_classes_and_these_before_right_and_wrong(whole: ImageRows) -> None:
    kinds = [name.kind for name in summed([whole]).ordered()]
    assert list(dict.fromkeys(kinds)) == ["all", "label", "class", "right", "wrong"]
