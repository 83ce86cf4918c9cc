"""The output of commands: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from diamond_cutter.flows.attribution_summary import ReportSummary
from diamond_cutter.flows.cli.copies import Copied
from diamond_cutter.flows.cli.estimates import RunEstimate
from diamond_cutter.flows.cli.listing import BucketListing, LayerListing, SetListing
from diamond_cutter.flows.cli.models import Removed
from diamond_cutter.flows.cli.record_text import in_words, preset_in_words, tuning_in_words
from diamond_cutter.flows.cli.records import Shown, ShownRecord
from diamond_cutter.flows.cli.removal import Cleaned, FolderSize
from diamond_cutter.flows.cli.tables import Rows, printable, tables
from diamond_cutter.flows.cli.viewer import Opened
from diamond_cutter.flows.cut_summary import CutSummary
from diamond_cutter.flows.quantities import counted, lasting, passing, share, sized
from diamond_cutter.flows.sprites_summary import RunSummary
from diamond_cutter.flows.verification import Verification
from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.model_inventory.catalogue import ModelListing
from diamond_cutter.model_inventory.imagenet_accuracy import known_accuracy
from diamond_cutter.storage.sets.layout import set_folder
from diamond_cutter.tasks.importing.stored import Added
from diamond_cutter.tasks.sheets import spritemap_shape
from diamond_cutter.tasks.stored_reports import ReportListing
from diamond_cutter.tasks.tuning.preset import LayerTuning, Preset

_FILE_WIDTH = 100_000


def print_models(models: Sequence[ModelListing], *, as_json: bool) -> None:
    """Print the available models."""
    rows = [
        (
            model.name,
            model.source,
            f"{model.height} x {model.width}",
            "" if model.layers is None else str(model.layers),
            "" if model.channels is None else f"{model.channels:,}",
            model.weights,
        )
        for model in models
    ]
    _print(
        models, as_json, Rows(("model", "source", "image", "layers", "channels", "weights"), rows)
    )


def print_added(added: Added, *, as_json: bool) -> None:
    """Print the card of an added model, and the guesses of its import."""
    guessed = [f"guessed {guess}" for guess in added.guesses]
    _print(added, as_json, *_card_parts(added.card), *guessed)


def print_removed(removed: Removed, *, as_json: bool) -> None:
    """Print the result of `models remove`."""
    _print(
        removed,
        as_json,
        f"removed {removed.model}: {removed.files} files, {sized(removed.bytes)}; its sprites are "
        "kept",
    )


def print_card(card: ModelCard, *, as_json: bool) -> None:
    """Print a model's input and accuracy, and its layers in forward order."""
    shown = card.model_copy(update={"imagenet": known_accuracy(card)})
    _print(shown, as_json, *_card_parts(shown))


def _card_parts(card: ModelCard) -> list[str | Rows]:
    rows = [
        (
            layer.name,
            layer.kind,
            str(layer.channels),
            f"{layer.height} x {layer.width}" if layer.height else "",
            _reach(layer),
            counted(layer.macs),
            str(spritemap_shape(layer.channels)[0]),
            "main" if layer.main else "",
        )
        for layer in card.layers
    ]
    image = card.image
    order = {"none": "", "rgb": " in the order RGB", "bgr": " in the order BGR"}[
        image.channel_order
    ]
    ranges = ", ".join(f"{low:.5g} to {high:.5g}" for low, high in image.value_range)
    facts = [
        f"{card.key}, from {card.source.origin}",
        f"input: {image.height} x {image.width} pixels, {image.channels} "
        f"channel{'s' * (image.channels > 1)}{order}, values {ranges}",
        f"{len(card.layers)} layers with {sum(layer.channels for layer in card.layers):,} "
        f"channels, {len(card.labels)} named classes",
    ]
    accuracy = known_accuracy(card)
    if accuracy is not None:
        facts.append(f"ImageNet top-1 accuracy: {share(accuracy.top1)}, from {accuracy.source}")
    head = ("layer", "kind", "channels", "size", "sees", "multiplications", "columns", "")
    return ["\n".join(facts), Rows(head, rows)]


