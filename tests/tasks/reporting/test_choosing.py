"""What a report shows: the sets of most images, the channels that decide most, and images evenly
from all.
"""

import numpy as np
import pytest

from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.totals import ALL, WRONG, LayerTotals, SetName, Totals
from diamond_cutter.tasks.reporting.choosing import (
    MOST_SETS,
    TOP,
    channels_to_render,
    evenly,
    leading_sets,
    shown_sets,
    top_and_bottom,
)
from diamond_cutter.tasks.reporting.contents import AnnotatedImage

HOSTILE = "</script>\u202e"


def totals_of(
    means: dict[SetName, list[float]], images: dict[SetName, int] | None = None
) -> Totals:
    """Return totals in which the channels of a layer have these means."""
    found = Totals()
    for name, mean in means.items():
        layer = LayerTotals.of(len(mean))
        layer.images = (images or {}).get(name, 1)
        layer.attribution += np.array(mean) * layer.images
        found.sets[name] = {"stem": layer}
    return found


def spec_of(channels: int) -> AttributionSpec:
    return AttributionSpec(layers=("stem",), channels=channels, sprites="none")


def rendered(totals: Totals, cells: dict[int, int], count: int) -> list[int]:
    return list(channels_to_render(totals, {"stem": cells}, spec_of(count))["stem"])


def test_the_sets_of_most_images_are_shown_in_an_order_of_their_own() -> None:
    labels = [SetName("label", f"{number:02}{HOSTILE}") for number in range(MOST_SETS + 5)]
    classes = [SetName("class", number=number) for number in range(MOST_SETS + 5)]
    names = [ALL, WRONG, *labels, *classes]
    images = {name: 1000 - place % 7 for place, name in enumerate(names)}
    found = shown_sets(totals_of({name: [0.0] for name in names}, images))
    assert found[0] == ALL and found[-1] == WRONG and len(found) == 2 + 2 * MOST_SETS
    for kind, of_kind in (("label", labels), ("class", classes)):
        shown = [name for name in found if name.kind == kind]
        left = set(of_kind) - set(shown)
        assert len(shown) == MOST_SETS and max(images[name] for name in left) <= min(
            images[name] for name in shown
        )
    assert [name.label for name in found if name.kind == "label"] == sorted(
        name.label for name in found if name.kind == "label"
    )


def test_without_labels_and_mistakes_there_are_all_and_classes() -> None:
    few, many = SetName("class", number=3), SetName("class", number=4)
    totals = totals_of({few: [0.0], many: [0.0], ALL: [0.0]}, {few: 1, many: 2, ALL: 3})
    assert shown_sets(totals) == [ALL, many]  # what one image is seen as is that image's own page


def test_the_first_page_shows_sets_that_ask_one_question_each() -> None:
    cats, tabby, dogs = (SetName("label", name) for name in ("cats", "tabby", "dogs"))
    few, many = SetName("class", number=3), SetName("class", number=4)
    images = {ALL: 20, cats: 9, tabby: 5, dogs: 6, few: 2, many: 5}
    totals = totals_of({name: [0.0] for name in images}, images)
    totals.explained = {ALL: {3, 4}, cats: {3, 4}, tabby: {4}, dogs: {5}, few: {3}, many: {4}}
    # The label tabby asks the question of the class 4.
    assert leading_sets(totals) == [many, few, dogs]
    totals.explained |= {few: {3, 4}, dogs: {3, 4}}
    assert leading_sets(totals) == [many, few, cats, dogs]  # classes first, and no more than four
    totals.explained[ALL] = {4}
    assert leading_sets(totals) == []


def test_the_sprites_of_the_first_page_are_those_of_its_sets() -> None:
    label, mean = SetName("label", "cats"), [float(channel) for channel in range(20)]
    totals = totals_of({ALL: mean, label: mean[::-1]}, {ALL: 3, label: 2})
    totals.explained = {ALL: {1, 2}, label: {1}}
    assert rendered(totals, {}, 1) == [0, 1, 2]


