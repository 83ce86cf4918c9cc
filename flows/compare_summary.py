"""The summary of a comparison of two models, for terminals, Prefect and programs."""

from pydantic import Field

from diamond_cutter.flows.quantities import share, skipped_in_words, two_digits
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.report_keys import report_page_key
from diamond_cutter.tasks.compare_report.contents import (
    ClassRow,
    ComparedModelFacts,
    CompareReportRecord,
)
from diamond_cutter.tasks.comparing.accuracy import PairedTest, Share
from diamond_cutter.tasks.comparing.layer_pairs import LayerPair
from diamond_cutter.tasks.reporting.contents import RefusedImage


class CompareSummary(FrozenModel):
    """The summary of a comparison."""

    answer: str = Field(description="the answer in one sentence")
    models: tuple[ComparedModelFacts, ComparedModelFacts] = Field(
        description="with the accuracy by class; none for a model without these classes"
    )
    test: PairedTest | None = Field(description="null if a model has no accuracy")
    classes: tuple[ClassRow, ...]
    pairs: tuple[LayerPair, ...] = Field(description="corresponding layers, in forward order")
    layers: tuple[tuple[str, ...], tuple[str, ...]]
    cka: tuple[tuple[float | None, ...], ...] = Field(
        description="similarity of all layers, `[first, second]`"
    )
    remarks: tuple[str, ...] = Field(description="sentences that qualify the answer")
    key: str
    report: str = Field(description="the URL of the page")
    refused: tuple[RefusedImage, ...] = Field(description="skipped images")
    problems: tuple[str, ...] = Field(description="a sentence for each layer that was left out")
    lacks: tuple[str, ...] = Field(
        description="a sentence for each failed part; the same run retries these parts"
    )
    reused: bool = Field(description="whether the report was complete already")

    @property
    def is_complete(self) -> bool:
        """Tell whether nothing was left out and nothing failed, apart from unreadable images."""
        return not self.problems and not self.lacks

    def in_words(self) -> list[str]:
        """Return the summary as lines of text, without the tables."""
        lines = [self.answer, *self.remarks]
        if self.refused:
            refused = [(bad.name, bad.reason) for bad in self.refused]
            lines.append(skipped_in_words(refused))
        return [*lines, *(f"warning: {each}" for each in (*self.problems, *self.lacks))]

    def tables(self) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
        """Return the heads and rows of the tables: classes, and pairs of layers."""
        parts = [self._classes_table()] if self.classes else []
        return parts + ([self._pairs_table()] if self.pairs else [])

    def _classes_table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        first, second = (model.name for model in self.models)
        head = ("class", "images", first, second, f"only {first}", f"only {second}")
        rows: list[tuple[str, ...]] = [
            (
                row.name,
                str(row.images),
                _accuracy(row.first),
                _accuracy(row.second),
                str(row.only_first),
                str(row.only_second),
            )
            for row in self.classes
        ]
        return head, rows

    def _pairs_table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        first, second = (model.name for model in self.models)
        head = (first, second, "found by", "similarity", "correlation", "by chance", "matched")
        rows: list[tuple[str, ...]] = [
            (
                pair.first,
                pair.second,
                pair.found_by,
                two_digits(pair.cka),
                two_digits(pair.correlation),
                two_digits(pair.chance),
                f"{pair.matched} of {pair.channels[0]}",
            )
            for pair in self.pairs
        ]
        return head, rows


def _accuracy(found: Share | None) -> str:
    return "–" if found is None else share(found.share)


def summary_of_compare(
    bucket: Bucket, folder: str, record: CompareReportRecord, *, reused: bool
) -> CompareSummary:
    """Return the summary of a comparison."""
    contents = record.contents
    return CompareSummary(
        answer=contents.answer,
        models=contents.models,
        test=contents.test,
        classes=contents.classes,
        pairs=contents.pairs,
        layers=contents.layers,
        cka=contents.cka,
        remarks=contents.remarks,
        key=folder,
        report=f"{bucket.url}/{report_page_key(folder)}",
        refused=contents.refused,
        problems=contents.problems,
        lacks=record.lacks,
        reused=reused,
    )
