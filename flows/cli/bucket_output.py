"""Prints the content of a bucket, and the results of commands that change it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from diamond_cutter.flows.cli.copies import Copied
from diamond_cutter.flows.cli.listing import BucketListing, LayerListing, SetListing
from diamond_cutter.flows.cli.model_output import card_parts
from diamond_cutter.flows.cli.output import print_result
from diamond_cutter.flows.cli.record_text import in_words
from diamond_cutter.flows.cli.records import Shown, ShownRecord
from diamond_cutter.flows.cli.removal import Cleaned, FolderSize
from diamond_cutter.flows.cli.tables import Rows
from diamond_cutter.flows.cli.viewer import Opened
from diamond_cutter.flows.quantities import passing, sized
from diamond_cutter.flows.verification import Verification
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage.sets.layout import set_folder
from diamond_cutter.tasks.stored_reports import ReportListing


def print_bucket(found: BucketListing, *, as_json: bool) -> None:
    """Print the sprite sets and the reports of a bucket."""
    parts = [*_sets(found.sets), *_reports(found.reports)]
    print_result(found, as_json, *(parts or ["no sprites yet"]))


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


def _age(passed: timedelta) -> str:
    seconds = max(passed.total_seconds(), 0.0)
    hours = round(seconds / 3600)
    return passing(seconds) if hours < 48 else f"{round(hours / 24)} days"


def print_opened(opened: Opened, *, as_json: bool) -> None:
    """Print the path of a picture."""
    print_result(opened, as_json, str(opened.path))


def print_copied(copied: Copied, *, as_json: bool) -> None:
    """Print the result of `cp`."""
    lines = [f"{problem.key}: {problem.problem}" for problem in copied.problems]
    lines += [f"{folder}: index and gallery written again" for folder in copied.rebuilt]
    lines.append(
        f"{copied.files} files copied, {sized(copied.bytes)}; {copied.there} already there, "
        f"{len(copied.problems)} failed"
    )
    print_result(copied, as_json, "\n".join(lines))


def print_cleaned(cleaned: Cleaned, *, as_json: bool) -> None:
    """Print the result of `gc`."""
    # Keys are too long for the columns of a table.
    lines = [f"{each.key}: {sized(each.bytes)}; {each.why}" for each in cleaned.leftovers]
    done = f"; {cleaned.deleted} deleted" if cleaned.deleted else "; add --delete to delete them"
    lines.append(
        f"{len(cleaned.leftovers)} unused files, "
        f"{sized(cleaned.bytes)}{done if cleaned.leftovers else ''}"
    )
    print_result(cleaned, as_json, "\n".join(lines))


def print_removed_folder(removed: FolderSize, *, as_json: bool) -> None:
    """Print the result of `rm`."""
    print_result(
        removed, as_json, f"removed {removed.key}: {removed.files} files, {sized(removed.bytes)}"
    )


def print_shown(shown: Shown, *, as_json: bool) -> None:
    """Print the result of `show`."""
    parts = in_words(shown)
    if isinstance(shown, ShownRecord) and isinstance(shown.record, ModelCard):
        parts += card_parts(shown.record)
    print_result(shown, as_json, *parts)


def print_verification(found: Verification, *, as_json: bool) -> None:
    """Print the result of `verify`."""
    lines = [f"{problem.key}: {problem.problem}" for problem in found.problems]
    if found.unchecked:
        lines.append(
            f"{len(found.unchecked)} published files of an earlier version have no checksum. The "
            "next run adds it."
        )
    lines.append(f"{found.records} records checked, {len(found.problems)} with problems")
    print_result(found, as_json, "\n".join(lines))