@pytest.mark.parametrize(
    ("mean", "top", "bottom"),
    [
        ([0.0, 3, -1, 2, -2], [1, 3], [4, 2]),
        ([1.0, 1, 1], [0, 1], []),
        ([-1.0, -3, -2], [], [1, 2]),
        ([0.0, 0], [], []),
        ([5.0], [0], []),
    ],
)
def test_top_and_bottom_are_above_and_below_zero(
    mean: list[float], top: list[int], bottom: list[int]
) -> None:
    assert top_and_bottom(np.array(mean), 2) == (top, bottom)


def test_no_channel_is_on_both_sides() -> None:
    mean = np.random.default_rng(0).normal(0, 1, 40)
    top, bottom = top_and_bottom(mean, TOP)
    assert len(top) == len(bottom) == TOP and not set(top) & set(bottom)
    assert (
        mean[top].tolist() == sorted(mean, reverse=True)[:TOP]
        and mean[bottom].tolist() == sorted(mean)[:TOP]
    )


def test_what_decides_most_over_all_images_comes_first_then_cells_and_other_sets_in_turn() -> None:
    mean = np.zeros(100)
    mean[:10], mean[10:20] = np.arange(20, 10, -1), -np.arange(20, 10, -1)
    of_label = np.zeros(100)
    of_label[[40, 41, 42, 43]] = 4, 3, 2, 1
    totals = totals_of({ALL: list(mean), SetName("label", "cat"): list(of_label)})
    cells = {60: 9, 61: 8, 62: 8, 63: 7, 64: 6, 65: 5, 66: 4, 67: 3, 68: 2, 69: 1, 70: 1}
    of_all = [*range(8), *range(10, 18)]
    strips = [*range(6), *range(10, 16)]
    assert rendered(totals, cells, 4) == strips  # the first screen is never empty
    assert rendered(totals, cells, 16) == of_all
    # As many as the set of all images has in its three of each side stand out in cells.
    assert rendered(totals, cells, 19) == sorted([*of_all, 60, 61, 62])
    assert rendered(totals, cells, 22) == sorted([*of_all, 60, 61, 62, 63, 64, 65])
    assert rendered(totals, cells, 25) == sorted([*of_all, 60, 61, 62, 63, 64, 65, 40, 41, 42])
    assert rendered(totals, cells, 28) == sorted(
        [*of_all, 60, 61, 62, 63, 64, 65, 66, 67, 68, 40, 41, 42]
    )
    # And in the end all of those, and no other.
    assert rendered(totals, cells, 4096) == sorted([*of_all, *cells, 40, 41, 42])


@pytest.mark.parametrize(("count", "wanted"), [(0, 0), (1, 6), (7, 7), (8, 8)])
def test_no_more_channels_are_rendered_than_requested_or_on_the_first_screen(
    count: int, wanted: int
) -> None:
    totals = totals_of({ALL: list(np.arange(1.0, 20))})
    assert rendered(totals, {}, count) == list(range(19 - wanted, 19))


def test_the_channels_of_annotated_images_are_rendered() -> None:
    totals = totals_of({ALL: list(np.arange(1.0, 20))})
    seen = AnnotatedImage(image=0, layer="stem", cell=0, channel=2, caption="")
    other = seen.model_copy(update={"layer": "other"})
    found = channels_to_render(totals, {}, spec_of(1), [seen, other])
    assert found == {"stem": (2, *range(13, 19))}
    assert channels_to_render(totals, {}, spec_of(0), [seen]) == {"stem": ()}


def test_images_are_taken_evenly_from_all() -> None:
    assert evenly(range(5), 5) == evenly(range(5), 9) == [0, 1, 2, 3, 4]
    assert evenly(range(10), 3) == [0, 3, 6]
    assert evenly([], 3) == []
    for count in (1, 64, 96, 100):
        for images in (100, 101, 127, 191, 1000):
            found = evenly(range(images), count)
            assert len(found) == len(set(found)) == count
            gaps = np.diff([*found, images])
            assert found[0] == 0 and gaps.max() - gaps.min() <= 1