def _reach(layer: LayerCard) -> str:
    """Return the receptive field of one position."""
    if not layer.height:
        return ""
    return f"{layer.receptive_field} px" if layer.receptive_field else "all"


def print_estimate(estimate: RunEstimate, *, as_json: bool) -> None:
    """Print the estimate of a run."""
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
        f" ({estimate.sprites_adopted} of them to copy from other sets of the model)"
        if estimate.sprites_adopted
        else ""
    )
    total = (
        f"{estimate.sprites_to_do} sprites to render in {estimate.shards} shards, "
        f"{estimate.sprites_done} done{adopted}; "
        f"about {sized(estimate.bytes)} and {lasting(estimate.seconds)} on {estimate.devices} "
        f"device{'s' * (estimate.devices > 1)}"
    )
    _print(
        estimate,
        as_json,
        f"{estimate.model} by {estimate.recipe}",
        Rows(("layer", "done", "to do", "shards", "size", "time"), rows),
        total,
    )


def print_summary(summary: RunSummary, *, as_json: bool) -> None:
    """Print the summary of a run."""
    _print(summary, as_json, summary.in_words())


def print_report(summary: ReportSummary, *, as_json: bool) -> None:
    """Print the summary of a report, and the URL of its page."""
    _print(summary, as_json, *summary.in_words(), Rows(*summary.table()), summary.page)


def print_cut(summary: CutSummary, *, as_json: bool) -> None:
    """Print the answer of `cut`, its scores, and the URL of its page."""
    tables_of_cuts = [Rows(head, rows) for head, rows in summary.tables()]
    words = summary.in_words()
    _print(summary, as_json, *tables_of_cuts, *words, f"next: {summary.command}", summary.report)


def print_bucket(found: BucketListing, *, as_json: bool) -> None:
    """Print the sprite sets and the reports of a bucket."""
    parts = [*_sets(found.sets), *_reports(found.reports)]
    _print(found, as_json, *(parts or ["no sprites yet"]))


def _reports(reports: Sequence[ReportListing]) -> list[str | Rows]:
    now = datetime.now(UTC)
    rows = [
        (
            listing.key,
            f"{listing.images:,}" if listing.images is not None else f"{listing.measured:,} so far",
            "measurements"
            if listing.measurements
            else "complete"
            if listing.complete
            else "incomplete",
            sized(listing.bytes),
            f"{_age(now - listing.updated)} ago" if listing.updated else "",
        )
        for listing in reports
    ]
    return ["reports", Rows(("report", "images", "", "size", "last written"), rows)] if rows else []


def _sets(sets: Sequence[SetListing]) -> list[str | Rows]:
    now = datetime.now(UTC)
    parts: list[str | Rows] = []
    for listing in sets:
        rows = [
            (
                layer.layer,
                _how_far(layer),
                str(layer.sprites),
                str(layer.flagged),
                sized(layer.bytes),
                f"{_age(now - layer.updated)} ago" if layer.updated else "",
                "\n".join(layer.spritemaps),
            )
            for layer in listing.layers
        ]
        age = f", last written {_age(now - listing.updated)} ago" if listing.updated else ""
        runs = (
            f"{listing.runs} complete run{'s' * (listing.runs != 1)}"
            if listing.runs
            else "no complete run yet"
        )
        parts.append(
            f"{set_folder(listing.model, listing.recipe)}: {runs}, {sized(listing.bytes)}{age}"
        )
        parts.append(
            Rows(
                ("layer", "channels", "sprites", "flagged", "size", "last written", "spritemaps"),
                rows,
            )
        )
    return parts


def _how_far(layer: LayerListing) -> str:
    damaged = f", {layer.damaged_shards} shards damaged" if layer.damaged_shards else ""
    if layer.channels_done == layer.channels:
        return f"all {layer.channels}{damaged}"
    return f"{layer.channels_done} of {layer.channels or '?'}{damaged}"


