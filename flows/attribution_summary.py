"""The summary of a report, for terminals, Prefect and programs."""

from pydantic import Field

from diamond_cutter.flows.quantities import share, skipped_in_words
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.report_keys import report_page_key
from diamond_cutter.tasks.attribution.spec import LayerMethod
from diamond_cutter.tasks.reporting.contents import (
    Accuracy,
    FailedSprites,
    PreprocessingNote,
    RefusedImage,
    ReportRecord,
    Values,
)
from diamond_cutter.tasks.reporting.layer_contents import ReportedLayer, Verdict
from diamond_cutter.tasks.reporting.verdicts import percent

_NAMED_CHANNELS, _IN_A_CELL = 5, 2


class LayerSummary(FrozenModel):
    """A layer of a report."""

    layer: str
    method: LayerMethod | None = Field(description="none in reports of earlier versions")
    verdict: Verdict | None = Field(description="none in reports of earlier versions")
    reason: str = Field(description="of the verdict, in one sentence")
    advice: str = Field(description="what to do, in one sentence; empty if reliable")
    completeness_error: float = Field(description="median over the images that were checked")
    drop_of_top: float = Field(
        description="median drop of the score without the 5 % of channels that add most"
    )
    drop_of_random: float = Field(description="median drop without as many random channels")
    top: tuple[int, ...] = Field(
        description="channels with the highest mean attribution over all images"
    )
    bottom: tuple[int, ...] = Field(description="channels with the lowest mean attribution")


class ReportSummary(FrozenModel):
    """The summary of a report."""

    key: str
    page: str = Field(description="the URL of the page")
    dataset: str
    model: str
    finding: str = Field(
        description="the answer, and how far it can be believed; empty in earlier reports"
    )
    explained: str = Field(description="the explained classes, in words")
    images: int
    refused: tuple[RefusedImage, ...]
    accuracy: Accuracy | None
    preprocessing: PreprocessingNote | None = None
    decision: str | None = Field(
        description="how one score decides between two classes, in words; none for other models"
    )
    values: Values | None = Field(description="of a regression; none for classifiers")
    classes_by_label: bool = Field(
        description="whether the classes have their names from the images' labels"
    )
    mixes_questions: bool = Field(
        description="whether the images are explained by different classes, so that means over all "
        "images answer no single question"
    )
    layers: tuple[LayerSummary, ...]
    failed_sprites: FailedSprites | None = Field(description="none if no sprite has flags")
    reused: bool = Field(description="whether the report was complete already")
    lacks: tuple[str, ...] = Field(
        description="a sentence on each failed part; the same run retries these parts"
    )

    def in_words(self) -> list[str]:
        """Return the summary as lines of text, without the finding and the layers."""
        lines = [
            f"{self.images:,} images of {self.dataset}, explained by {self.model}: {self.explained}"
        ]
        if self.values is not None:
            lines.append(
                f"the values are {self.values.lowest:g} to {self.values.highest:g}, on average "
                f"{self.values.mean:g}"
            )
        if self.preprocessing is not None:
            note = self.preprocessing
            lines.append(f"warning: {note.text}" if note.warns else note.text)
        if self.decision is not None:
            lines.append(self.decision)
        if self.classes_by_label:
            lines.append(
                "the model has no labels: its classes 0 and 1 are taken to be the labels of the "
                "images in alphabetical order; add it again with --labels to name them"
            )
        lines += self._accuracy()
        if self.refused:
            refused = [(bad.name, bad.reason) for bad in self.refused]
            lines.append(skipped_in_words(refused))
        return [*lines, *(f"warning: {lack}" for lack in self.lacks)]

    def _accuracy(self) -> list[str]:
        if self.accuracy is None:
            return []
        of = f"of {self.accuracy.images:,} images whose label is a class"
        right = f"the model is right about {share(self.accuracy.top1)} {of}, and wrong about "
        right += f"{self.accuracy.wrong:,}"
        if self.decision is not None:  # there are only two classes
            return [right]
        return [f"{right}; its top five classes include the label in {share(self.accuracy.top5)}"]

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return the head and the rows of a table of the layers.

        It fits 80 columns: the method is a column only if it differs. If the mean over all images
        mixes several classes, the loss of score without some channels replaces channels for and
        against.
        """
        named = len({layer.method for layer in self.layers}) > 1
        last = ("drop, top", "drop, random") if self.mixes_questions else ("for", "against")
        head = ("layer", "verdict", *(["method"] if named else []), "error", *last)
        rows: list[tuple[str, ...]] = [
            (
                layer.layer,
                layer.verdict or "not judged",
                *([layer.method or ""] if named else []),
                percent(layer.completeness_error),
                *self._last_cells(layer),
            )
            for layer in self.layers
        ]
        return head, rows

    def _last_cells(self, layer: LayerSummary) -> tuple[str, str]:
        if self.mixes_questions:
            return f"{layer.drop_of_top:.3g}", f"{layer.drop_of_random:.3g}"
        top, bottom = (", ".join(map(str, side[:_IN_A_CELL])) for side in (layer.top, layer.bottom))
        return top, bottom

    def advice(self) -> list[str]:
        """Return a line for each layer that is not reliable, and one about failed sprites."""
        lines = [
            f"{layer.layer}: {layer.reason} {layer.advice}" for layer in self.layers if layer.advice
        ]
        if self.failed_sprites is not None:
            failed = self.failed_sprites
            flags = ", ".join(
                f"{count} {flag.replace('_', ' ')}" for flag, count in failed.by_flag.items()
            )
            lines.append(f"{failed.failed} of {failed.of} sprites failed: {flags}. {failed.advice}")
        return lines


def summary_of(bucket: Bucket, folder: str, record: ReportRecord, *, reused: bool) -> ReportSummary:
    """Return the summary of a report."""
    contents = record.contents
    return ReportSummary(
        key=folder,
        page=f"{bucket.url}/{report_page_key(folder)}",
        dataset=contents.dataset,
        model=contents.model,
        finding=" ".join(filter(None, (contents.finding, contents.belief))),
        explained=contents.explanation(),
        images=contents.images,
        refused=contents.refused,
        accuracy=contents.accuracy,
        preprocessing=contents.preprocessing,
        decision=contents.decision(),
        values=contents.values,
        classes_by_label=contents.spec.classes_by_label,
        mixes_questions=contents.sets[0].mixes_questions,
        layers=tuple(map(_layer, contents.layers)),
        failed_sprites=contents.failed_sprites,
        reused=reused,
        lacks=record.lacks,
    )


def _layer(layer: ReportedLayer) -> LayerSummary:
    return LayerSummary(
        layer=layer.name,
        method=layer.method,
        verdict=layer.checks.verdict,
        reason=layer.checks.reason,
        advice=layer.checks.advice,
        completeness_error=layer.checks.completeness_error.median,
        drop_of_top=layer.checks.drop_of_top.median,
        drop_of_random=layer.checks.drop_of_random.median,
        top=tuple(found.channel for found in layer.top[:_NAMED_CHANNELS]),
        bottom=tuple(found.channel for found in layer.bottom[:_NAMED_CHANNELS]),
    )
