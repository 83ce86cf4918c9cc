"""The summary of a search for a cut, for terminals, Prefect and programs."""

from pydantic import Field

from diamond_cutter.flows.quantities import counted, share, skipped_in_words, two_digits
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.report_keys import report_page_key
from diamond_cutter.tasks.cut_report.contents import (
    CutName,
    CutReportRecord,
    CutRow,
    TrainedCut,
)
from diamond_cutter.tasks.cut_report.wording import SCORE_TITLES, agreement_in_words
from diamond_cutter.tasks.cutting.agreement import Agreement
from diamond_cutter.tasks.reporting.contents import RefusedImage


class CutSummary(FrozenModel):
    """The summary of a search for a cut."""

    answer: str = Field(description="the answer in one sentence")
    best: CutName
    last: CutName = Field(description="the last layer of the same model")
    rows: tuple[CutRow, ...] = Field(description="all cuts, model by model, in forward order")
    trained: tuple[TrainedCut, ...] = Field(description="heads that were trained, best first")
    regret: dict[str, Agreement] = Field(
        description="by score: how it ranks the trained heads; empty with less than three heads"
    )
    remarks: tuple[str, ...] = Field(description="sentences that qualify the answer")
    command: str = Field(description="the command that goes on from here")
    key: str
    report: str = Field(description="the URL of the page")
    refused: tuple[RefusedImage, ...] = Field(description="skipped images")
    skipped: tuple[str, ...] = Field(description="a sentence for each skipped model or layer")
    lacks: tuple[str, ...] = Field(
        description="a sentence for each failed part; the same run retries these parts"
    )
    reused: bool = Field(description="whether the report was complete already")

    @property
    def is_complete(self) -> bool:
        """Tell whether nothing was skipped and nothing failed, apart from unreadable images."""
        return not self.skipped and not self.lacks

    def in_words(self) -> list[str]:
        """Return the summary as lines of text, without the tables."""
        lines = [self.answer, *self.remarks]
        if self.regret:
            lines.append(agreement_in_words(self.regret, len(self.trained)))
        if self.refused:
            refused = [(bad.name, bad.reason) for bad in self.refused]
            lines.append(skipped_in_words(refused))
        return [*lines, *(f"warning: {each}" for each in (*self.skipped, *self.lacks))]

    def tables(self) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
        """Return the heads and rows of the tables: cuts, trained heads, and their agreement."""
        parts = [self._cuts_table()]
        parts += [self._trained_table()] if self.trained else []
        return parts + ([self._regret_table()] if self.regret else [])

    def _cuts_table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        head = ("", "model", "layer", "probe", "±", "10-NN", "LogME", "multiplications", "ms")
        rows: list[tuple[str, ...]] = [
            (
                "*" if (row.model, row.layer) == (self.best.model, self.best.layer) else "",
                row.model,
                row.layer,
                share(row.probe),
                f"{50 * (row.probe_high - row.probe_low):.1f}",
                share(row.knn),
                f"{row.logme:.3f}",
                counted(row.macs),
                f"{row.ms:.1f}",
            )
            for row in self.rows
        ]
        return head, rows

    def _trained_table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        head = ("trained head of", "layer", "test accuracy", "probe", "epochs")
        rows: list[tuple[str, ...]] = [
            (
                each.model,
                each.layer,
                share(each.accuracy),
                share(each.probe),
                str(each.epochs),
            )
            for each in self.trained
        ]
        return head, rows

    def _regret_table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        head = ("score", "weighted tau", "95 % interval", "regret@1", "regret@3")
        rows: list[tuple[str, ...]] = [
            (
                SCORE_TITLES[name],
                two_digits(found.tau),
                f"{two_digits(found.tau_low)} to {two_digits(found.tau_high)}",
                f"{found.regret_1:.1f}",
                f"{found.regret_3:.1f}",
            )
            for name, found in self.regret.items()
        ]
        return head, rows


def summary_of_cut(
    bucket: Bucket,
    folder: str,
    record: CutReportRecord,
    skipped: tuple[str, ...],
    *,
    reused: bool,
) -> CutSummary:
    """Return the summary of a report; `skipped` holds a sentence for each skipped model."""
    contents = record.contents
    return CutSummary(
        answer=contents.answer,
        best=contents.best,
        last=contents.last,
        rows=contents.rows,
        trained=contents.trained,
        regret=contents.regret,
        remarks=contents.remarks,
        command=contents.command,
        key=folder,
        report=f"{bucket.url}/{report_page_key(folder)}",
        refused=contents.refused,
        skipped=(*skipped, *contents.problems),
        lacks=record.lacks,
        reused=reused,
    )
