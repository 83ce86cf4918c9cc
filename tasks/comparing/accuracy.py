"""Measure which of two models is right more often, and whether the difference may be chance."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.tasks.cutting.probe import wilson_interval

Right = npt.NDArray[np.bool_]

_CONFIDENCE = 0.95


class Share(FrozenModel):
    """A share of images that are right."""

    images: int
    right: int
    share: float
    low: float = Field(description="lower end of the 95 % interval (Wilson 1927)")
    high: float = Field(description="upper end of the 95 % interval")


class Accuracy(FrozenModel):
    """The accuracy of a model."""

    overall: Share
    balanced: float = Field(description="mean of the accuracies of the classes")
    classes: dict[str, Share] = Field(description="by the images' label")


class PairedTest(FrozenModel):
    """Two models on the same images."""

    images: int
    both: int = Field(description="images that both models get right")
    only_first: int
    only_second: int
    difference: float = Field(description="accuracy of the second model minus that of the first")
    low: float = Field(description="lower end of its 95 % interval (Agresti and Min 2005)")
    high: float = Field(description="upper end of its 95 % interval")
    p_value: float = Field(description="of McNemar's exact test")

    @property
    def is_clear(self) -> bool:
        """Tell whether chance is an unlikely explanation of the difference."""
        return self.p_value < 1 - _CONFIDENCE


@dataclass(frozen=True)
class Predictions:
    """The predictions of a model for images whose labels are classes of the model.

    numbers: the images' numbers, int64 `[image]`, ascending.
    labels: the label of each image.
    predicted: the class of the highest logit, int64 `[image]`.
    right: bool `[image]`.
    """

    numbers: npt.NDArray[np.int64]
    labels: tuple[str, ...]
    predicted: npt.NDArray[np.int64]
    right: Right

    def only(self, kept: npt.NDArray[np.bool_]) -> "Predictions":
        """Return the predictions for some of the images."""
        labels = tuple(label for label, keep in zip(self.labels, kept, strict=True) if keep)
        return Predictions(self.numbers[kept], labels, self.predicted[kept], self.right[kept])


def share_of(right: int, images: int) -> Share:
    """Return a share of at least one image with its interval."""
    share = right / images
    # Rounding can leave the share outside of its interval.
    low, high = wilson_interval(share, images)
    return Share(
        images=images, right=right, share=share, low=min(low, share), high=max(high, share)
    )


def accuracy_of(predictions: Predictions) -> Accuracy:
    """Return the accuracy of a model on at least one image."""
    labels, right = np.array(predictions.labels), predictions.right
    classes = {
        str(name): share_of(int(right[labels == name].sum()), int((labels == name).sum()))
        for name in np.unique(labels)
    }
    return Accuracy(
        overall=share_of(int(right.sum()), len(right)),
        balanced=float(np.mean([each.share for each in classes.values()])),
        classes=classes,
    )


def common(one: Predictions, other: Predictions) -> tuple[Predictions, Predictions]:
    """Return the predictions for the images that both models have a class for."""
    return (
        one.only(np.isin(one.numbers, other.numbers)),
        other.only(np.isin(other.numbers, one.numbers)),
    )


def paired_test(first: Right, second: Right) -> PairedTest:
    """Compare two models that saw the same images.

    Only images that one model gets right and the other one wrong tell the two apart. If the models
    are equally good, each of these is won by either with the same probability (McNemar 1947).

    Args:
        first, second: bool `[image]`, which images each model gets right; at least one image.
    """
    from scipy import stats

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    p_value = stats.binomtest(only_second, differing, 0.5).pvalue if differing else 1.0
    low, high = _difference_interval(only_first, only_second, len(first))
    return PairedTest(
        images=len(first),
        both=int((first & second).sum()),
        only_first=only_first,
        only_second=only_second,
        difference=(only_second - only_first) / len(first),
        low=low,
        high=high,
        p_value=float(p_value),
    )


def _difference_interval(only_first: int, only_second: int, images: int) -> tuple[float, float]:
    """Return Wald's interval of a paired difference, with half an image added to each of the four
    cells (Agresti and Min 2005, "Simple improved confidence intervals for comparing matched
    proportions").
    """
    from scipy import stats

    count = images + 2
    centre = (only_second - only_first) / count
    spread = (only_first + only_second + 1) / count - centre**2
    half = float(stats.norm.ppf(0.5 + _CONFIDENCE / 2) * np.sqrt(spread / count))
    return max(-1.0, centre - half), min(1.0, centre + half)
