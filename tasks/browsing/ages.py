"""Say how long ago something happened, and sort by that."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol, TypeVar

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))


class Dated(Protocol):
    """Something with the time of its last change, if that is known."""

    @property
    def updated(self) -> datetime | None:
        """Return the time, with its time zone."""


_Dated = TypeVar("_Dated", bound=Dated)


def newest_first(items: Iterable[_Dated]) -> list[_Dated]:
    """Return the items, the newest first, and those of unknown age last."""
    oldest = datetime.min.replace(tzinfo=UTC)
    return sorted(items, key=lambda item: item.updated or oldest, reverse=True)


def age_of(moment: datetime, now: datetime | None = None) -> str:
    """Return the age of something in words: `3 days ago`, or `just now` below a minute."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, unit in _UNITS:
        count = int(seconds // size)
        if count > 0:
            return f"{count:,} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
