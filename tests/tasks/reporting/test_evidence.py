"""The evidence for a channel is counted from sums, and called by what the model and the user call
classes.
"""

import numpy as np
import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.card import ClassLabel, ModelCard
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.totals import ALL, LayerTotals, SetName, Totals
from diamond_cutter.tasks.attribution.words import ClassEvidence
from diamond_cutter.tasks.reporting.evidence import LayerEvidence

HOSTILE = "</script>\u202ecat"
LABELS = (
    ClassLabel(name="tabby", wnid="n02123045"),
    ClassLabel(name=HOSTILE),
    ClassLabel(name="goldfish", wnid="n01443537"),
)
CAT, FISH, OTHER = (
    SetName("label", "tabby"),
    SetName("label", "Goldfish"),
    SetName("label", HOSTILE + "!"),
)
TABBIES, GOLDFISH = SetName("class", number=0), SetName("class", number=2)


@pytest.fixture(scope="module")
def card(toy: Bundle) -> ModelCard:
    return toy.card.model_copy(update={"labels": LABELS})


def spec_of(**changes: object) -> AttributionSpec:
    return AttributionSpec(layers=("stem",), sprites="none").model_copy(update=changes)


def sums(
    images: int, attribution: list[float], highest: list[float], spread: list[float] | None = None
) -> LayerTotals:
    """Return sums whose means are these."""
    found, means = LayerTotals.of(len(attribution)), np.array(highest, float)
    found.images = images
    found.attribution += images * np.array(attribution)
    found.highest += images * means
    found.highest_squares += images * (np.square(means) + np.square(spread or [0.0] * len(highest)))
    return found


def totals_of(**sets: LayerTotals) -> Totals:
    names = {
        "every": ALL,
        "cat": CAT,
        "fish": FISH,
        "other": OTHER,
        "tabbies": TABBIES,
        "goldfish": GOLDFISH,
    }
    return Totals(sets={names[name]: {"stem": found} for name, found in sets.items()})


SEEN = np.array([4, 5, 1], np.float32)
EVERY = sums(10, [0.5, -0.1, 0.0], [2, 3, 1], [0.5, 1, 0])


def test_a_channel_is_compared_over_labels_in_deviations(card: ModelCard) -> None:
    totals = totals_of(
        every=EVERY,
        cat=sums(4, [0] * 3, [3, 2, 1]),
        fish=sums(3, [0] * 3, [2, 4, 1]),
        other=sums(3, [0] * 3, [1, 3, 1]),
    )
    evidence = LayerEvidence(card, spec_of(), totals, "stem", SEEN)
    found = {each.name: each for each in evidence.of(0).selective}
    assert found == {
        "tabby": ClassEvidence("tabby", "n02123045", 2.0, 4),
        "Goldfish": ClassEvidence(
            "Goldfish", "n01443537", 0.0, 3
        ),  # the user's word, the model's class
        HOSTILE + "!": ClassEvidence(HOSTILE + "!", None, -2.0, 3),
    }
    assert evidence.selective(0) == (("tabby", 2.0),)
    assert evidence.selective(1) == (("Goldfish", 1.0),)
    silent = LayerEvidence(card, spec_of(), totals, "stem", np.array([4, 0, -1], np.float32))
    assert [silent.of(channel).dead for channel in range(3)] == [False, True, True]
    assert not evidence.of(2).dead  # it never varies, but it is not silent
    assert evidence.of(2).images == 10
    # What never varies is above nothing.
    assert [each.value for each in evidence.of(2).selective] == [0, 0, 0] and evidence.selective(
        2
    ) == ()


def test_without_labels_a_channel_is_compared_over_what_images_are_taken_for(
    card: ModelCard,
) -> None:
    totals = totals_of(
        every=EVERY, tabbies=sums(6, [1, -2, 0], [3, 2, 1]), goldfish=sums(4, [-1, 2, 0], [1, 4, 1])
    )
    evidence = LayerEvidence(card, spec_of(), totals, "stem", SEEN)
    assert evidence.of(0).selective == (
        ClassEvidence("tabby", "n02123045", 2.0, 6),
        ClassEvidence("goldfish", "n01443537", -2.0, 4),
    )


def test_a_channel_supports_classes_whose_logits_it_adds_most_to(card: ModelCard) -> None:
    totals = totals_of(
        every=EVERY,
        tabbies=sums(6, [1, 2, -3], [3, 2, 1]),
        goldfish=sums(4, [4, -2, -1], [1, 4, 1]),
    )
    evidence = LayerEvidence(card, spec_of(), totals, "stem", SEEN)
    # Of three channels one is named on each side.
    assert (
        evidence.of(0).supports == (ClassEvidence("goldfish", "n01443537", 4.0, 4),)
        and evidence.of(0).opposes == ()
    )
    assert evidence.of(1).supports == (ClassEvidence("tabby", "n02123045", 2.0, 6),)
    assert evidence.of(1).opposes == (ClassEvidence("goldfish", "n01443537", -2.0, 4),)
    assert evidence.of(2).opposes == (ClassEvidence("tabby", "n02123045", -3.0, 6),)


def test_images_of_the_class_that_all_are_held_against_do_not_speak_for_it(card: ModelCard) -> None:
    totals = totals_of(
        every=EVERY, tabbies=sums(6, [1, 0, 0], [3, 2, 1]), goldfish=sums(4, [4, 0, 0], [1, 4, 1])
    )
    assert [
        each.name
        for each in LayerEvidence(card, spec_of(negative=2), totals, "stem", SEEN).of(0).supports
    ] == ["tabby"]


def test_of_one_class_all_images_speak(card: ModelCard) -> None:
    totals = totals_of(every=EVERY, tabbies=sums(6, [9, 0, 0], [3, 2, 1]))
    assert LayerEvidence(card, spec_of(positive=1), totals, "stem", SEEN).of(0).supports == (
        ClassEvidence(HOSTILE, None, 0.5, 10),
    )
    assert LayerEvidence(card, spec_of(positive="all"), totals, "stem", SEEN).of(0).supports == ()


def test_channels_of_no_attribution_speak_for_nothing(card: ModelCard) -> None:
    evidence = LayerEvidence(
        card, spec_of(), totals_of(every=EVERY, tabbies=sums(6, [0, 0, 0], [3, 2, 1])), "stem", SEEN
    )
    assert all(
        not evidence.of(channel).supports and not evidence.of(channel).opposes
        for channel in range(3)
    )


def test_classes_without_labels_are_called_by_number(card: ModelCard) -> None:
    nameless = card.model_copy(update={"labels": ()})
    assert [
        each.class_label(number).name for each, number in ((card, 1), (nameless, 1), (card, 7))
    ] == [HOSTILE, "class 1", "class 7"]
    totals = totals_of(every=EVERY, tabbies=sums(6, [1, -2, 0], [3, 2, 1]))
    found = LayerEvidence(nameless, spec_of(), totals, "stem", SEEN).of(0)
    assert (
        found.supports == (ClassEvidence("class 0", None, 1.0, 6),)
        and found.selective[0].name == "class 0"
    )
