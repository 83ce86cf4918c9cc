"""The answer says which model is better, by how much, and whether that may be chance."""

import numpy as np
import pytest

from diamond_cutter.tasks.compare_report.contents import ImageFacts
from diamond_cutter.tasks.compare_report.wording import answer, remarks, without_accuracy
from diamond_cutter.tasks.comparing.accuracy import PairedTest, paired_test
from tests.tasks.compare_report.made_up_comparison import layer_pair, model_facts

FACTS = ImageFacts(images=50, measured=40, tested=40, copies=0, split="all", labels="folders")
PAIRS = (layer_pair("stem", 0.99), layer_pair("block", 0.4), layer_pair("head", 0.75))
MODELS = (model_facts("before", 30), model_facts("after", 36))
NEITHER = (model_facts("before", None), model_facts("after", None))


def result_of(both: int, first: int, second: int, neither: int) -> PairedTest:
    sides = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], [both, first, second, neither], axis=0) > 0
    return paired_test(sides[:, 0], sides[:, 1])


@pytest.mark.parametrize(
    ("cells", "split", "words"),
    [
        (
            (28, 1, 10, 1),
            "test",
            "after is right about 95.0 % of 40 test images, before about 72.5 %: 22.5 points more, "
            "and chance is an unlikely explanation (p = 0.012).",
        ),
        (
            (28, 3, 2, 7),
            "all",
            "before is right about 77.5 % of 40 images, after about 75.0 %: 2.5 points more, which "
            "may be chance (p = 1).",
        ),
        (
            (20, 60, 19, 1),
            "all",
            "before is right about 80.0 % of 100 images, after about 39.0 %: 41.0 points more, and "
            "chance is an unlikely explanation (p < 0.0001).",
        ),
        (
            (28, 2, 2, 8),
            "all",
            "before and after are right about equally many images: 75.0 % of 40 images.",
        ),
    ],
)
def test_two_models_with_an_accuracy(
    cells: tuple[int, int, int, int], split: str, words: str
) -> None:
    facts = FACTS.model_copy(update={"split": split})
    assert answer(MODELS, result_of(*cells), facts, PAIRS) == words


def test_models_without_an_accuracy() -> None:
    alike = "their last corresponding layers (head) have a similarity of 0.75"
    said = answer((MODELS[0], NEITHER[1]), None, FACTS, PAIRS)
    assert said.startswith("Only before has classes for these images, and is right about 75.0 %")
    assert alike in said
    assert "because no label is a class of theirs; " + alike in answer(NEITHER, None, FACTS, PAIRS)
    bare = FACTS.model_copy(update={"labels": ""})
    assert "because the images have no labels" in answer(NEITHER, None, bare, PAIRS)
    assert answer(NEITHER, None, bare, ()).endswith("; no layers correspond.")
    assert "for different images" in answer(MODELS, None, FACTS, PAIRS)
    reasons = [without_accuracy("net", *each) for each in ((False, True), (True, False))]
    assert "have no labels" in reasons[0] and "not end in a classifier" in reasons[1]


def test_remarks_say_how_far_the_answer_can_be_believed() -> None:
    said = remarks(MODELS, result_of(28, 1, 10, 1), FACTS, PAIRS, 2)
    assert said[0].startswith("The difference is +22.5 points (95 % interval: +")
    assert "Only before is right about 1 image, only after about 10 images." in said[0]
    assert "its accuracy is too high" in said[1]
    assert said[2] == "2 images whose label is not a class of both models are left out."
    assert "the two block are least alike (similarity 0.40)" in said[3]
    divided = FACTS.model_copy(update={"split": "test", "copies": 1})
    said = remarks(MODELS, result_of(28, 1, 10, 1), divided, PAIRS[:1], 0)
    assert said[1].startswith("Images of the training part are left out.")
    assert said[2] == "1 image is a copy of another one, pixel for pixel. Copies count once."
    same = (layer_pair("stem", 1.0), layer_pair("head", 1.0))
    assert "All corresponding layers see the images alike (similarity 1.00)." in remarks(
        MODELS, None, FACTS, same, 0
    )
    assert remarks(NEITHER, None, FACTS, (), 0) == []
    one = remarks((MODELS[0], NEITHER[1]), None, FACTS, (), 0)
    assert one == ["It has no accuracy here."]
