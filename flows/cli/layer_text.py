"""The statistics of layers and sprite sets as text."""

from collections.abc import Iterable, Sequence

from diamond_cutter.flows.cli.layer_statistics import ChannelScores, Distribution, LayerReport
from diamond_cutter.flows.cli.records import SetReport
from diamond_cutter.flows.cli.score_text import (
    SCORE_COLUMNS,
    count_of,
    flags_in_words,
    known,
    number,
    plain,
    rungs_in_words,
    sprites_table,
)
from diamond_cutter.flows.cli.tables import Part, Rows
from diamond_cutter.storage.sets.layout import is_mixes

_BARS = "▁▂▃▄▅▆▇█"


def layer_in_words(report: LayerReport) -> list[Part]:
    """Return the statistics of a layer as lines of text and tables."""
    what = "mixes" if is_mixes(report.layer) else "channels"
    done = f"{report.channels_done} of {known(report.channels)} {what}"
    parts: list[Part] = [f"{report.key}: {count_of(report.sprites, 'sprite')}, of {done}"]
    if report.damaged_shards:
        parts.append(
            f"{count_of(report.damaged_shards, 'damaged shard')} ignored. Run diamond-cutter "
            "verify for details."
        )
    if not report.sprites:
        return parts
    parts += [
        flags_in_words(report.flagged, report.flags),
        rungs_in_words(report.rungs),
        _distributions(report.distributions),
    ]
    return [
        *parts,
        f"strongest {what}",
        _channels(report.strongest),
        f"weakest {what}",
        _channels(report.weakest),
    ]


def set_in_words(report: SetReport) -> list[Part]:
    """Return the statistics of a set, one row for each layer."""
    rows = [
        (
            layer.layer,
            f"{layer.channels_done} of {known(layer.channels)}",
            str(layer.sprites),
            str(layer.flagged),
            *(number(layer.median(score)) for score in SCORE_COLUMNS),
        )
        for layer in report.layers
    ]
    head = ("layer", "channels", "sprites", "flagged", *map(plain, SCORE_COLUMNS))
    return [
        f"{report.key}: {count_of(len(report.layers), 'layer')}; the scores are medians",
        Rows(head, rows),
        *(f"run: {run}" for run in report.runs),
    ]


def histogram(counts: Sequence[int]) -> str:
    """Return counts as a row of bars: the highest is full, a blank is 0."""
    highest = max(counts, default=0)
    return "".join(_BARS[(count * len(_BARS) - 1) // highest] if count else " " for count in counts)


def _distributions(found: Iterable[Distribution]) -> Rows:
    head = (
        "score",
        "sprites",
        "minimum",
        "quartile",
        "median",
        "quartile",
        "maximum",
        "from minimum to maximum",
    )
    rows = [
        (
            plain(one.score),
            str(one.sprites),
            *map(
                number,
                (one.minimum, one.lower_quartile, one.median, one.upper_quartile, one.maximum),
            ),
            histogram(one.histogram),
        )
        for one in found
    ]
    return Rows(head, rows)


def _channels(lines: Sequence[ChannelScores]) -> Rows:
    table = sprites_table([line.scores for line in lines])
    if not any(line.label for line in lines):
        return table
    return Rows(
        [*table.head, "label"],
        [[*row, line.label or ""] for row, line in zip(table.rows, lines, strict=True)],
    )
