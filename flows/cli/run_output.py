"""Prints estimates and summaries of runs, and the results of tuning."""

import sys
from collections.abc import Sequence

from diamond_cutter.flows.attach_summary import AttachSummary
from diamond_cutter.flows.attribution_summary import ReportSummary
from diamond_cutter.flows.cli.estimates import RunEstimate
from diamond_cutter.flows.cli.output import print_result
from diamond_cutter.flows.cli.record_text import preset_in_words, report_in_words, tuning_in_words
from diamond_cutter.flows.cli.tables import Rows, printable
from diamond_cutter.flows.compare_summary import CompareSummary
from diamond_cutter.flows.cut_summary import CutSummary
from diamond_cutter.flows.left_over import LeftOver
from diamond_cutter.flows.quantities import counted, lasting, significant, sized
from diamond_cutter.flows.sprites_summary import SpritesSummary
from diamond_cutter.tasks.tuning.preset import LayerTuning, Preset


def print_estimates(estimates: Sequence[RunEstimate], *, as_json: bool) -> None:
    """Print the estimate for each model of a run; as JSON, that of a single model alone."""
    parts: list[str | Rows] = []
    for estimate in estimates:
        parts += _estimate_parts(estimate)
    if len(estimates) > 1:
        parts.append(_sum_of(estimates))
    print_result(estimates[0] if len(estimates) == 1 else estimates, as_json, *parts)


def _sum_of(estimates: Sequence[RunEstimate]) -> str:
    sprites = sum(estimate.sprites_to_do for estimate in estimates)
    size = sum(estimate.bytes for estimate in estimates)
    seconds = sum(estimate.seconds for estimate in estimates)
    prices = [estimate.price for estimate in estimates if estimate.price is not None]
    price = f"; about {significant(sum(prices), 3)}" if prices else ""
    return (
        f"{len(estimates)} models: {sprites} sprites to render; about {sized(size)} and "
        f"{lasting(seconds)}{price}"
    )


def _estimate_parts(estimate: RunEstimate) -> tuple[str, Rows, str]:
    rows = [
        (
            layer.layer,
            str(layer.sprites_done),
            str(layer.sprites_to_do),
            str(layer.shards),
            sized(layer.bytes),
            lasting(layer.seconds),
        )
        for layer in estimate.layers
    ]
    adopted = (
        f" ({estimate.sprites_adopted} of them to copy from other sets)"
        if estimate.sprites_adopted
        else ""
    )
    total = (
        f"{estimate.sprites_to_do} sprites to render in {estimate.shards} shards, "
        f"{estimate.sprites_done} done{adopted}; "
        f"about {sized(estimate.bytes)} and {lasting(estimate.seconds)} on "
        f"{_machines_of(estimate)}; about {counted(estimate.requests)} requests to the bucket"
    )
    if estimate.price is not None:
        total += (
            f"; about {significant(estimate.price, 3)} for {significant(estimate.worker_hours)} "
            "worker hours, in the currency of --price-per-hour"
        )
    return (
        f"{estimate.model} by {estimate.recipe}",
        Rows(("layer", "done", "to do", "shards", "size", "time"), rows),
        total,
    )


def _machines_of(estimate: RunEstimate) -> str:
    devices = f"{estimate.devices} device{'s' * (estimate.devices > 1)}"
    return devices if estimate.workers == 1 else f"{estimate.workers} workers with {devices} each"


def print_summary(summary: SpritesSummary, *, as_json: bool) -> None:
    """Print the summary of a run; as JSON, that of a single model alone."""
    alone = len(summary.models) == 1 and not summary.skipped
    print_result(summary.models[0] if alone else summary, as_json, summary.in_words())


def print_report(summary: ReportSummary, *, as_json: bool) -> None:
    """Print the summary of a report, and the URL of its page."""
    print_result(summary, as_json, *report_in_words(summary))


def print_left_over(left: LeftOver, *, as_json: bool) -> None:
    """Print what the budget of a run leaves to the next one."""
    print_result(left, as_json, left.in_words())


def print_cut(summary: CutSummary, *, as_json: bool) -> None:
    """Print the answer of `cut`, its scores, and the URL of its page."""
    tables_of_cuts = [Rows(head, rows) for head, rows in summary.tables()]
    words = [*summary.in_words(), f"next: {summary.command}", summary.report]
    print_result(summary, as_json, *tables_of_cuts, *words)


def print_training(summary: AttachSummary, *, as_json: bool) -> None:
    """Print the summary of a training of new layers."""
    print_result(summary, as_json, *summary.in_words())


def print_compare(summary: CompareSummary, *, as_json: bool) -> None:
    """Print the answer of `compare`, its tables, and the URL of its page."""
    tables = [Rows(head, rows) for head, rows in summary.tables()]
    print_result(summary, as_json, *tables, *summary.in_words(), summary.report)


def print_layer_tuning(found: LayerTuning) -> None:
    """Print the tuning of a layer on standard error."""
    sys.stderr.write(f"{printable(found.layer)}: {tuning_in_words(found)}\n")


def print_preset(preset: Preset, *, as_json: bool) -> None:
    """Print the preset of a model."""
    print_result(preset, as_json, *preset_in_words(preset))
