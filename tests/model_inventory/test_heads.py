"""Of several outputs, the head is the one that is named or that classifies."""

import pytest

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.heads import Activation, Output, choice_in_words, choose_output


def output(name: str, *shape: int | None, ends: Activation | None = "none") -> Output:
    return Output(name=name, shape=shape, activation=ends)


BOXES, CLASSES = output("boxes", 4), output("classes", 3, ends="softmax")
LOGITS, PROBABILITIES = output("logits", 3), output("probabilities", 3, ends="softmax")
AGE, GENDER = output("age", 1), output("gender", 1, ends="sigmoid")
MAP, MASK = output("map", 7, 7, 32), output("mask", None, None, 2, ends="sigmoid")
ONE = output("one", 1, 1, 5)


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [
        ([BOXES], BOXES),
        ([BOXES, CLASSES], CLASSES),
        ([CLASSES, BOXES], CLASSES),
        ([LOGITS, PROBABILITIES], LOGITS),
        ([AGE, GENDER, CLASSES], CLASSES),
        ([AGE, GENDER], AGE),
        ([MAP, BOXES], BOXES),
        ([MAP, MASK], MASK),
        ([MAP, ONE], ONE),
        ([MAP], MAP),
        ([output("unknown")], output("unknown")),
    ],
)
def test_the_head_is_the_first_vector_or_the_one_that_classifies(
    outputs: list[Output], wanted: Output
) -> None:
    assert choose_output(outputs) == wanted


def test_a_name_wins_over_labels_and_labels_over_the_rest() -> None:
    outputs = [BOXES, CLASSES, output("colours", 9)]
    assert choose_output(outputs, labels=9).name == "colours"
    assert choose_output(outputs, labels=5).name == "classes"
    assert choose_output(outputs, "boxes", labels=9).name == "boxes"


def test_an_unknown_head_is_one_sentence_that_lists_the_others() -> None:
    with pytest.raises(BadModel) as error:
        choose_output([BOXES, CLASSES, MASK], "scores")
    assert str(error.value) == (
        "head 'scores' is not an output of the model: expected one of boxes [4], classes [3] "
        "(softmax), mask [any, any, 2] (sigmoid). Give one of these names."
    )


def test_the_choice_is_said() -> None:
    assert choice_in_words(CLASSES, [BOXES, CLASSES]) == (
        "that the output classes [3] (softmax) is its head, not boxes [4]; see --head to choose "
        "another"
    )
