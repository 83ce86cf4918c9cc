"""Every known model has a published accuracy, or is known to have none."""

from diamond_cutter.model_inventory.card import ImagenetAccuracy, ModelCard
from diamond_cutter.model_inventory.catalogue import model_names
from diamond_cutter.model_inventory.imagenet_accuracy import (
    PUBLISHED_ACCURACY,
    WITHOUT_PUBLISHED_ACCURACY,
    known_accuracy,
    published_accuracy,
)
from diamond_cutter.model_inventory.lucid.zoo import lucid_models
from tests.flows.made_up_set import made_up_card


def old_card(name: str) -> ModelCard:
    """Return a card of an earlier version, which has no accuracy."""
    card = made_up_card().model_copy(update={"name": name})
    return ModelCard.model_validate_json(card.model_dump_json(exclude={"imagenet"}))


def test_every_known_model_has_a_figure_or_is_listed_without() -> None:
    assert PUBLISHED_ACCURACY.keys() | WITHOUT_PUBLISHED_ACCURACY == set(model_names())
    assert not PUBLISHED_ACCURACY.keys() & WITHOUT_PUBLISHED_ACCURACY


def test_figures_are_shares_with_the_address_of_a_page() -> None:
    for name, accuracy in PUBLISHED_ACCURACY.items():
        assert 0.3 < accuracy.top1 < 0.95, name
        assert accuracy.source.startswith("https://"), name


def test_models_of_other_datasets_have_no_figure() -> None:
    others = {name for name, row in lucid_models().items() if row.dataset != "ImageNet"}
    assert others and others <= WITHOUT_PUBLISHED_ACCURACY
    assert all(published_accuracy(name) is None for name in WITHOUT_PUBLISHED_ACCURACY)


def test_a_card_of_an_earlier_version_has_the_figure_of_its_model() -> None:
    card = old_card("efficientnet-lite0")
    assert card.imagenet is None
    accuracy = known_accuracy(card)
    assert accuracy == published_accuracy("efficientnet-lite0")
    assert accuracy is not None and accuracy.top1 == 0.751


def test_the_figure_on_a_card_counts_first() -> None:
    own = ImagenetAccuracy(top1=0.5, source="https://example.org")
    card = old_card("efficientnet-lite0").model_copy(update={"imagenet": own})
    assert known_accuracy(card) == own


def test_a_users_model_has_no_figure() -> None:
    for name in ("mine", "resnet50", "InceptionV1_slim"):
        assert known_accuracy(old_card(name)) is None, name
