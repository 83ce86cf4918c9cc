"""Formats quantities for people; only zero is shown as zero."""

import math
from collections.abc import Sequence

_SKIPPED_NAMED = 5


def significant(value: float, digits: int = 2) -> str:
    """Return a number with at least `digits` digits and no exponent: 123, 12, 1.2, 0.0012."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    places = digits - 1 - exponent
    return f"{value:,.{max(places, 0)}f}"


def rounded(value: float) -> float:
    """Round a measurement to three significant digits."""
    return float(f"{value:.3g}")


def sized(count: float) -> str:
    """Return a number of bytes with a unit: 57.6 kB."""
    return _in_units(count, (" B", " kB", " MB", " GB", " TB"))


def counted(count: float) -> str:
    """Return a large number with a unit: 576, 57.6 k, 10.8 M."""
    return _in_units(count, ("", " k", " M", " G", " T"))


def lasting(seconds: float) -> str:
    """Return a duration in seconds, minutes or hours."""
    if seconds < 120:
        return f"{significant(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def passing(seconds: float) -> str:
    """Return the duration so far, in whole seconds, minutes or hours."""
    return f"{seconds:.0f} s" if seconds < 120 else lasting(seconds)


def share(part: float) -> str:
    """Return a fraction of one in percent."""
    return f"{significant(100 * part)}%" if 0 < abs(part) < 0.01 else f"{part:.1%}"


def two_digits(value: float | None) -> str:
    """Return a number between -1 and 1 with two digits, and a dash for None."""
    return "–" if value is None else f"{value:.2f}"


def skipped_in_words(reasons: Sequence[tuple[str, str]]) -> str:
    """Return how many images were skipped; the first ones are named with their reasons."""
    named = "; ".join(f"{name}: {reason}" for name, reason in reasons[:_SKIPPED_NAMED])
    more = len(reasons) - _SKIPPED_NAMED
    return f"{len(reasons):,} skipped: {named}{f'; and {more} more' if more > 0 else ''}"


def _in_units(count: float, units: Sequence[str]) -> str:
    """Return a number with three digits and one of the units, in steps of a thousand."""
    scaled, unit = count, 0
    # A number that rounds to 1000 takes the next unit.
    while abs(scaled) >= 999.5 and unit < len(units) - 1:
        scaled, unit = scaled / 1000, unit + 1
    return f"{significant(scaled, 3) if unit else f'{scaled:.0f}'}{units[unit]}"
