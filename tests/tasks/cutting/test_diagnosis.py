"""The accuracy over depth in words."""

import pytest

from diamond_cutter.tasks.cutting.diagnosis import Layer, diagnose
from tests.tasks.cutting.made_up_cuts import made_up_cut

# What chance adds to the accuracy of each fold, differently at each layer.
CHANCE = ((1, -1, 1, -1, 0), (-1, 1, 0, 1, -1), (0, 1, -1, -1, 1), (1, 0, -1, 1, -1))


def layers(accuracies: list[float], half: float, chance: float) -> list[Layer]:
    cuts = [
        made_up_cut(
            "m",
            f"layer_{place}",
            each,
            half=half,
            folds=[each + chance * sign for sign in CHANCE[place]],
        )
        for place, each in enumerate(accuracies)
    ]
    return [Layer(cut.layer, cut.scores.probe) for cut in cuts]


@pytest.mark.parametrize(
    ("accuracies", "half", "chance", "verdict", "words"),
    [
        ([0.6, 0.7, 0.9, 0.8], 0.03, 0.01, "early", "peaks at layer_2, before the last layer"),
        ([0.3, 0.5, 0.7], 0.03, 0.01, "late", "rises up to the last layer, layer_2"),
        ([0.3, 0.71, 0.7], 0.03, 0.02, "plateau", "rises up to layer_1 and stays"),
        ([0.5, 0.947, 0.95, 0.948], 0.02, 0.02, "plateau", "rises up to layer_1 and stays"),
        ([0.9, 0.905, 0.9], 0.02, 0.02, "flat", "hardly depends on the cut"),
        ([0.7, 0.72, 0.71], 0.12, 0.1, "unclear", "Too few images"),
        ([0.5, 0.85, 0.79], 0.05, 0.08, "unclear", "Too few images"),
    ],
)
def test_each_curve_has_its_words(
    accuracies: list[float], half: float, chance: float, verdict: str, words: str
) -> None:
    found = diagnose(layers(accuracies, half, chance), images=100, folds=5)
    assert found.verdict == verdict and words in found.words


def test_the_number_of_images_that_would_be_needed_grows_with_the_square() -> None:
    found = diagnose(layers([0.7, 0.72, 0.71], half=0.12, chance=0.1), images=50, folds=5)
    assert "About 800 images would narrow this to ±3 points" in found.words


def test_a_single_layer_has_words_too() -> None:
    found = diagnose(layers([0.8], half=0.2, chance=0.0), images=100, folds=5)
    assert found.verdict == "single"
