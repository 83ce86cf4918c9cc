"""Scores, flags and rungs of sprites as text."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from diamond_cutter.flows.cli.layer_statistics import ATTEMPTS
from diamond_cutter.flows.cli.tables import Rows
from diamond_cutter.storage.sets.records import FLAGS, Attempt, Flag, Score, SpriteScores

SCORE_COLUMNS: tuple[Score, ...] = (
    "objective",
    "highest_activation",
    "specificity",
    "photo_ratio",
    "contrast",
    "saturation",
    "checkerboard",
)
_NAMED_CHANNELS = 8


def flags_and_rungs(sprites: Sequence[SpriteScores]) -> list[str]:
    """Return lines on the flags and the rungs of sprites."""
    flags = Counter(flag for sprite in sprites for flag in sprite.flags)
    return [
        flags_in_words(sum(bool(sprite.flags) for sprite in sprites), flags),
        rungs_in_words(Counter(sprite.rung for sprite in sprites)),
    ]


def flags_in_words(flagged: int | None, flags: Mapping[Flag, int]) -> str:
    """Return a line on the flags of sprites; `flagged` is the number of sprites with any flag."""
    named = [f"{flags[flag]} {plain(flag)}" for flag in FLAGS if flags.get(flag)]
    if not named:
        return "no flags"
    return (
        f"flags: {', '.join(named)}"
        if flagged is None
        else f"{flagged} flagged: {', '.join(named)}"
    )


def rungs_in_words(rungs: Mapping[Attempt, int]) -> str:
    """Return a line on the attempts that produced the sprites."""
    saved = [f"{rungs[attempt]} by {attempt}" for attempt in ATTEMPTS[1:-1] if rungs.get(attempt)]
    words = [f"{rungs['first']} at the first attempt"] if "first" in rungs else []
    words += [f"saved: {', '.join(saved)}"] if saved else []
    words += [f"{rungs['none']} failed at every attempt"] if rungs.get("none") else []
    return "; ".join(words)


def sprites_table(sprites: Sequence[SpriteScores]) -> Rows:
    """Return a table of sprites with their scores."""
    rows = [
        (
            str(sprite.channel),
            str(sprite.variant),
            *(number(getattr(sprite, score)) for score in SCORE_COLUMNS),
            sprite.rung,
            ", ".join(map(plain, sprite.flags)),
        )
        for sprite in sprites
    ]
    return Rows(("channel", "variant", *map(plain, SCORE_COLUMNS), "attempt", "flags"), rows)


def span(channels: Iterable[int]) -> str:
    """Return channels as a list if they are few, otherwise as a range."""
    ordered = sorted(channels)
    if len(ordered) <= _NAMED_CHANNELS:
        return ", ".join(map(str, ordered))
    between = f"{ordered[0]} to {ordered[-1]}"
    return (
        between
        if ordered[-1] - ordered[0] + 1 == len(ordered)
        else f"{between}, {len(ordered)} of them"
    )


def count_of(number: int, what: str) -> str:
    """Return a number with its noun: 1 layer, 2 layers."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def known(count: int | None) -> str:
    """Return a number, or ? if it is unknown."""
    return "?" if count is None else str(count)


def number(value: float | None) -> str:
    """Return a score with four digits, or nothing if there is none."""
    return "" if value is None else f"{value:.4g}"


def plain(name: str) -> str:
    """Return the name of a field in words."""
    return name.replace("_", " ")
