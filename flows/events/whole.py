"""How far a whole command is, and how much time is left, over all of its stages."""

import time
from collections.abc import Callable, Mapping

from diamond_cutter.flows.events.stream import (
    Counted,
    Event,
    Expected,
    StepStarted,
    WorkDone,
    WorkStarted,
)

# A stage that takes longer than expected has at least this share of its time still to go.
_OVERDUE = 0.15
# The rate of a stage counts more, the more of the stage is done. From here on, it counts alone.
_RATE_COUNTS_ALONE_AT = 0.3
# The end is shown when it is there.
_MOST = 0.99


class Whole:
    """Adds up the stages of a command: those that are done, the current one, and those to come.

    A stage begins with work whose unit is its name, or with a step that begins with its name. All
    else is a part of the current stage, as are the steps of work under way.
    """

    def __init__(self, command: str, stages: Mapping[str, float]) -> None:
        """Start the clock.

        Args:
            command: what is run, such as `attribute`.
            stages: the expected seconds of each stage, in order.
        """
        self.command, self._stages, self._names = command, dict(stages), list(stages)
        self._items = dict[str, int]()
        self._is_planned = False
        self._place, self._share = -1, 0.0
        self._started = self._began = time.monotonic()
        self._done = self._total = self._at_work = 0

    def __call__(self, event: Event) -> None:
        """Note an event."""
        match event:
            case Expected(command=command) if command == self.command:
                self._stages |= {
                    name: seconds for name, seconds in event.seconds.items() if name in self._stages
                }
                self._items |= event.items
                self._is_planned = True
            case StepStarted() if not self._at_work:
                self._enter(lambda name: event.step.startswith(name))
            case WorkStarted():
                self._enter(lambda name: event.unit == name)
                self._total += event.total
                self._at_work += 1
            case Counted():
                self._done += event.items
            case WorkDone():
                self._at_work -= 1
                # Failed items are not tried again.
                self._done = self._total

    def _enter(self, begins: Callable[[str], bool]) -> None:
        for place in range(self._place + 1, len(self._names)):
            if begins(self._names[place]):
                self._place, self._began = place, time.monotonic()
                self._done = self._total = 0
                return

    @property
    def seconds(self) -> float:
        """Return the time since the start."""
        return time.monotonic() - self._started

    @property
    def left_s(self) -> float | None:
        """Return the seconds until the end, or None before the work is planned."""
        if not self._is_planned:
            return None
        to_come = self._names[self._place + 1 :]
        return self._current_s() + sum(self._stages[name] for name in to_come)

    @property
    def share(self) -> float | None:
        """Return the share of the command that is done, in [0, 1), or None before it is planned.

        It never falls: if the rest takes longer than expected, it stands still.
        """
        left_s = self.left_s
        if left_s is None:
            return None
        passed_s = self.seconds
        self._share = min(max(self._share, passed_s / max(passed_s + left_s, 1e-9)), _MOST)
        return self._share

    def _current_s(self) -> float:
        """Return the seconds that the current stage still takes."""
        if self._place < 0:
            return 0.0
        name = self._names[self._place]
        passed_s = time.monotonic() - self._began
        expected_s = max(self._stages[name] - passed_s, _OVERDUE * passed_s)
        total = max(self._items.get(name, 0), self._total)
        if not total or not self._done:
            return expected_s
        done = min(self._done / total, 1.0)
        weight = min(done / _RATE_COUNTS_ALONE_AT, 1.0)
        return weight * passed_s * (1 - done) / done + (1 - weight) * expected_s
