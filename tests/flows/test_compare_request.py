"""Which layers of two models are compared."""

import pytest

from diamond_cutter.flows.compare_request import CompareRequest, models_to_compare
from diamond_cutter.flows.cut_request import CutRequest, cut_spec
from diamond_cutter.flows.errors import RequestError
from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.errors import UnknownLayer


def asked(*layers: str, show: tuple[str, ...] = ()) -> CompareRequest:
    return CompareRequest(
        first="toy", second="other", images="here", layers=layers or ("main",), show=show
    )


@pytest.fixture(scope="module")
def cards(toy: Bundle):  # type: ignore[no-untyped-def]
    renamed = [
        layer.model_copy(update={"name": "last"}) if layer.name == "third" else layer
        for layer in toy.card.layers
    ]
    return toy.card, toy.card.model_copy(update={"name": "other", "layers": tuple(renamed)})


def test_each_model_has_its_own_layers_in_forward_order(cards) -> None:  # type: ignore[no-untyped-def]
    (first, second), shown = models_to_compare(cards, asked())
    assert (first.layers, second.layers, shown) == (("first", "third"), ("first", "last"), ())
    (first, second), shown = models_to_compare(
        cards, asked("last", "second", "first", show=("first",))
    )
    assert first.layers == ("first", "second") and second.layers == ("first", "second", "last")
    assert shown == ("first",)


def test_layers_that_no_model_has_are_refused(cards) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UnknownLayer, match="'thrid' is not in toy: did you mean 'third'"):
        models_to_compare(cards, asked("first", "thrid"))
    with pytest.raises(UnknownLayer, match="'last' is not in toy"):
        models_to_compare(cards, asked("last"))  # then the first model has none
    with pytest.raises(RequestError, match=r"'second' cannot be shown.*toy \(first, third\)"):
        models_to_compare(cards, asked(show=("second",)))


def test_features_are_those_of_a_search_for_a_cut(cards) -> None:  # type: ignore[no-untyped-def]
    (first, _), _ = models_to_compare(cards, asked())
    spec = cut_spec(cards[0], CutRequest(images="here", models=("toy",), folds=3, seed=9))
    assert first.features.features_key == spec.features_key
    assert first.outputs is not None and first.outputs.layers == ("logits",)
