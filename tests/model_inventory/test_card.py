"""The card names layers as people ask for them, and says what is near a name that is not there."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.card import ImagenetAccuracy, LayerCard, ModelCard
from diamond_cutter.model_inventory.errors import BadModel, UnknownLayer
from diamond_cutter.model_inventory.imagenet_accuracy import published_accuracy

BLOCKS = [f"block_{index}" for index in range(16)]


def test_lite0_has_its_layers_in_forward_order(lite0: Bundle) -> None:
    names = [layer.name for layer in lite0.card.layers]
    inner = [
        name
        for index in range(1, 16)
        for name in (f"block_{index}.expand", f"block_{index}.depthwise", f"block_{index}")
    ]
    assert names == ["stem", "block_0.depthwise", "block_0", *inner, "head", "logits"]
    assert len(names) == 50


def test_the_main_layers_are_stem_blocks_and_head(lite0: Bundle) -> None:
    assert [layer.name for layer in lite0.card.layers if layer.main] == ["stem", *BLOCKS, "head"]


@pytest.mark.parametrize(
    ("layer", "kind", "channels", "side"),
    [
        ("stem", "convolution", 32, 112),
        ("block_3.expand", "expansion", 144, 56),
        ("block_3.depthwise", "depthwise", 144, 28),
        ("block_10", "block", 112, 14),
        ("head", "convolution", 1280, 7),
        ("logits", "dense", 1000, None),
    ],
)
def test_a_layer_says_its_kind_and_size(
    lite0: Bundle, layer: str, kind: str, channels: int, side: int | None
) -> None:
    card = lite0.card.layer(layer)
    assert (card.kind, card.channels, card.height, card.width) == (kind, channels, side, side)


def test_the_logits_and_the_names_of_the_classes_are_found(lite0: Bundle) -> None:
    card = lite0.card
    assert card.logits == card.check_logits() == card.layer("logits")
    assert card.class_names[:2] == ("tench", "goldfish") and len(card.class_names) == 1000
    assert card.channel_names(card.layer("logits")) == card.class_names
    assert card.channel_names(card.layer("head")) == ()
    assert card.class_label(1) == card.labels[1]
    assert (card.class_label(-1).name, card.class_label(1000).name) == ("class -1", "class 1000")
    assert not {"logits", "class_names"} & card.model_dump().keys()
    headless = card.model_copy(update={"logits_tensor": None})
    assert headless.logits is None
    with pytest.raises(BadModel, match=r"^efficientnet-lite0 has no logits"):
        headless.check_logits()


def test_there_are_a_thousand_labels_and_no_two_alike(lite0: Bundle) -> None:
    labels = lite0.card.labels
    assert (
        len({label.name for label in labels})
        == len({label.wnid for label in labels})
        == len(labels)
        == 1000
    )
    assert (labels[0].name, labels[0].wnid, labels[999].wnid) == ("tench", "n01440764", "n15075141")


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (["block_10"], ["block_10"]),
        (["head", "stem", "head"], ["stem", "head"]),
        (["block_1?"], [f"block_{index}" for index in range(10, 16)]),
        (["block_[23].depthwise", "logits"], ["block_2.depthwise", "block_3.depthwise", "logits"]),
        (["main"], ["stem", *BLOCKS, "head"]),
    ],
)
def test_layers_are_chosen_by_name_glob_and_main(
    lite0: Bundle, patterns: list[str], chosen: list[str]
) -> None:
    assert [layer.name for layer in lite0.card.select_layers(patterns)] == chosen


def test_all_means_all_layers(lite0: Bundle) -> None:
    assert lite0.card.select_layers(["all"]) == list(lite0.card.layers)


@pytest.mark.parametrize("name", ["block10", "Block_10"])
def test_an_unknown_layer_is_answered_with_the_nearest(lite0: Bundle, name: str) -> None:
    for ask in (lite0.card.layer, lambda name: lite0.card.select_layers(["main", name])):
        with pytest.raises(
            UnknownLayer,
            match=f"^layer '{name}' is not in efficientnet-lite0: did you mean .*'block_10'",
        ):
            ask(name)


def test_a_glob_that_fits_nothing_is_refused(toy: Bundle) -> None:
    with pytest.raises(
        UnknownLayer,
        match=r"layer 'mixed\*' is not in toy: did you mean 'first' or 'second' or 'third'\?",
    ):
        toy.card.select_layers(["first", "mixed*"])


def test_two_layers_cannot_share_a_name(toy: Bundle) -> None:
    layer = toy.card.layers[0]
    with pytest.raises(ValidationError, match="two layers of toy have the same name"):
        ModelCard.model_validate({**toy.card.model_dump(), "layers": [layer, layer]})


@pytest.mark.parametrize("change", [{"channels": 0}, {"kind": "transformer"}, {"colour": "red"}])
def test_a_layer_that_cannot_be_is_refused(toy: Bundle, change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LayerCard.model_validate({**toy.card.layers[0].model_dump(), **change})


def test_a_card_survives_json(lite0: Bundle) -> None:
    assert ModelCard.model_validate_json(lite0.card.model_dump_json()) == lite0.card


def test_a_card_of_an_earlier_version_without_an_accuracy_is_valid(lite0: Bundle) -> None:
    old = ModelCard.model_validate_json(lite0.card.model_dump_json(exclude={"imagenet"}))
    assert old == lite0.card.model_copy(update={"imagenet": None})


def test_the_import_of_a_known_model_notes_its_accuracy(lite0: Bundle, toy: Bundle) -> None:
    assert lite0.card.imagenet == published_accuracy("efficientnet-lite0") is not None
    assert toy.card.imagenet is None


@pytest.mark.parametrize(
    "change", [{"top1": 75.1}, {"top1": -0.1}, {"top1": float("nan")}, {"source": "a book"}]
)
def test_an_accuracy_is_a_share_with_an_address(change: dict[str, object]) -> None:
    sound = {"top1": 0.751, "source": "https://example.org"}
    ImagenetAccuracy.model_validate(sound)
    with pytest.raises(ValidationError):
        ImagenetAccuracy.model_validate({**sound, **change})


def test_a_model_is_named_by_its_graph(lite0: Bundle) -> None:
    assert lite0.card.key == f"efficientnet-lite0@{lite0.card.graph_sha256[:8]}"


def test_the_glob_in_the_readme_means_what_is_said_there(lite0: Bundle) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    ((glob, first, last),) = re.findall(r"globs \(`'(.+?)'` is `(.+?)` to `(.+?)`\)", readme)
    chosen = [layer.name for layer in lite0.card.select_layers([glob])]
    assert [chosen[0], chosen[-1]] == [first, last] and chosen == [
        name for name in chosen if name in BLOCKS
    ]
