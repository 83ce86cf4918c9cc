"""How far the work is, counted from the events of a run."""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from diamond_cutter.flows.cli.tables import printable
from diamond_cutter.flows.events.stream import (
    Counted,
    Event,
    Part,
    PartDone,
    PartFailed,
    PartReturned,
    PartStarted,
    Phase,
    Progressed,
    ShardDone,
    TaskFailed,
)
from diamond_cutter.flows.quantities import passing, significant

Group = tuple[str, str]  # a model and a layer; or '' and the title of a part

# The rate is that of the last minutes, because layers differ.
_RATE_OF_S = 600.0
_SAMPLE_S = 5.0
_NAMED = 3
_WAITING = "waiting for a device"


class Row(NamedTuple):
    """A group of parts, such as a layer, of which some are under way."""

    title: str
    done: int
    total: int
    phase: str


class Tally:
    """Counts the items of the work, such as sprites, and of its groups, such as layers."""

    def __init__(self, unit: str, total: int, groups: Mapping[Group, int] | None = None) -> None:
        """Start to count.

        Args:
            unit: what is counted.
            total: the number of items.
            groups: the number of items of each model and layer; if omitted, each part is a group.
        """
        self.unit, self.total, self._totals = unit, total, dict(groups or {})
        self.done, self.failed, self.title = 0, 0, ""
        self._several = len({model for model, _ in self._totals}) > 1
        self._done_of = Counter[Group]()
        self._counted = Counter[Part]()  # of the parts under way
        self._under_way: dict[Group, dict[str, str]] = {}  # the phase of each part
        self._started = time.monotonic()
        self._samples = deque([(self._started, 0)])

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case PartStarted():
                parts = self._under_way.setdefault(self._group(event.part), {})
                parts[event.part.title] = _WAITING if event.part.kind == "shard" else ""
            case Phase():
                parts = self._under_way.get(self._group(event.part), {})
                if event.part.title in parts:
                    parts[event.part.title] = event.phase
            case Counted(part=Part() as part):
                self._count(event.items)
                group = self._group(part)
                self._done_of[group] += event.items
                self._counted[part] += event.items
                if part.kind != "shard" and part.title in self._under_way.get(group, {}):
                    self._under_way[group][part.title] = ""  # its preparation is over
            case PartDone() | ShardDone() | PartReturned():
                self._end(event.part)
            case PartFailed():
                # What was rendered, but could not be written, is not done.
                self._done_of[self._group(event.part)] -= self._counted[event.part]
                self._count(-self._counted[event.part])
                self.failed += event.part.items
                self._end(event.part)
            case TaskFailed():
                self.failed += 1

    def describe(self, done: int, title: str) -> int:
        """Count items that belong to no part, with a line about them; return how many are new."""
        fresh = min(done, self.total - self.done)
        self._count(fresh)
        self.title = title
        return fresh

    def _count(self, items: int) -> None:
        self.done += items
        now = time.monotonic()
        if now - self._samples[-1][0] >= _SAMPLE_S:
            self._samples.append((now, self.done))
        while len(self._samples) > 2 and now - self._samples[1][0] > _RATE_OF_S:
            self._samples.popleft()

    def _end(self, part: Part) -> None:
        del self._counted[part]
        group = self._group(part)
        parts = self._under_way.get(group, {})
        parts.pop(part.title, None)
        if not parts:
            self._under_way.pop(group, None)

    def _group(self, part: Part) -> Group:
        if part.layer is not None and part.model is not None:
            group = part.model, part.layer
            if group in self._totals:
                return group
        self._totals.setdefault(("", part.title), part.items)
        return "", part.title

    @property
    def per_second(self) -> float | None:
        """Return the number of items a second in the last minutes, None before the first one."""
        then, before = self._samples[0]
        passed = time.monotonic() - then
        return (self.done - before) / passed if self.done > before and passed > 0 else None

    @property
    def left_s(self) -> float | None:
        """Return the seconds that the rest takes at this rate, or None if that is unknown."""
        rate, left = self.per_second, self.total - self.done - self.failed
        return left / rate if rate and left > 0 else None

    def rows(self) -> list[Row]:
        """Return the groups that are under way, in the order in which they were started."""
        return [
            Row(self.titled(*group), self._done_of[group], self._totals[group], _first(parts))
            for group, parts in list(self._under_way.items())
        ]

    def facts(self) -> list[str]:
        """Return the count, the rate and the failures."""
        rate = self.per_second
        facts = [f"{self.done:,} of {self.total:,} {self.unit}", *filter(None, [self.title])]
        facts += [f"{significant(rate)}/s"] if rate else []
        return [*facts, f"{self.failed:,} failed"] if self.failed else facts

    def result(self) -> str:
        """Return what was done as one line of text, with the time that it took."""
        return ", ".join([*self.facts(), f"in {passing(self.seconds)}"])

    def line(self, steps: Sequence[str] = ()) -> str:
        """Return how far the work is as one line of text, with the steps beside it."""
        at_work = [
            f"{row.title} ({', '.join(filter(None, [f'{row.done} of {row.total}', row.phase]))})"
            for row in self.rows()
        ]
        more = len(at_work) - _NAMED
        named = [*at_work[:_NAMED], *([f"{more} more"] if more > 0 else []), *steps]
        about = ", ".join(self.facts())
        return f"{about}; at work on {', '.join(named)}" if named else about

    def event(self) -> Progressed:
        """Return how far the work is as an event."""
        rate, left_s = self.per_second, self.left_s
        return Progressed(
            unit=self.unit,
            total=self.total,
            done=self.done,
            failed=self.failed,
            per_second=None if rate is None else round(rate, 4),
            left_s=None if left_s is None else round(left_s, 1),
            at_work=tuple(row.title for row in self.rows()),
        )

    @property
    def seconds(self) -> float:
        """Return the time since the start."""
        return time.monotonic() - self._started

    def titled(self, model: str, name: str) -> str:
        """Return the name of a layer or part as one printable line, with the model if needed."""
        several = model and self._several
        title = f"{model.partition('@')[0]} {name}" if several else name
        return printable(title).replace("\n", " ")


def _first(parts: dict[str, str]) -> str:
    """Return the phase of the first part that does not wait for a device."""
    phases = list(parts.values())
    return next((phase for phase in phases if phase != _WAITING), _WAITING if phases else "")
