import dataclasses
import itertools
import random

import numpy as np
import pytest

from diamond_cutter.model_inventory.imagenet import imagenet_labels
from diamond_cutter.tasks.attribution.words import (
    LONGEST_NAME,
    ChannelEvidence,
    ClassEvidence,
    describe,
)

WNIDS = {label.name: label.wnid for label in imagenet_labels()}
OTHERS = ("sports car", "banana", "violin", "cliff", "goldfish", "robin", "volcano", "sock")


def entry(name, value, images=10):
    return ClassEvidence(name=name, wnid=WNIDS.get(name), value=value, images=images)


def evidence(selective=(), supports=(), opposes=(), dead=False, images=90):
    return ChannelEvidence(tuple(selective), tuple(supports), tuple(opposes), dead, images)


def cold(*names):
    return [entry(name, -0.3) for name in names or OTHERS]


def test_names_of_a_kind_and_both_tails():
    line = describe(
        evidence(
            selective=[entry("pug", 2.1), entry("bloodhound", 1.9), entry("beagle", 1.8), *cold()],
            supports=[entry("pug", 0.4)],
            opposes=[entry("tabby", -0.2)],
        )
    )

    assert (
        line
        == "responds most to kinds of dog (pug, bloodhound, beagle); supports pug; opposes tabby"
    )


def test_a_channel_raises_and_lowers_a_value() -> None:
    found = dataclasses.replace(
        evidence(supports=[entry("the value", 0.4)]), verbs=("raises", "lowers")
    )
    assert describe(found).startswith("raises the value; ")


def test_at_most_three_names_and_the_rest_is_counted():
    dogs = ["pug", "beagle", "boxer", "bloodhound", "basset"]
    line = describe(
        evidence(
            selective=[*(entry(name, 2 - n / 10) for n, name in enumerate(dogs)), *cold()],
            supports=[entry(name, 2 - n / 10) for n, name in enumerate(OTHERS)],
        )
    )

    assert (
        line
        == "responds most to kinds of dog (pug, beagle, boxer and 2 more); supports sports car, "
        "banana, violin and 5 more"
    )


def test_two_of_a_kind_are_named_only():
    assert (
        describe(evidence([entry("pug", 2), entry("beagle", 1.9), *cold()]))
        == "responds most to pug, beagle"
    )


def test_no_kind_where_nothing_is_shared():
    assert describe(
        evidence(
            [entry("pug", 2), entry("banana", 1.9), entry("cliff", 1.8), *cold("sock", "violin")]
        )
    ) == ("responds most to pug, banana, cliff")


def test_an_exception_among_many_is_counted():
    selective = [
        entry("pug", 2),
        entry("beagle", 1.9),
        entry("boxer", 1.8),
        entry("basset", 1.7),
        entry("sports car", 1.6),
    ]

    line = describe(evidence([*selective, *cold(*OTHERS[1:])]))

    assert line == "responds most to kinds of dog (pug, beagle, boxer and 1 more) and 1 other class"


def test_an_exception_that_comes_first_is_named():
    selective = [
        entry("sports car", 2.5),
        entry("pug", 2),
        entry("beagle", 1.9),
        entry("boxer", 1.8),
        entry("basset", 1.7),
    ]

    assert (
        describe(evidence([*selective, *cold(*OTHERS[1:])]))
        == "responds most to sports car, pug, beagle and 2 more"
    )


def test_a_kind_that_most_other_classes_are_of_too_is_no_explanation():
    pictures_of_dogs = [
        entry("pug", 2),
        entry("beagle", 1.9),
        entry("boxer", 1.8),
        *cold("bloodhound", "basset", "collie", "sock", "cliff"),
    ]

    assert describe(evidence(pictures_of_dogs)) == "responds most to pug, beagle, boxer"


def test_classes_far_below_the_first_are_left_out():
    assert (
        describe(evidence([entry("pug", 3.0), entry("banana", 1.3), *cold()]))
        == "responds most to pug"
    )


def test_a_preference_that_chance_would_give_is_none():
    def line(value, images):
        return describe(evidence([entry("pug", value, images), *cold()]))

    assert (
        line(2.2, 2)
        == line(0.8, 10)
        == line(0.4, 10_000)
        == "responds to no class in particular on these 90 images"
    )
    assert line(2.4, 2) == line(0.9, 10) == line(0.6, 10_000) == "responds most to pug"


@pytest.mark.parametrize(("classes", "images"), [(9, 10), (10, 2), (100, 5), (1000, 3)])
def test_channels_that_care_for_no_class_are_seldom_given_one(classes, images):
    activations = np.random.default_rng(0).standard_exponential((200, classes, images))
    scores = (activations - activations.mean((1, 2), keepdims=True)) / activations.std(
        (1, 2), keepdims=True
    )
    lines = [
        describe(evidence([entry(f"class {n}", z, images) for n, z in enumerate(channel)]))
        for channel in scores.mean(2)
    ]

    # A tenth is what is allowed; of 200 draws it may be a little more.
    assert sum(line.startswith("responds most") for line in lines) <= 30


def test_a_channel_of_half_the_images_is_described():
    """Two classes, one of which it responds to: no mean can be more than one standard
    deviation up.
    """
    assert (
        describe(evidence([entry("pug", 0.95, 50), entry("tabby", -0.95, 50)], images=100))
        == "responds most to pug"
    )


