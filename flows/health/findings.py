"""What the checks of `doctor` find, and how they run: at the same time, each with a time limit."""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from diamond_cutter.errors import DiamondCutterError, first_line
from diamond_cutter.flows.errors import sentence
from diamond_cutter.flows.exits import leave_at_once
from diamond_cutter.frozen_model import FrozenModel

State = Literal["ok", "warning", "failed"]
Findings = Generator["Finding", None, None]

# A check that is stopped deletes its scratch object within this time.
_CLEANUP_S = 5.0


class Finding(FrozenModel):
    """One finding of a check."""

    check: str
    state: State
    found: str = Field(description="what was found, and what to do if the state is not ok")


@dataclass(frozen=True)
class Check:
    """A check.

    name: of the findings that say that the check cannot run or takes too long.
    limit_s: its time limit.
    run: yields its findings. It gets an event; when that is set, it has to end soon.
    cleans_up: whether it leaves something behind if the process ends without it.
    """

    name: str
    limit_s: float
    run: Callable[[threading.Event], Findings]
    cleans_up: bool = False


def failure(check: str, error: Exception) -> Finding:
    """Return the finding that an error stopped a check."""
    if isinstance(error, DiamondCutterError):
        return Finding(check=check, state="failed", found=sentence(error))
    return Finding(
        check=check,
        state="failed",
        found=f"the check cannot run ({type(error).__name__}: {first_line(error)}). Please report "
        "this as a bug.",
    )


def run_checks(checks: Sequence[Check]) -> list[Finding]:
    """Run all checks at the same time, and return their findings in the order of the checks.

    A check that raises an error, or exceeds its time limit, has a finding that says so.
    """
    running = [_Running(check) for check in checks]
    try:
        return [finding for each in running for finding in each.findings()]
    except BaseException:
        _stop(running)
        raise


class _Running:
    """A check in its own thread, which does not keep the process alive."""

    def __init__(self, check: Check) -> None:
        self.check, self._found = check, list[Finding]()
        self._until = time.monotonic() + check.limit_s
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, name=check.name, daemon=True)
        self.thread.start()

    def findings(self) -> list[Finding]:
        """Wait for the check, at most until its time limit, and return its findings."""
        self.thread.join(max(self._until - time.monotonic(), 0))
        if not self.thread.is_alive():
            return list(self._found)
        found = [*self._found, self._overdue()]
        _stop([self])
        return found

    def _run(self) -> None:
        try:
            with closing(self.check.run(self.stop)) as findings:
                for finding in findings:
                    self._found.append(finding)
                    if self.stop.is_set():
                        return
        except Exception as error:
            self._found.append(failure(self.check.name, error))

    def _overdue(self) -> Finding:
        after = f" after {self._found[-1].check}" if self._found else ""
        return Finding(
            check=self.check.name,
            state="failed",
            found=f"the check was stopped{after} because it takes longer than "
            f"{self.check.limit_s:g} s. Check whether the machine is overloaded, or a disk or the "
            "network hangs.",
        )


def _stop(running: Sequence[_Running]) -> None:
    """Stop checks, and give them time to delete what they have written."""
    for each in running:
        each.stop.set()
    until = time.monotonic() + _CLEANUP_S
    for each in running:
        if each.check.cleans_up:
            each.thread.join(max(until - time.monotonic(), 0))
    if any(each.thread.is_alive() for each in running):
        leave_at_once()  # exit handlers could wait for the thread, too
