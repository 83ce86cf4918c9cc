from importlib import resources

import pytest

from diamond_cutter.model_inventory.imagenet import ancestors, common_ancestor, imagenet_labels
from tools.wordnet_ancestors import licence, rows

BY_NAME = {label.name: label.wnid for label in imagenet_labels()}
CLASSES = [label.wnid for label in imagenet_labels()]
# Lines of WordNet 3.0's data.noun with its definitions cut short, the first two of its licence.
DATA_NOUN = [
    "  14 WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved.  ",
    "  15   ",
    "00001740 03 n 01 entity 0 003 ~ 00001930 n 0000 ~ 00002137 n 0000 ~ 04424418 n 0000 | that "
    "which is perceived or known",
    "00001930 03 n 01 physical_entity 0 007 @ 00001740 n 0000 ~ 00002452 n 0000 ~ 00002684 n 0000 "
    "~ 00007347 n 0000 "
    "~ 00020827 n 0000 ~ 00029677 n 0000 ~ 14580597 n 0000 | an entity that has physical existence",
    "00002452 03 n 01 thing 0 009 @ 00001930 n 0000 ~ 04347225 n 0000 ~ 09225146 n 0000 ~ "
    "09312645 n 0000 "
    "~ 09367203 n 0000 ~ 09385911 n 0000 ~ 09407867 n 0000 ~ 09465459 n 0000 ~ 09468959 n 0000 | "
    "a separate and self-contained entity",
]


def names(wnid):
    return [ancestor.name for ancestor in ancestors(wnid)]


def common(*classes, **options):
    ancestor = common_ancestor([BY_NAME[name] for name in classes], **options)
    return ancestor and ancestor.name


def test_every_class_leads_up_to_entity():
    assert len(CLASSES) == 1000
    for wnid in CLASSES:
        above = ancestors(wnid)

        assert (above[-1].wnid, above[-1].name, above[-1].classes) == (
            "n00001740",
            "entity",
            1000,
        ), wnid
        assert len(set(above)) == len(above) >= 3, wnid
        assert not {ancestor.wnid for ancestor in above} & set(CLASSES), wnid


def test_each_ancestor_stands_before_its_own():
    for wnid in CLASSES:
        above = ancestors(wnid)
        for place, ancestor in enumerate(above):
            assert set(ancestors(ancestor.wnid)) <= set(above[place + 1 :]), (wnid, ancestor)


def test_all_parents_are_followed():
    assert names(BY_NAME["pug"])[:4] == ["dog", "domestic animal", "canine", "carnivore"]
    assert names(BY_NAME["tabby"])[:4] == ["domestic cat", "cat", "feline", "domestic animal"]


def test_ancestors_count_the_classes_below_them():
    counts = {ancestor.name: ancestor.classes for wnid in CLASSES for ancestor in ancestors(wnid)}

    assert (counts["dog"], counts["bird"], counts["mammal"]) == (118, 59, 218)


@pytest.mark.parametrize("wnid", ["", "n99999999", "n00001740", "../wordnet"])
def test_nothing_is_above_entity_and_what_is_not_known(wnid):
    assert ancestors(wnid) == ()


def test_classes_of_a_kind() -> None:
    for classes, name in [
        (("pug", "beagle", "Saint Bernard"), "dog"),
        (("robin", "flamingo", "ostrich"), "bird"),
        (("bee", "ladybug", "monarch"), "insect"),
        (("airliner", "sports car", "canoe"), "vehicle"),
        (("orange", "banana", "strawberry"), "edible fruit"),
        (("jersey", "cardigan", "sock"), "clothing"),
        (("violin", "flute", "drum"), "musical instrument"),
        (("pug", "lion", "wombat"), "mammal"),  # not "placental"
        (("cliff", "valley", "volcano"), "geological formation"),
    ]:
        assert common(*classes) == name
        assert common(*reversed(classes)) == name


@pytest.mark.parametrize(
    "classes",
    [
        ("pug", "goldfish", "sports car"),
        ("pug", "robin", "goldfish"),
        ("violin", "sports car", "screwdriver"),
        ("pug", "cliff"),
    ],
)
def test_classes_that_only_a_general_word_covers(classes):
    assert common(*classes) is None


def test_all_of_imagenet_has_nothing_in_common():
    assert common_ancestor(CLASSES) is None


def test_one_of_five_may_be_of_another_kind():
    assert common("pug", "beagle", "Saint Bernard", "boxer", "sports car") == "dog"
    assert common("pug", "beagle", "Saint Bernard", "sports car") is None
    assert common("pug", "beagle", "Saint Bernard", "sports car", share=0.75) == "dog"


def test_what_has_no_id_is_not_of_a_kind():
    dogs = [BY_NAME[name] for name in ("pug", "beagle", "boxer")]

    assert common_ancestor([*dogs, None]) is None
    assert common_ancestor([*dogs, "n99999999"]) is None
    assert common_ancestor([None, None, None]) is None
    assert common_ancestor([]) is None


def test_rows_are_what_is_above_the_classes():
    assert rows(DATA_NOUN, ["n00001930"]) == [
        ("n00001740", "entity", ()),
        ("n00001930", "physical entity", ("n00001740",)),
    ]
    assert [wnid for wnid, _, _ in rows(DATA_NOUN, ["n00002452", "n00001740"])] == [
        "n00001740",
        "n00001930",
        "n00002452",
    ]
    with pytest.raises(KeyError, match="n02110958"):
        rows(DATA_NOUN, ["n02110958"])


def test_the_licence_goes_with_the_data():
    [copyright_line, _] = licence(DATA_NOUN)
    text = (
        resources.files("diamond_cutter.model_inventory")
        .joinpath("wordnet_license.txt")
        .read_text(encoding="utf-8")
    )

    assert copyright_line in text
    assert "Permission to use, copy, modify and distribute" in text
