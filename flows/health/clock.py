"""Compares the clock of this machine with that of a server."""

from datetime import datetime

from diamond_cutter.flows.health.findings import Finding
from diamond_cutter.flows.quantities import significant

_WARNING_S, _FAILED_S = 5.0, 30.0
_REMEDY = "Set it by a time service, such as chrony or systemd-timesyncd"


def compare_clocks(source: str, theirs: datetime, before: datetime, after: datetime) -> Finding:
    """Return the finding about the clock of this machine.

    Args:
        source: names the other clock.
        theirs: its time during a request.
        before: our time before the request.
        after: our time after it.
    """
    ours = before + (after - before) / 2
    skew_s = (ours - theirs).total_seconds()
    # Half of the request could have passed on either side of their time.
    certain_s = max(abs(skew_s) - (after - before).total_seconds() / 2, 0.0)
    differs = (
        f"the clock is {significant(abs(skew_s))} s {'ahead of' if skew_s > 0 else 'behind'} that "
        f"of {source}"
    )
    if certain_s < _WARNING_S:
        return Finding(check="clock", state="ok", found=differs)
    why = "Ages of files and claims of runs would be wrong." if certain_s > _FAILED_S else ""
    return Finding(
        check="clock",
        state="failed" if certain_s > _FAILED_S else "warning",
        found=" ".join(filter(None, (f"{differs}.", why, f"{_REMEDY}."))),
    )


def no_clock() -> Finding:
    """Return the finding that there was no other clock."""
    return Finding(check="clock", state="ok", found="not compared, because no server told its time")
