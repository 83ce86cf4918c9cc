"""Say how often both models are right, by class, and on which images they differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.compare_report.contents import ClassRow
from diamond_cutter.tasks.compare_report.job import CompareJob
from diamond_cutter.tasks.comparing.accuracy import (
    Accuracy,
    PairedTest,
    Predictions,
    accuracy_of,
    common,
    paired_test,
)
from diamond_cutter.tasks.comparing.images import predictions_of
from diamond_cutter.tasks.cut_report.contents import ShownImage
from diamond_cutter.tasks.features.stored import FeatureSet, feature_set, features_folder
from diamond_cutter.tasks.gathering.index import to_parquet
from diamond_cutter.tasks.reporting.channel_pictures import thumbnail_file
from diamond_cutter.tasks.reporting.stored import ReportFiles

_MOST_IMAGES = 24


@dataclass(frozen=True)
class Results:
    """The predictions of both models, as far as the labels are classes of theirs.

    predictions, accuracy: of the first and the second model; None for a model without any of the
        classes. With a test, both are on the same images.
    unknown: number of labelled images that the test leaves out.
    """

    predictions: tuple[Predictions | None, Predictions | None]
    accuracy: tuple[Accuracy | None, Accuracy | None]
    test: PairedTest | None
    unknown: int


def results_of(job: CompareJob) -> Results:
    """Return the results of both models on the tested images, from the stored logits."""
    first, second = (
        predictions_of(model, outputs, job.numbered, job.compared.tested)
        for model, outputs in zip(job.models, _outputs(job), strict=True)
    )
    test, unknown = None, 0
    if first is not None and second is not None:
        both = common(first, second)
        if len(both[0].numbers):
            first, second = both
            test = paired_test(first.right, second.right)
            labelled = sum(bool(job.numbered[number].label) for number in job.compared.tested)
            unknown = max(0, labelled - test.images)
    return Results(
        (first, second),
        (accuracy_of(first) if first else None, accuracy_of(second) if second else None),
        test,
        unknown,
    )


def _outputs(job: CompareJob) -> list[FeatureSet | None]:
    bucket = open_bucket(job.bucket)
    return [
        feature_set(
            bucket,
            features_folder(job.images.name, model.card.key, model.outputs),
            len(job.numbered),
        )
        if model.outputs
        else None
        for model in job.models
    ]


def class_rows(results: Results) -> tuple[ClassRow, ...]:
    """Return a row for each label that is a class of a model, by name."""
    first, second = results.accuracy
    names = sorted({name for each in (first, second) if each for name in each.classes})
    only = [_only(results, side) for side in (0, 1)]
    rows = []
    for name in names:
        shares = [each.classes.get(name) if each else None for each in (first, second)]
        rows.append(
            ClassRow(
                name=name,
                images=max(share.images for share in shares if share),
                first=shares[0],
                second=shares[1],
                only_first=only[0].count(name),
                only_second=only[1].count(name),
            )
        )
    return tuple(rows)


def _only(results: Results, side: int) -> list[str]:
    """Return the label of each image that only one model gets right."""
    found = results.predictions[side]
    return [found.labels[place] for place in _places(results, side)] if found else []


def _places(results: Results, side: int) -> list[int]:
    """Return the places of the images that only one model gets right; none without a test."""
    right, wrong = results.predictions[side], results.predictions[1 - side]
    if results.test is None or right is None or wrong is None:
        return []
    return [int(place) for place in np.flatnonzero(right.right & ~wrong.right)]


def one_sided_images(
    job: CompareJob, results: Results, side: int, files: ReportFiles
) -> tuple[ShownImage, ...]:
    """Write small pictures of the first images that only one model gets right."""
    right, wrong = results.predictions[side], results.predictions[1 - side]
    if right is None or wrong is None:
        return ()
    shown, card = [], job.models[1 - side].card
    for place in _places(results, side)[:_MOST_IMAGES]:
        number = int(right.numbers[place])
        image = job.numbered[number]
        file = thumbnail_file(image, card.image.channels, number, files)
        if file is not None:
            shown.append(
                ShownImage(
                    name=image.name,
                    label=right.labels[place],
                    file=file,
                    taken_for=card.class_label(int(wrong.predicted[place])).name,
                )
            )
    return tuple(shown)


def images_table(job: CompareJob, results: Results, files: ReportFiles) -> str | None:
    """Write the predictions of both models as a Parquet table; None if there are none."""
    known = [
        _predicted(each, model.card, name)
        for each, model, name in zip(
            results.predictions, job.models, ("first", "second"), strict=True
        )
        if each is not None
    ]
    if not known:
        return None
    numbers = sorted({number for table in known for number in table["image"]})
    table = pd.DataFrame({"image": numbers, "name": [job.numbered[each].name for each in numbers]})
    for each in known:
        table = table.merge(each, how="left", on="image")
    return files.table("images", to_parquet(table))


def _predicted(found: Predictions, card: ModelCard, side: str) -> pd.DataFrame:
    names: Sequence[str] = [card.class_label(int(each)).name for each in found.predicted]
    return pd.DataFrame(
        {"image": found.numbers, f"{side}_says": names, f"{side}_is_right": found.right}
    )
