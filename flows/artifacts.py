"""What a run shows in Prefect: progress, a table of its layers, a summary with the spritemaps'
locations.
"""

import re
from typing import cast
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from diamond_cutter.flows.planning import RunPlan
from diamond_cutter.flows.server.loss import only_shown
from diamond_cutter.flows.sprites_summary import RunSummary


class RunArtifacts:
    """The artifacts of one flow run; where the server is lost, the run goes on without them."""

    def __init__(self, plan: RunPlan) -> None:
        self._key = re.sub(r"[^a-z0-9]+", "-", plan.card.name.lower()).strip("-")
        self._layers = len(plan.layers)
        self._progress: UUID | None = None
        with only_shown():
            create_table_artifact(
                key=f"layers-{self._key}",
                table=[
                    {
                        "layer": layer.layer,
                        "channels": len(layer.channels),
                        "done": layer.done,
                        "to render": layer.to_do,
                    }
                    for layer in plan.layers
                ],
                description=f"Layers of {plan.card.key} in this run",
            )
            # Prefect types what it offers to both kinds of callers as if it were always awaited.
            progress = create_progress_artifact(
                progress=0.0, description=f"Layers of {plan.card.key} that are complete"
            )
            self._progress = cast(UUID, progress)

    def layer_done(self, done: int) -> None:
        """Note how many layers have their spritemap."""
        if self._progress is not None:
            with only_shown():
                update_progress_artifact(self._progress, progress=100.0 * done / self._layers)

    def publish_summary(self, summary: RunSummary) -> None:
        """Show what the run did."""
        with only_shown():
            create_markdown_artifact(key=f"sprites-{self._key}", markdown=_markdown(summary))


def _markdown(summary: RunSummary) -> str:
    rows = [
        f"| {markdown_cell(layer)} | `{markdown_cell(f'{summary.bucket}/{key}')}` |"
        for layer, key in summary.spritemaps.items()
    ]
    failures = [f"- {markdown_cell(failure)}" for failure in summary.failures]
    counts = f"{summary.rendered} rendered, {summary.reused} reused, {summary.failed} failed"
    tried = [markdown_cell(line) for line in (*summary.ladder_in_words(), *summary.warnings)]
    lines = [
        f"# Sprites of {markdown_cell(summary.model)}",
        "",
        "\n\n".join([counts, *tried]),
        "",
        "| layer | spritemap |",
        "| --- | --- |",
        *rows,
    ]
    return "\n".join(lines + (["", "## Failures", "", *failures] if failures else []))


def markdown_cell(text: str) -> str:
    """Escape text for a cell of a markdown table: layers' names are not ours."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~-])", r"\\\1", text).replace("\n", " ")
