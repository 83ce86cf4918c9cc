"""What is explained follows from the options and from the model's head."""

import pytest

from diamond_cutter.flows.attribution_request import AttributionRequest, attribution_spec
from diamond_cutter.flows.errors import RequestError
from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.card import ClassLabel, ModelCard
from diamond_cutter.model_inventory.heads import Head, HeadKind
from diamond_cutter.tasks.attribution.spec import AttributionSpec


def headed(toy: Bundle, kind: HeadKind, channels: int) -> ModelCard:
    """Return the card of a toy network as if it had another head."""
    *others, logits = toy.card.layers
    names = [ClassLabel(name=f"name {number}") for number in range(channels)]
    return toy.card.model_copy(
        update={
            "labels": tuple(names),
            "head": Head(kind=kind),
            "layers": (*others, logits.model_copy(update={"channels": channels})),
        }
    )


def spec(card: ModelCard, **options: object) -> AttributionSpec:
    request = AttributionRequest(model=card.name, images="pets", **options)  # type: ignore[arg-type]
    return attribution_spec(card, request, "recipe")


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, ("auto", "auto")),
        ({"negative": "none"}, ("auto", "auto")),
        ({"positive": "name 0", "negative": "none"}, (0, "auto")),
        ({"positive": "1", "negative": "name 0"}, (1, 0)),
    ],
)
def test_a_class_of_two_is_always_explained_over_the_other(
    toy: Bundle, options: dict[str, str], wanted: tuple[object, object]
) -> None:
    found = spec(headed(toy, "two classes", 2), **options)
    assert (found.positive, found.negative) == wanted


@pytest.mark.parametrize(
    ("channels", "options", "wanted"),
    [(1, {}, 0), (1, {"negative": "none"}, 0), (3, {"positive": "name 2"}, 2)],
)
def test_a_value_is_explained_alone(
    toy: Bundle, channels: int, options: dict[str, str], wanted: int
) -> None:
    found = spec(headed(toy, "values", channels), **options)
    assert (found.positive, found.negative) == (wanted, "none")


@pytest.mark.parametrize(
    ("kind", "channels", "options", "said"),
    [
        ("two classes", 2, {"positive": "all"}, "by one score, so --class all explains nothing"),
        ("two classes", 2, {"positive": "2"}, "expected 0 to 1"),
        ("values", 3, {}, "expected --class, the value to explain. Give one of name 0, name 1"),
        ("values", 3, {"positive": "all"}, "so a value cannot be compared"),
        ("values", 3, {"positive": "1", "negative": "0"}, "so a value cannot be compared"),
        ("values", 1, {"threshold": 0.4}, "--threshold does not fit toy"),
        ("classes", 5, {"threshold": 0.4}, "--threshold does not fit toy"),
    ],
)
def test_what_does_not_fit_the_head_is_one_sentence(
    toy: Bundle, kind: HeadKind, channels: int, options: dict[str, object], said: str
) -> None:
    with pytest.raises(RequestError) as error:
        spec(headed(toy, kind, channels), **options)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_only_another_threshold_than_one_half_names_another_report(toy: Bundle) -> None:
    card = headed(toy, "two classes", 2)
    keys = [spec(card, threshold=threshold).key for threshold in (None, 0.5, 0.9)]
    assert keys[0] == keys[1] != keys[2]


def test_a_card_without_a_head_has_the_hash_of_earlier_versions(toy: Bundle) -> None:
    said = toy.card.model_dump_json(include={"labels", "image", "logits_tensor"})
    assert '"head"' not in said
    assert toy.card.reading != headed(toy, "classes", 5).reading