def print_opened(opened: Opened, *, as_json: bool) -> None:
    """Print the path of a picture."""
    _print(opened, as_json, str(opened.path))


def print_copied(copied: Copied, *, as_json: bool) -> None:
    """Print the result of `cp`."""
    lines = [f"{problem.key}: {problem.problem}" for problem in copied.problems]
    lines += [f"{folder}: index and gallery written again" for folder in copied.rebuilt]
    lines.append(
        f"{copied.files} files copied, {sized(copied.bytes)}; {copied.there} already there, "
        f"{len(copied.problems)} failed"
    )
    _print(copied, as_json, "\n".join(lines))


def print_cleaned(cleaned: Cleaned, *, as_json: bool) -> None:
    """Print the result of `gc`."""
    # Keys are too long for the columns of a table.
    lines = [f"{each.key}: {sized(each.bytes)}; {each.why}" for each in cleaned.leftovers]
    done = f"; {cleaned.deleted} deleted" if cleaned.deleted else "; add --delete to delete them"
    lines.append(
        f"{len(cleaned.leftovers)} unused files, "
        f"{sized(cleaned.bytes)}{done if cleaned.leftovers else ''}"
    )
    _print(cleaned, as_json, "\n".join(lines))


def print_removed_folder(removed: FolderSize, *, as_json: bool) -> None:
    """Print the result of `rm`."""
    _print(
        removed, as_json, f"removed {removed.key}: {removed.files} files, {sized(removed.bytes)}"
    )


def print_shown(shown: Shown, *, as_json: bool) -> None:
    """Print the result of `show`."""
    parts = in_words(shown)
    if isinstance(shown, ShownRecord) and isinstance(shown.record, ModelCard):
        parts += _card_parts(shown.record)
    _print(shown, as_json, *parts)


def print_verification(found: Verification, *, as_json: bool) -> None:
    """Print the result of `verify`."""
    lines = [f"{problem.key}: {problem.problem}" for problem in found.problems]
    if found.unchecked:
        lines.append(
            f"{len(found.unchecked)} published files of an earlier version have no checksum. The "
            "next run adds it."
        )
    lines.append(f"{found.records} records checked, {len(found.problems)} with problems")
    _print(found, as_json, "\n".join(lines))


def print_layer_tuning(found: LayerTuning) -> None:
    """Print the tuning of a layer on standard error."""
    sys.stderr.write(f"{printable(found.layer)}: {tuning_in_words(found)}\n")


def print_preset(preset: Preset, *, as_json: bool) -> None:
    """Print the preset of a model."""
    _print(preset, as_json, *preset_in_words(preset))


def _print(data: BaseModel | Sequence[BaseModel], as_json: bool, *parts: str | Rows) -> None:
    if as_json:
        sys.stdout.write(json.dumps(_plain(data), indent=1) + "\n")
        return
    console = Console(soft_wrap=True, highlight=False)
    width = console.width if console.is_terminal else None
    if width is None:
        console.width = _FILE_WIDTH  # lines are not wrapped in a file or a pipe
    for part in parts:
        for printed in (
            [Text(printable(part))] if isinstance(part, str) else _with_gaps(tables(part, width))
        ):
            console.print(printed)


def _with_gaps(parts: Sequence[Table]) -> Iterator[Table | str]:
    for index, part in enumerate(parts):
        if index:
            yield ""
        yield part


def _plain(data: BaseModel | Sequence[BaseModel]) -> Any:
    return (
        data.model_dump(mode="json")
        if isinstance(data, BaseModel)
        else [item.model_dump(mode="json") for item in data]
    )


def _age(passed: timedelta) -> str:
    seconds = max(passed.total_seconds(), 0.0)
    hours = round(seconds / 3600)
    return passing(seconds) if hours < 48 else f"{round(hours / 24)} days"
