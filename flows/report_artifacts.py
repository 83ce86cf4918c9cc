"""What an attribution run shows in Prefect: progress, a table of the channels that decide most, a
link to the report.
"""

import re
from typing import cast
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from diamond_cutter.flows.artifacts import markdown_cell
from diamond_cutter.flows.attribution_summary import ReportSummary
from diamond_cutter.flows.server.loss import only_shown
from diamond_cutter.tasks.reporting.contents import ReportRecord


class ReportArtifacts:
    """The artifacts of one flow run; where the server is lost, the run goes on without them."""

    def __init__(self, model: str, dataset: str) -> None:
        self._key = re.sub(r"[^a-z0-9]+", "-", f"{model}-{dataset}".lower()).strip("-")
        self._progress: UUID | None = None
        with only_shown():
            # Prefect types what it offers to both kinds of callers as if it were always awaited.
            progress = create_progress_artifact(
                progress=0.0, description=f"Images of {dataset} that are measured"
            )
            self._progress = cast(UUID, progress)

    def images_done(self, share: float) -> None:
        """Note which share of the images is measured."""
        if self._progress is not None:
            with only_shown():
                update_progress_artifact(self._progress, progress=100.0 * share)

    def publish(self, summary: ReportSummary, record: ReportRecord) -> None:
        """Show what the run found."""
        words = "\n\n".join(map(markdown_cell, summary.in_words()))
        with only_shown():
            create_table_artifact(
                key=f"channels-{self._key}",
                table=[
                    {
                        "layer": layer.name,
                        "channel": found.channel,
                        "mean attribution": found.attribution,
                    }
                    for layer in record.contents.layers
                    for found in (*layer.top, *reversed(layer.bottom))
                ],
                description=f"Channels that decide most: {markdown_cell(summary.explained)}",
            )
            create_link_artifact(
                key=f"report-{self._key}",
                link=summary.page,
                link_text="the report",
                description=words,
            )