def test_single_images_say_nothing_of_a_class():
    single = [entry("pug", 9, images=1), entry("beagle", 8, images=1), entry("sock", -1, images=1)]

    assert (
        describe(evidence(single, images=3))
        == "too few images (3) to say which classes it responds to"
    )
    assert (
        describe(evidence(single[:1], images=1))
        == "too few images (1) to say which classes it responds to"
    )
    assert describe(evidence([entry("pug", 0.0, images=1200)], images=1200)) == (
        "too few classes (1) to say which classes it responds to"
    )


def test_attribution_of_a_single_image_says_so():
    line = describe(
        evidence(
            cold(),
            supports=[entry("pug", 0.4, images=1)],
            opposes=[entry("tabby", -1, images=1), entry("lion", -0.1)],
        )
    )

    assert (
        line == "supports pug (1 image); opposes lion; "
        "responds to no class in particular on these 90 images"
    )


def test_named_classes_come_before_what_cannot_be_said():
    supported = {"supports": [entry("pug", 0.4)]}

    assert describe(evidence(cold(), **supported)).startswith("supports pug; responds to no class")
    assert describe(evidence(**supported)).startswith("supports pug; too few classes (0)")
    assert describe(evidence([entry("tabby", 2.0), *cold()], **supported)) == (
        "responds most to tabby; supports pug"
    )


def test_silent_channels():
    assert describe(evidence([entry("pug", 9), *cold()], dead=True)) == "silent on these 90 images"
    assert describe(evidence(dead=True, images=1)) == "silent on this one image"


def test_no_evidence():
    assert describe(evidence(images=0)) == "no images"
    assert describe(evidence()) == "too few classes (0) to say which classes it responds to"


def test_what_is_not_a_number_or_on_the_wrong_side_is_no_evidence():
    nan, infinite = float("nan"), float("inf")
    line = describe(
        evidence(
            [entry("pug", nan), entry("boxer", infinite), entry("beagle", 2.0), *cold()],
            supports=[entry("pug", -1.0), entry("boxer", 0.0), entry("collie", nan)],
            opposes=[entry("pug", 1.0), entry("sock", -infinite), entry("tabby", -1.0, images=0)],
        )
    )

    assert line == "responds most to beagle"


def test_strong_negative_responses_do_not_hide_the_positive_ones():
    assert (
        describe(evidence([entry("tabby", -5.0), entry("pug", 2.0), *cold()]))
        == "responds most to pug"
    )


def test_ties_are_broken_by_name_whatever_the_order():
    tied = [entry(name, 2.0) for name in ("pug", "banana", "cliff", "sock")]

    lines = {
        describe(evidence([*order, *cold("violin", "robin")]))
        for order in itertools.permutations(tied)
    }

    assert lines == {"responds most to banana, cliff, pug and 1 more"}


def test_the_order_of_the_classes_does_not_matter():
    entries = [entry(name, value) for value, name in enumerate(["pug", "beagle", "boxer", *OTHERS])]
    shuffled = random.Random(0).sample(entries, len(entries))

    assert describe(evidence(shuffled, shuffled)) == describe(evidence(entries, entries))


def test_names_are_shortened_to_the_first_synonym():
    assert (
        describe(evidence([entry("tench, Tinca tinca", 2.0), *cold()])) == "responds most to tench"
    )


def test_names_that_would_become_alike_stay_whole():
    line = describe(
        evidence(
            [
                entry("crane, bird", 2.0),
                entry("maillot, tank suit", 1.9),
                entry("crane, machine", -0.1),
                *cold(),
            ]
        )
    )

    assert line == "responds most to crane, bird, maillot"


def test_hostile_names_stay_one_short_line() -> None:
    for name, shown in [
        ("pug\nopposes\r\ttabby", "pug opposes tabby"),
        ("pug; opposes tabby", "pug"),
        (" , ; ,", "a class without a name"),
        ("", "a class without a name"),
        ("\u202egup\u2066\x00\x1b[31m", "gup [31m"),
        ("\ud800", "a class without a name"),
        (
            "<img src=x onerror=alert(1)>",
            "<img src=x onerror=alert(1)>",
        ),  # whoever displays it escapes it
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("p" * 10_000, "p" * (LONGEST_NAME - 1) + "…"),
        ("{0.__class__} %s", "{0.__class__} %s"),
    ]:
        assert describe(evidence([entry(name, 2.0), *cold()])) == f"responds most to {shown}"


def test_classes_without_wordnet_ids_are_named_only():
    selective = [
        ClassEvidence(name, None, 2.0, 10) for name in ("digit 1", "digit 2", "digit 3", "digit 4")
    ]

    assert (
        describe(evidence([*selective, *cold()]))
        == "responds most to digit 1, digit 2, digit 3 and 1 more"
    )


def test_half_of_the_other_classes_may_be_of_the_kind():
    selective = [entry("pug", 2), entry("beagle", 1.9), entry("boxer", 1.8)]
    others = cold("bloodhound", "basset", "sock", "cliff")

    assert (
        describe(evidence([*selective, *others]))
        == "responds most to kinds of dog (pug, beagle, boxer)"
    )


def test_attribution_of_two_images_is_no_exception():
    supports = [entry("pug", 0.4, images=2), entry("beagle", 0.3, images=1)]

    assert describe(evidence(cold(), supports=supports)).startswith("supports pug; ")
