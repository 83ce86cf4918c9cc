"""Say how long ago something happened."""

from datetime import UTC, datetime

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))


def age_of(moment: datetime, now: datetime | None = None) -> str:
    """Return the age of something in words: `3 days ago`, or `just now` below a minute."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, unit in _UNITS:
        count = int(seconds // size)
        if count > 0:
            return f"{count:,} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
