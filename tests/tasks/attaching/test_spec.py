"""Cuts that cannot be made are refused in one sentence."""

import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.errors import BadModel, UnknownLayer
from diamond_cutter.tasks.attaching.job import images_in_step
from diamond_cutter.tasks.attaching.spec import AttachSpec, check_cut, frozen_layers


@pytest.mark.parametrize(
    ("spec", "kind", "words"),
    [
        ({"at": ("logits",)}, BadModel, "because it is the layer of the logits. Choose a layer"),
        ({"at": ("thrid",)}, UnknownLayer, "did you mean 'third'"),
        ({"at": ("first",), "unfreeze": "third"}, BadModel, "expected a layer up to first"),
        ({"at": ("first",), "unfreeze": "frist"}, UnknownLayer, "did you mean 'first'"),
    ],
)
def test_a_cut_that_cannot_be_made_is_refused(
    toy: Bundle, spec: dict[str, object], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind) as refused:
        check_cut(toy.card, AttachSpec.model_validate(spec))
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_layers_of_different_sizes_are_joined_without_convolutions_only(toy: Bundle) -> None:
    layers = tuple(
        layer.model_copy(update={"height": 8, "width": 8}) if layer.name == "third" else layer
        for layer in toy.card.layers
    )
    card = toy.card.model_copy(update={"layers": layers})
    check_cut(card, AttachSpec(at=("first", "third")))
    with pytest.raises(BadModel, match=r"found first 16 x 16, third 8 x 8\. Name one layer"):
        check_cut(card, AttachSpec(at=("first", "third"), convolutions=(4,)))


def test_what_is_inside_an_unfrozen_block_is_trained_with_it(toy: Bundle) -> None:
    # The second layer is no main layer: it belongs to the block that ends in the third.
    assert [layer.name for layer in frozen_layers(toy.card, "third")] == ["first"]
    assert [layer.name for layer in frozen_layers(toy.card, "second")] == ["first"]
    assert frozen_layers(toy.card, "first") == [] == frozen_layers(toy.card, None)


def test_small_sets_have_smaller_steps() -> None:
    assert [images_in_step(images, 32) for images in (5, 40, 153, 2000)] == [5, 8, 19, 32]


def test_the_name_of_a_training_changes_with_whatever_changes_its_weights() -> None:
    base = AttachSpec(at=("first",))
    changes = [{"seed": 1}, {"mirror": False}, {"rate": 0.1}, {"convolutions": (3,)}]
    keys = {base.key, *(base.model_copy(update=change).key for change in changes)}
    assert len(keys) == 5
