"""Say what two cuts make of the images: confusions, and images that only one gets right."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from diamond_cutter.tasks.cut_report.contents import (
    Confused,
    ShownImage,
)
from diamond_cutter.tasks.cutting.choosing import Cut
from diamond_cutter.tasks.cutting.dataset import Dataset, stratified_folds
from diamond_cutter.tasks.features.spec import CutSpec
from diamond_cutter.tasks.gathering.index import to_parquet
from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.reporting.channel_pictures import thumbnail_file
from diamond_cutter.tasks.reporting.stored import ReportFiles

_MOST_IMAGES = 24
# A page shows matrices and channels of as many classes.
MOST_CLASSES = 24


def confusion(dataset: Dataset, predictions: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return how many images of each class are taken for each class, int64 `[class, predicted]`."""
    count = len(dataset.classes)
    counts = np.zeros((count, count), np.int64)
    np.add.at(counts, (dataset.choosing.labels, np.array(predictions)), 1)
    return counts


def shown_confusion(dataset: Dataset, predictions: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return the confusion matrix; nothing with more classes than a page can show."""
    if len(dataset.classes) > MOST_CLASSES:
        return ()
    return tuple(map(tuple, confusion(dataset, predictions).tolist()))


def most_confused(dataset: Dataset, best: Cut, last: Cut) -> tuple[Confused, ...]:
    """Return the most frequent confusions of two cuts; nothing if the matrices are shown."""
    if len(dataset.classes) <= MOST_CLASSES:
        return ()
    at_best, at_last = (confusion(dataset, cut.scores.probe.predictions) for cut in (best, last))
    wrong = np.maximum(at_best, at_last)
    np.fill_diagonal(wrong, 0)
    places = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CLASSES]
    pairs = [divmod(int(place), len(dataset.classes)) for place in places]
    return tuple(
        Confused(
            label=dataset.classes[label],
            taken_for=dataset.classes[other],
            best=int(at_best[label, other]),
            last=int(at_last[label, other]),
        )
        for label, other in pairs
        if wrong[label, other]
    )


def classes_with_channels(dataset: Dataset, best: Cut, last: Cut) -> set[int]:
    """Return the classes whose channels are shown: all, or those that gain or lose most."""
    labels = dataset.choosing.labels
    if len(dataset.classes) <= MOST_CLASSES:
        return set(range(len(dataset.classes)))
    right = [np.array(cut.scores.probe.predictions) == labels for cut in (best, last)]
    difference = np.bincount(labels, right[0].astype(float) - right[1]) / np.bincount(labels)
    return set(np.argsort(-np.abs(difference), kind="stable")[:MOST_CLASSES].tolist())


def differing_images(dataset: Dataset, right_at: Cut, wrong_at: Cut) -> npt.NDArray[np.int64]:
    """Return the places, among the images for choosing, that only the first cut gets right."""
    labels = dataset.choosing.labels
    right = np.array(right_at.scores.probe.predictions) == labels
    return np.flatnonzero(right & (np.array(wrong_at.scores.probe.predictions) != labels))


def shown_images(
    dataset: Dataset,
    places: npt.NDArray[np.int64],
    wrong_at: Cut,
    images: Sequence[FoundImage],
    channels: int,
    files: ReportFiles,
) -> tuple[ShownImage, ...]:
    """Write small pictures of images that one of two cuts gets wrong; `channels` of the images."""
    part, shown = dataset.choosing, []
    for place in places[:_MOST_IMAGES]:
        number = int(part.numbers[place])
        file = thumbnail_file(images[number], channels, number, files)
        if file is None:
            continue
        shown.append(
            ShownImage(
                name=images[number].name,
                label=dataset.classes[part.labels[place]],
                file=file,
                taken_for=dataset.classes[wrong_at.scores.probe.predictions[place]],
            )
        )
    return tuple(shown)


def images_table(
    dataset: Dataset,
    images: Sequence[FoundImage],
    best: Cut,
    last: Cut,
    spec: CutSpec,
    files: ReportFiles,
) -> str:
    """Write how each image was used and what it was taken for, as a Parquet table.

    The fold, and the predictions at the best cut and at the last layer while this fold was left
    out, are those of the first repeat.
    """
    part, first_of = dataset.choosing, dict(zip(dataset.groups, dataset.numbers, strict=True))
    for number, group in zip(dataset.numbers[::-1], dataset.groups[::-1], strict=True):
        first_of[group] = number
    fold = np.full(len(part), -1)
    for place, test in enumerate(stratified_folds(part.labels, part.groups, spec.folds, spec.seed)):
        fold[test] = place
    table = pd.DataFrame(
        {
            "image": dataset.numbers,
            "name": [images[number].name for number in dataset.numbers],
            "label": [dataset.classes[label] for label in dataset.labels],
            "part": np.select([dataset.chosen_on, dataset.tested_on], ["scored", "test"], "unused"),
            "copy_of": [
                images[first_of[group]].name if first_of[group] != number else None
                for number, group in zip(dataset.numbers, dataset.groups, strict=True)
            ],
        }
    )
    scored = pd.DataFrame(
        {
            "image": part.numbers,
            "fold": fold,
            "best": [dataset.classes[each] for each in best.scores.probe.predictions],
            "last": [dataset.classes[each] for each in last.scores.probe.predictions],
        }
    )
    return files.table("images", to_parquet(table.merge(scored, how="left", on="image")))
