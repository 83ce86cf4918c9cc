"""Channels and mixes say what each sprite looks for; a set of mixes is named by its content."""

import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from diamond_cutter.tasks.rendering.subjects import Channels, Mix, Mixes, Subjects, Targets, Term

PAIR = Mix(
    label="eyes and fur", terms=(Term(layer="block_3", channels=(5, 2), weights=(1.0, 0.5)),)
)
ACROSS = Mix(
    label="two layers",
    terms=(
        Term(layer="head", channels=(7,), weights=(-2.0,)),
        Term(layer="block_3", channels=(1, 2, 3), weights=(0.1, 0.2, 0.3)),
    ),
)
HEAD = Mix(label="head", terms=(Term(layer="head", channels=(9,), weights=(1.0,)),))
MIXES = Mixes(mixes=(PAIR, ACROSS, HEAD))


def plain(targets: tuple[Targets, ...]) -> list[tuple[list[list[int]], list[list[float]]]]:
    for target in targets:
        assert target.channels.dtype == np.int32 and target.weights.dtype == np.float32
    return [
        (target.channels.tolist(), np.round(target.weights.astype(float), 6).tolist())
        for target in targets
    ]


def test_channels_look_for_themselves() -> None:
    subjects: Subjects = Channels(layer="block_3.expand")
    assert (subjects.name, subjects.layers) == ("block_3.expand", ("block_3.expand",))
    assert plain(subjects.targets([4, 0, 4])) == [([[4], [0], [4]], [[1.0], [1.0], [1.0]])]


def test_mixes_look_for_what_they_name_and_in_another_layer_for_nothing() -> None:
    assert MIXES.layers == ("block_3", "head")
    block_3, head = plain(MIXES.targets([0, 1, 2]))
    assert block_3 == (
        [[5, 2, 0], [1, 2, 3], [0, 0, 0]],
        [[1.0, 0.5, 0.0], [0.1, 0.2, 0.3], [0.0, 0.0, 0.0]],
    )
    assert head == ([[0], [7], [9]], [[0.0], [-2.0], [1.0]])


@pytest.mark.parametrize("numbers", [[0], [1], [2], [2, 1], [0, 2], [1, 1, 0]])
def test_a_mix_looks_for_the_same_in_any_company(numbers: list[int]) -> None:
    whole = MIXES.targets([0, 1, 2])
    for layer, found in enumerate(MIXES.targets(numbers)):
        np.testing.assert_array_equal(found.channels, whole[layer].channels[numbers])
        np.testing.assert_array_equal(found.weights, whole[layer].weights[numbers])


def test_the_name_of_a_set_is_stable() -> None:
    assert MIXES.name == "mixes.05e3c168"
    assert Mixes.model_validate_json(MIXES.model_dump_json()).name == MIXES.name


@pytest.mark.parametrize(
    "other",
    [
        (PAIR, HEAD, ACROSS),
        (PAIR, ACROSS),
        (PAIR.model_copy(update={"label": "fur and eyes"}), ACROSS, HEAD),
        (
            Mix(
                label=PAIR.label,
                terms=(Term(layer="block_3", channels=(5, 2), weights=(1.0, 0.25)),),
            ),
            ACROSS,
            HEAD,
        ),
        (
            Mix(
                label=PAIR.label,
                terms=(Term(layer="block_4", channels=(5, 2), weights=(1.0, 0.5)),),
            ),
            ACROSS,
            HEAD,
        ),
    ],
    ids=["order", "fewer", "label", "weight", "layer"],
)
def test_another_set_has_another_name(other: tuple[Mix, ...]) -> None:
    assert Mixes(mixes=other).name != MIXES.name


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"weights": (1.0,)}, "a term needs one weight per channel: expected 2, found 1"),
        ({"weights": (0.0, 0.0)}, "the weights of a term must be finite and not all 0"),
        (
            {"weights": (1.0, math.nan)},
            "the weights of a term must be finite and not all 0",
        ),
        (
            {"weights": (1.0, math.inf)},
            "the weights of a term must be finite and not all 0",
        ),
        ({"channels": (), "weights": ()}, "channels"),
        ({"channels": (1, -1)}, "channels.1"),
        ({"flavour": "sweet"}, "flavour"),
    ],
    ids=str,
)
def test_a_term_that_makes_no_sense_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence) as caught:
        Term(**{"layer": "block_3", "channels": (1, 2), "weights": (1.0, 2.0), **change})
    assert caught.value.error_count() == 1


def test_a_layer_in_two_terms_is_refused() -> None:
    term = PAIR.terms[0]
    with pytest.raises(
        ValidationError,
        match=r"the mix 'twice' names a layer in two terms\. Put its channels into one term",
    ) as caught:
        Mix(label="twice", terms=(term, term))
    assert caught.value.error_count() == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Mix(label="none", terms=()),
        lambda: Mixes(mixes=()),
        lambda: Mix(label="x" * 201, terms=PAIR.terms),
    ],
)
def test_an_empty_or_endless_mix_is_refused(make: Any) -> None:
    with pytest.raises(ValidationError):
        make()
