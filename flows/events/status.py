"""What a command is doing: the whole of it, its steps, and the work with parts under way."""

from collections.abc import Mapping

from diamond_cutter.flows.cli.tables import printable
from diamond_cutter.flows.events.stream import Detail, Event, StepDone, StepStarted
from diamond_cutter.flows.events.tally import Tally
from diamond_cutter.flows.events.whole import Whole
from diamond_cutter.flows.quantities import passing

# Flows and processes are being started, or records are read.
_BETWEEN = "preparing the next step"


class Status:
    """The status of a command, made of the events that it hears.

    Attributes:
        command: its name, or ''.
        whole: how far it is.
    """

    def __init__(self, command: str, stages: Mapping[str, float]) -> None:
        self.command, self.whole = command, Whole(command, stages)
        self._works: list[Tally] = []
        self._steps: dict[str, str] = {}  # what each step is doing

    def __call__(self, event: Event) -> None:
        """Note an event."""
        self.whole(event)
        match event:
            case StepStarted():
                self._steps[event.step] = ""
            case StepDone():
                self._steps.pop(event.step, None)
            case Detail() if self._steps:
                self._steps[next(reversed(self._steps))] = event.text

    def add(self, work: Tally) -> None:
        """Show work until it is removed."""
        self._works.append(work)

    def remove(self, work: Tally) -> None:
        """Show work no more."""
        self._works.remove(work)

    @property
    def work(self) -> Tally | None:
        """Return the work that was started last, or None."""
        return self._works[-1] if self._works else None

    def steps(self) -> list[str]:
        """Return the steps under way, such as `importing digits: loading TensorFlow`."""
        if not self._steps and not self._works:
            return [_BETWEEN]
        return [
            printable(f"{step}: {detail}" if detail else step).replace("\n", " ")
            for step, detail in list(self._steps.items())
        ]

    def facts(self) -> str:
        """Return how far the command is, such as `41 % after 20 s, about 1 min left`."""
        share, left_s, passed = self.whole.share, self.whole.left_s, passing(self.whole.seconds)
        if share is None or left_s is None:
            return f"after {passed}"
        return f"{share:.0%} after {passed}, about {passing(left_s)} left".replace("%", " %", 1)

    def line(self) -> str:
        """Return the status as one line of text."""
        about = f"{self.command}: {self.facts()}" if self.command else self.facts()
        work, steps = self.work, self.steps()
        if work is None:
            return "; ".join([about, ", ".join(steps)] if steps else [about])
        return f"{about}; {work.line(steps)}"
