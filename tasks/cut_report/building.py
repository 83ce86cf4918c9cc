"""Build the contents of a report from the scores, and write the files of its page."""

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from diamond_cutter.model_inventory.imagenet_accuracy import known_accuracy
from diamond_cutter.tasks.cut_report.charts import cost_chart, depth_chart
from diamond_cutter.tasks.cut_report.contents import (
    ComparedModelCard,
    CutName,
    CutRow,
    DataFacts,
    Figure,
    TrainedCut,
)
from diamond_cutter.tasks.cut_report.cuts import ComparedModel, Comparison
from diamond_cutter.tasks.cut_report.wording import score_values
from diamond_cutter.tasks.cutting.agreement import Agreement, agreement
from diamond_cutter.tasks.cutting.choosing import Cut, pareto_front
from diamond_cutter.tasks.cutting.dataset import Dataset
from diamond_cutter.tasks.cutting.diagnosis import Layer, diagnose
from diamond_cutter.tasks.cutting.probe import repeats_for
from diamond_cutter.tasks.cutting.together import JoinRecord
from diamond_cutter.tasks.features.spec import CutSpec
from diamond_cutter.tasks.gathering.index import to_parquet
from diamond_cutter.tasks.reporting.stored import ReportFiles
from diamond_cutter.tasks.training.job import TrainedRecord


def cut_rows(comparison: Comparison) -> tuple[CutRow, ...]:
    """Return a row for each cut."""
    front = {id(cut) for cut in pareto_front(comparison.cuts)}
    return tuple(_row(cut, id(cut) in front) for cut in comparison.cuts)


def _row(cut: Cut, on_front: bool) -> CutRow:
    scores = cut.scores
    return CutRow(
        model=cut.model,
        layer=cut.layer,
        probe=scores.probe.accuracy,
        probe_low=scores.probe.low,
        probe_high=scores.probe.high,
        balanced=scores.probe.balanced,
        knn=scores.knn_10,
        knn_1=scores.knn_1,
        knn_20=scores.knn_20,
        logme=scores.logme,
        h_score=scores.h_score,
        total_activation=scores.total_activation,
        effective_rank=scores.effective_rank,
        dead=scores.dead,
        imagenet=cut.imagenet,
        depth=cut.depth,
        parameters=cut.cost.parameters,
        macs=cut.cost.macs,
        ms=cut.cost.ms,
        on_front=on_front,
    )


def model_cards(
    comparison: Comparison,
    models: Sequence[ComparedModel],
    joins: Mapping[str, JoinRecord],
    images: int,
    folds: int,
) -> tuple[ComparedModelCard, ...]:
    """Return what the report says about each model; `images` were scored, in `folds` parts."""
    found = []
    for model in models:
        card = model.card
        cuts = [cut for cut in comparison.cuts if cut.model == model.name]
        if not cuts:
            continue
        diagnosis = diagnose([Layer(cut.layer, cut.scores.probe) for cut in cuts], images, folds)
        join = joins[card.key].best if card.key in joins else None
        found.append(
            ComparedModelCard(
                name=model.name,
                key=card.key,
                height=card.image.height,
                width=card.image.width,
                imagenet=cuts[0].imagenet,
                imagenet_source=known.source if (known := known_accuracy(card)) else None,
                verdict=diagnosis.verdict,
                words=diagnosis.words,
                join=join,
            )
        )
    return tuple(found)


def trained_cuts(
    comparison: Comparison, models: Sequence[ComparedModel], trained: Mapping[str, TrainedRecord]
) -> tuple[TrainedCut, ...]:
    """Return the trained heads, best first."""
    names = {model.card.key: model.name for model in models}
    probes = {(cut.model, cut.layer): cut.accuracy for cut in comparison.cuts}
    heads = [
        TrainedCut(
            model=names[key],
            layer=head.layer,
            accuracy=head.accuracy,
            probe=probes[names[key], head.layer],
            epochs=head.epochs,
        )
        for key, record in trained.items()
        for head in record.heads
    ]
    return tuple(sorted(heads, key=lambda head: -head.accuracy))


def regrets(
    comparison: Comparison,
    models: Sequence[ComparedModel],
    trained: Mapping[str, TrainedRecord],
    dataset: Dataset,
    seed: int,
) -> dict[str, Agreement]:
    """Return the agreement of each score with the trained heads; nothing with less than three."""
    names = {model.card.key: model.name for model in models}
    cuts = {(cut.model, cut.layer): cut for cut in comparison.cuts}
    heads = [(names[key], head) for key, record in trained.items() for head in record.heads]
    if len(heads) < 3:
        return {}
    values = [score_values(cuts[model, head.layer]) for model, head in heads]
    right = np.array([np.array(head.predictions) == dataset.test.labels for _, head in heads])
    return agreement({name: [each[name] for each in values] for name in values[0]}, right, seed)


def data_facts(dataset: Dataset, spec: CutSpec, labels: str | None) -> DataFacts:
    """Return what the report says about the images."""
    scored = len(dataset.choosing)
    return DataFacts(
        images=len(dataset.numbers),
        scored=scored,
        tested=len(dataset.test),
        copies=dataset.copies,
        contradicting=dataset.contradicting,
        given_split=dataset.given_split,
        labels=labels or "",
        folds=spec.folds,
        repeats=repeats_for(scored),
        seed=spec.seed,
        pooling=spec.pooling,
    )


def figures(
    models: Sequence[ComparedModelCard], rows: Sequence[CutRow], best: CutName, files: ReportFiles
) -> tuple[Figure, ...]:
    """Write the charts and their data as files to download."""
    charts = {
        "accuracy-over-depth": depth_chart(models, rows, best),
        "accuracy-over-cost": cost_chart(models, rows, best),
    }
    columns = ("model", "layer", "probe", "probe_low", "probe_high", "imagenet", "depth", "macs")
    data = _csv([row.model_dump(include=set(columns)) for row in rows], columns)
    return tuple(
        Figure(
            title=title,
            svg=files.file(title, chart.encode(), "svg"),
            csv=files.file(title, data, "csv"),
        )
        for title, chart in charts.items()
    )


def _csv(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    # A spreadsheet would run a layer's name that begins like a formula.
    writer.writerows(
        {
            name: f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" else value
            for name, value in row.items()
        }
        for row in rows
    )
    return text.getvalue().encode()


def rows_table(rows: Sequence[CutRow], files: ReportFiles) -> str:
    """Write all rows as a Parquet table, and return its path."""
    table = pd.DataFrame([row.model_dump() for row in rows])
    return files.table("cuts", to_parquet(table))
