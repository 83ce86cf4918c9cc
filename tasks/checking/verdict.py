"""Judge from labelled images whether a model gets its images as in its training."""

import numpy as np
import numpy.typing as npt
from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.tasks.comparing.accuracy import PairedTest, Share, paired_test, share_of

Classes = npt.NDArray[np.int64]

# With fewer images, a wrong preprocessing and bad luck look alike.
LEAST_IMAGES = 10
# A preprocessing is better if McNemar's exact test says so at this level, shared by all that are
# tried (Bonferroni), and if it gains so much that it matters.
_LEVEL = 0.01
_GAIN = 0.1
# Agreement beyond chance up to here is "slight": Landis and Koch 1977, "The measurement of observer
# agreement for categorical data".
_SLIGHT_KAPPA = 0.2


class TriedPreprocessing(FrozenModel):
    """The accuracy of a model under one preprocessing."""

    options: str = Field(description="options of `models add` that give the model this one")
    values: str = Field(description="the values at the input of the model, in words")
    accuracy: Share
    test: PairedTest | None = Field(
        description="compared with the model's own on the same images; none for its own"
    )


class PreprocessingCheck(FrozenModel):
    """Whether a model gets its images as in its training."""

    model: str
    images: int = Field(description="checked images whose label is a class of the model")
    chance: float = Field(description="share that would be right by chance")
    near_chance: bool = Field(description="whether the accuracy cannot be told from chance")
    own: TriedPreprocessing = Field(description="the preprocessing on the model's card")
    others: tuple[TriedPreprocessing, ...] = Field(description="the highest accuracy first")
    better: TriedPreprocessing | None = Field(description="one that is clearly and much better")
    command: str | None = Field(
        default=None, description="adds the model with the better preprocessing; none without one"
    )

    @property
    def is_fine(self) -> bool:
        """Tell whether there is no sign of a wrong preprocessing."""
        return self.better is None and not self.near_chance

    def in_words(self) -> str:
        """Return the verdict in a sentence or two."""
        right = f"the model is right about {self.own.accuracy.share:.1%} of {self.images:,} images"
        if self.better is not None and self.better.test is not None:
            gain = (
                f"{right} with its own preprocessing ({self.own.options}), but about "
                f"{self.better.accuracy.share:.1%} with {self.better.options} (McNemar's exact "
                f"test: p = {self.better.test.p_value:.1g})."
            )
            return f"{gain} Add it again: {self.command}" if self.command else gain
        if self.near_chance:
            return (
                f"{right}, and {self.chance:.1%} would be right by chance. Its labels may be in "
                "another order, or it needs another preprocessing than those that were tried."
            )
        if self.images < LEAST_IMAGES:
            return (
                f"too few labelled images to check the preprocessing: expected at least "
                f"{LEAST_IMAGES}, found {self.images}"
            )
        return f"{right}; no other preprocessing is much better than its own ({self.own.options})"


def chance_level(labels: Classes, predicted: Classes, classes: int) -> float:
    """Return the share of images that would be right if the model did not look at them.

    With classes that occur as often as here, independent labels and predictions agree this often
    (Cohen 1960, "A coefficient of agreement for nominal scales"). Guessing among the classes of the
    images is the least: a model of 1,000 classes must beat it on images of ten.

    Args:
        labels: the class of each image, `[image]`; at least one image.
        predicted: the class that the model finds, `[image]`.
        classes: number of classes of the model.
    """
    known = len(np.unique(labels))
    if known == 1:
        return 1 / classes
    counts = [np.bincount(each, minlength=classes) / len(labels) for each in (labels, predicted)]
    return max(float(counts[0] @ counts[1]), 1 / known)


def is_near_chance(accuracy: Share, chance: float) -> bool:
    """Tell whether an accuracy cannot be told from chance, and is hardly above it."""
    if accuracy.images < LEAST_IMAGES or accuracy.low > chance:
        return False
    return accuracy.share - chance < _SLIGHT_KAPPA * (1 - chance)


def judge(
    model: str, labels: Classes, found: dict[str, tuple[str, Classes]], classes: int
) -> PreprocessingCheck:
    """Return the verdict on a model.

    Args:
        model: its name.
        labels: the class of each image, `[image]`; at least one image.
        found: by options of `models add`, the preprocessing in words and the class of each image
            under it; the model's own first.
        classes: number of classes of the model.
    """
    own, *others = found
    right = {options: predicted == labels for options, (_, predicted) in found.items()}
    tried = {
        options: TriedPreprocessing(
            options=options,
            values=values,
            accuracy=share_of(int(right[options].sum()), len(labels)),
            test=None if options == own else paired_test(right[own], right[options]),
        )
        for options, (values, _) in found.items()
    }
    ranked = sorted((tried[each] for each in others), key=lambda each: -each.accuracy.share)
    best = ranked[0] if ranked else None
    chance = chance_level(labels, found[own][1], classes)
    return PreprocessingCheck(
        model=model,
        images=len(labels),
        chance=chance,
        near_chance=is_near_chance(tried[own].accuracy, chance),
        own=tried[own],
        others=tuple(ranked),
        better=best if best and _is_much_better(best, len(others)) else None,
    )


def _is_much_better(tried: TriedPreprocessing, others: int) -> bool:
    test = tried.test
    return test is not None and test.difference >= _GAIN and test.p_value < _LEVEL / others
