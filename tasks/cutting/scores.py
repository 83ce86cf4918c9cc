"""All scores of one layer, and their stored form."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.storage.sets.records import FileRef, Record
from diamond_cutter.tasks.cutting.dataset import Part, stratified_folds
from diamond_cutter.tasks.cutting.probe import (
    INNER_FOLDS,
    Division,
    Features,
    FoldResults,
    accuracy_interval,
    choose_penalty,
    interval,
    probe,
)
from diamond_cutter.tasks.cutting.transferability import (
    dead_share,
    effective_rank,
    h_score,
    log_me,
    neighbour_accuracies,
    total_activation,
)


class Probe(FrozenModel):
    """The cross-validated accuracy of a logistic regression."""

    accuracy: float = Field(description="mean over folds and repeats")
    low: float = Field(description="lower end of the 95 % interval")
    high: float = Field(description="upper end of the 95 % interval")
    balanced: float = Field(description="mean over classes of the share that is right")
    folds: tuple[float, ...] = Field(description="accuracy of each fold, repeat after repeat")
    predictions: tuple[int, ...] = Field(
        description="class that each image is taken for while its fold is left out, in the first "
        "repeat"
    )
    penalty: float = Field(
        description="inverse strength of the penalty, chosen on all images, for training heads"
    )


class Difference(NamedTuple):
    """How far the accuracies of two probes differ, with a 95 % interval."""

    mean: float
    low: float
    high: float


class LayerScores(FrozenModel):
    """The scores of a layer on labelled images."""

    probe: Probe
    knn_1: float = Field(description="accuracy of the nearest neighbour")
    knn_10: float = Field(description="accuracy of ten neighbours")
    knn_20: float = Field(description="accuracy of twenty neighbours")
    logme: float
    h_score: float
    total_activation: float
    effective_rank: float
    dead: float = Field(description="share of features that are the same for all images")


class ScoresRecord(Record):
    """Commits the scores of a layer, or the reason why it has none."""

    model: str
    layer: str
    division: str = Field(description="hash of the images and of how they were divided")
    images: int = Field(description="images that were scored")
    folds: int
    scores: LayerScores | None
    problem: str | None = Field(default=None, description="why there are no scores")
    seconds: float
    files: tuple[FileRef, ...] = ()


def score_layer(
    features: Features, part: Part, folds: Sequence[Division], layer: LayerCard, seed: int
) -> LayerScores:
    """Return all scores of a layer.

    Args:
        features: float32 `[image, feature]`, all finite.
        part: the images that scores are computed on.
        folds: the divisions of the cross-validation.
        layer: the layer of the features.
        seed: of the division on which the penalty for heads is chosen.
    """
    neighbours = neighbour_accuracies(features, part, folds)
    return LayerScores(
        probe=summarise(probe(features, part, folds), part, folds, features, seed),
        knn_1=neighbours[1],
        knn_10=neighbours[10],
        knn_20=neighbours[20],
        logme=log_me(features, part.labels),
        h_score=h_score(features, part.labels),
        total_activation=total_activation(
            features, layer.channels, (layer.height or 1) * (layer.width or 1)
        ),
        effective_rank=effective_rank(features),
        dead=dead_share(features),
    )


def summarise(
    found: FoldResults, part: Part, folds: Sequence[Division], features: Features, seed: int
) -> Probe:
    """Return the results of the folds in one object."""
    repeats = 1 + max(fold.repeat for fold in folds)
    different = len(np.unique(part.groups))
    low, high = accuracy_interval(found.accuracies, len(folds) // repeats, different)
    right = found.predictions == part.labels
    inner = stratified_folds(part.labels, part.groups, INNER_FOLDS, seed)
    return Probe(
        accuracy=float(found.accuracies.mean()),
        low=low,
        high=high,
        balanced=balanced_accuracy(right, part.labels),
        folds=tuple(found.accuracies.tolist()),
        predictions=tuple(found.predictions[0].tolist()),
        penalty=choose_penalty(features, part.labels, inner),
    )


def balanced_accuracy(right: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64]) -> float:
    """Return the mean over classes of the share of their images that are right.

    Args:
        right: bool `[repeat, image]`.
        labels: int64 `[image]`.
    """
    return float(np.mean([right[:, labels == number].mean() for number in np.unique(labels)]))


def difference(one: Probe, other: Probe, folds: int) -> Difference:
    """Return how much more accurate the first probe is, fold by fold: both see the same folds.

    Args:
        one, other: probes of the same images.
        folds: of one repeat of the cross-validation.
    """
    values = np.array(one.folds) - np.array(other.folds)
    return Difference(float(values.mean()), *interval(values, folds))
