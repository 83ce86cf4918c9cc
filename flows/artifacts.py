"""Prefect artifacts of a flow run: progress, tables, a summary and a link to the report."""

import re
from typing import cast
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from diamond_cutter.flows.attach_summary import AttachSummary
from diamond_cutter.flows.attribution_summary import ReportSummary
from diamond_cutter.flows.compare_summary import CompareSummary
from diamond_cutter.flows.cut_summary import CutSummary
from diamond_cutter.flows.planning import RunPlan
from diamond_cutter.flows.report_artifact import escaped, report_markdown
from diamond_cutter.flows.server.loss import only_shown
from diamond_cutter.flows.sprites_summary import RunSummary
from diamond_cutter.storage import Bucket
from diamond_cutter.tasks.reporting.contents import ReportRecord


class _ProgressArtifact:
    """A progress bar; if the server is lost, the run continues without it."""

    def __init__(self, description: str) -> None:
        self._id: UUID | None = None
        with only_shown():
            # Prefect types its functions as if every caller awaited them.
            created = create_progress_artifact(progress=0.0, description=description)
            self._id = cast(UUID, created)

    def update(self, share: float) -> None:
        if self._id is not None:
            with only_shown():
                update_progress_artifact(self._id, progress=100.0 * share)


class RunArtifacts:
    """The artifacts of a run of `sprites`."""

    def __init__(self, plan: RunPlan) -> None:
        self._key, self._layers = _artifact_key(plan.card.name), len(plan.layers)
        table = [
            {
                "layer": layer.layer,
                "channels": len(layer.channels),
                "done": layer.done,
                "to render": layer.to_do,
            }
            for layer in plan.layers
        ]
        with only_shown():
            create_table_artifact(
                key=f"layers-{self._key}",
                table=table,
                description=f"Layers of {plan.card.key} in this run",
            )
        self._progress = _ProgressArtifact(f"Completed layers of {plan.card.key}")

    def layer_done(self, done: int) -> None:
        """Show how many layers have their spritemap."""
        self._progress.update(done / self._layers)

    def publish_summary(self, summary: RunSummary) -> None:
        """Show the summary of the run."""
        with only_shown():
            create_markdown_artifact(key=f"sprites-{self._key}", markdown=_markdown(summary))


class ReportArtifacts:
    """The artifacts of a run of `attribute`."""

    def __init__(self, model: str, dataset: str) -> None:
        self._key = _artifact_key(f"{model}-{dataset}")
        self._progress = _ProgressArtifact(f"Measured images of {dataset}")

    def images_done(self, share: float) -> None:
        """Show the share of the images that is measured."""
        self._progress.update(share)

    def publish(self, bucket: Bucket, summary: ReportSummary, record: ReportRecord) -> None:
        """Show the most decisive channels, and the finding with a picture."""
        table = [
            {
                "layer": layer.name,
                "channel": found.channel,
                "mean attribution": found.attribution,
            }
            for layer in record.contents.layers
            for found in (*layer.top, *reversed(layer.bottom))
        ]
        mixed = ". The means mix several classes" if summary.mixes_questions else ""
        with only_shown():
            create_table_artifact(
                key=f"channels-{self._key}",
                table=table,
                description=f"Most decisive channels: {escaped(summary.explained)}{mixed}",
            )
            create_markdown_artifact(
                key=f"report-{self._key}",
                markdown=report_markdown(bucket, summary, record.contents),
                description=escaped(summary.in_words()[0]),
            )


class CutArtifacts:
    """The artifacts of a run of `cut`."""

    def __init__(self, dataset: str) -> None:
        self._key = _artifact_key(dataset)

    def publish(self, summary: CutSummary) -> None:
        """Show the answer, all scores and a link to the report."""
        table = [row.model_dump(exclude={"on_front"}) for row in summary.rows]
        with only_shown():
            create_table_artifact(
                key=f"cuts-{self._key}", table=table, description=escaped(summary.answer)
            )
            create_link_artifact(
                key=f"cut-{self._key}",
                link=summary.report,
                link_text="the report",
                description="\n\n".join(map(escaped, summary.in_words())),
            )


class AttachArtifacts:
    """The artifacts of a run of `attach`."""

    def __init__(self, model: str) -> None:
        self._key = _artifact_key(model)

    def publish(self, summary: AttachSummary) -> None:
        """Show the accuracy, the history and a link to its drawing."""
        table = [epoch.model_dump() for epoch in summary.history]
        with only_shown():
            create_table_artifact(
                key=f"history-{self._key}", table=table, description=escaped(summary.bundle)
            )
            create_link_artifact(
                key=f"attach-{self._key}",
                link=summary.chart,
                link_text="the history of the training",
                description="\n\n".join(map(escaped, summary.in_words())),
            )


class CompareArtifacts:
    """The artifacts of a run of `compare`."""

    def __init__(self, models: tuple[str, str], dataset: str) -> None:
        self._key = _artifact_key("-".join((*models, dataset)))

    def publish(self, summary: CompareSummary) -> None:
        """Show the answer, the corresponding layers and a link to the report."""
        table = [pair.model_dump(exclude={"channels", "dead"}) for pair in summary.pairs]
        with only_shown():
            create_table_artifact(
                key=f"layers-{self._key}", table=table, description=escaped(summary.answer)
            )
            create_link_artifact(
                key=f"compare-{self._key}",
                link=summary.report,
                link_text="the report",
                description="\n\n".join(map(escaped, summary.in_words())),
            )


def _artifact_key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _markdown(summary: RunSummary) -> str:
    rows = [
        f"| {escaped(layer)} | `{escaped(f'{summary.bucket}/{key}')}` |"
        for layer, key in summary.spritemaps.items()
    ]
    failures = [f"- {escaped(failure)}" for failure in summary.failures]
    counts = f"{summary.rendered} rendered, {summary.reused} reused, {summary.failed} failed"
    tried = [escaped(line) for line in (*summary.ladder_in_words(), *summary.warnings)]
    lines = [
        f"# Sprites of {escaped(summary.model)}",
        "",
        "\n\n".join([counts, *tried]),
        "",
        "| layer | spritemap |",
        "| --- | --- |",
        *rows,
    ]
    return "\n".join(lines + (["", "## Failures", "", *failures] if failures else []))
