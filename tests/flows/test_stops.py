"""The first stop signal lets tasks in flight finish, and a second one stops the run at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from diamond_cutter.flows import stops, task_futures
from diamond_cutter.flows.exits import Stopped
from diamond_cutter.flows.stops import Stop, fresh_stop, handling, terminable
from diamond_cutter.flows.task_futures import FutureQueue
from diamond_cutter.tasks.devices import SlotsClosed
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("signals_restored")

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
GRACE_S = 25.0


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Task:
    """A task that ends when its test says so."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.state = self

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        self.callback = callback

    def end(self, error: Exception | None = None) -> None:
        self.error = error
        self.callback(self)

    def wait(self) -> None:
        pass

    def is_failed(self) -> bool:
        return self.error is not None

    def result(self, *, raise_on_failure: bool) -> Exception | None:
        return self.error


class Loop:
    """A loop over six jobs, at most two at a time; before each wait, an event happens."""

    def __init__(self, *events: Callable[[], object]) -> None:
        self.tasks, self.ended, self.events = dict[str, Task](), list[str](), list(events)
        self.queue = FutureQueue[str](
            "abcdef", self.start, lambda: 2, self.next_event, done=self.done
        )

    def start(self, job: str) -> Any:
        self.tasks[job] = Task()
        return self.tasks[job]

    def next_event(self) -> None:
        if self.events:
            self.events.pop(0)()

    def done(self) -> str:
        return f"{len(self.ended)} of 6 letters"

    def run(self) -> None:
        for job, _ in self.queue:
            self.ended.append(job)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_futures, "_ASK_AGAIN_S", 0.01)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """Return the time limits that are set for the end of the process, instead of setting them."""
    found = list[tuple[float, int]]()
    monkeypatch.setattr(stops, "leave_within", lambda *limit: found.append(limit))
    return found


@pytest.fixture
def stop() -> Iterator[Stop]:
    """Return a state of signals, while this process handles them like a command in a flow."""
    with fresh_stop() as stop, terminable(), handling((TERM, INT)):
        yield stop


@pytest.mark.parametrize(
    ("signals", "deferred", "limit"),
    [
        ([TERM], [True], None),
        ([INT], [True], None),
        ([HUP], [False], 129),
        ([TERM, TERM], [True, False], 143),
        ([INT, INT], [True, False], 130),
        ([TERM, INT], [True, False], 130),
        ([TERM, HUP], [True, False], 129),
        ([INT, TERM], [True, True], None),
        ([INT, TERM, TERM], [True, True, False], 143),
    ],
)
def test_the_first_signal_is_deferred(
    signals: list[int], deferred: list[bool], limit: int | None, limits: list[tuple[float, int]]
) -> None:
    clock = Clock()
    stop = Stop(clock)
    held = stop.held(str)
    held.__enter__()
    for number, expected in zip(signals, deferred, strict=True):
        clock.now += 1
        assert stop.defers(number) is expected
    assert [code for _, code in limits] == ([] if limit is None else [limit])


def test_one_signal_that_is_sent_twice_counts_once(limits: list[tuple[float, int]]) -> None:
    """`timeout` sends its signal to a command, and then to all processes of the group."""
    clock = Clock()
    stop = Stop(clock)
    held = stop.held(str)
    held.__enter__()
    for _ in range(2):
        clock.now += 0.01
        assert stop.defers(TERM)
    assert limits == []


def test_the_grace_time_begins_with_the_signal() -> None:
    clock = Clock()
    stop = Stop(clock)
    held = stop.held(str)
    held.__enter__()
    clock.now += 1000
    assert not stop.is_over
    stop.defers(TERM)
    clock.now += GRACE_S - 1
    assert stop.is_requested and not stop.is_over
    clock.now += 1
    assert stop.is_over


def test_a_signal_outside_a_loop_stops_at_once(stop: Stop, limits: list[tuple[float, int]]) -> None:
    with pytest.raises(Stopped, match="SIGTERM"):
        signal.raise_signal(TERM)
    signal.raise_signal(INT)  # the run is being stopped already
    assert [code for _, code in limits] == [130]


def test_tasks_in_flight_finish_and_no_others_start(
    stop: Stop, capsys: pytest.CaptureFixture[str]
) -> None:
    admitted = list[bool]()
    stop.admit_with(lambda *, more: admitted.append(more))
    loop = Loop(
        lambda: loop.tasks["a"].end(),
        lambda: signal.raise_signal(TERM),
        lambda: loop.tasks["c"].end(SlotsClosed("it had no device yet")),
        lambda: loop.tasks["b"].end(),
    )
    with pytest.raises(Stopped, match="SIGTERM"):
        loop.run()
    assert (loop.ended, list(loop.tasks), admitted) == (["a", "b"], ["a", "b", "c"], [False])
    assert stop.done == "2 of 6 letters"
    assert (
        capsys.readouterr().err
        == "finishing the tasks in flight, for at most 25 s; send SIGTERM again to stop now\n"
    )


def test_tasks_are_dropped_when_their_grace_time_is_over(stop: Stop) -> None:
    stop.grace_s = 0
    loop = Loop(lambda: loop.tasks["a"].end(), lambda: signal.raise_signal(INT))
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert (loop.ended, list(loop.tasks)) == (["a"], ["a", "b", "c"])


def test_a_second_signal_drops_tasks_at_once(stop: Stop, limits: list[tuple[float, int]]) -> None:
    stop._clock = clock = Clock()

    def second() -> None:
        clock.now += 1
        signal.raise_signal(TERM)

    loop = Loop(lambda: signal.raise_signal(TERM), second, lambda: loop.tasks["a"].end())
    with pytest.raises(Stopped, match="SIGTERM"):
        loop.run()
    assert loop.ended == [] and [code for _, code in limits] == [143]


def test_a_signal_at_the_end_of_a_loop_counts_after_it(stop: Stop) -> None:
    loop = Loop(*(lambda job=job: loop.tasks[job].end() for job in "abcde"), lambda: end_last())

    def end_last() -> None:
        signal.raise_signal(TERM)
        loop.tasks["f"].end()

    with pytest.raises(Stopped, match="SIGTERM"):
        loop.run()
    assert loop.ended == list("abcdef") and stop.done == "6 of 6 letters"


def test_nothing_starts_after_the_budget(stop: Stop) -> None:
    admitted = list[bool]()
    stop.admit_with(lambda *, more: admitted.append(more))
    loop = Loop(
        lambda: loop.tasks["a"].end(),
        lambda: loop.tasks["c"].end(SlotsClosed("it had no device yet")),
        lambda: loop.tasks["b"].end(),
    )
    loop.queue._may_start = lambda: "c" not in loop.tasks
    loop.run()
    assert (loop.ended, list(loop.tasks)) == (["a", "b"], ["a", "b", "c"])
    assert admitted == [False, True]


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(INT, signal.SIG_IGN)
    try:
        with handling((INT,)):
            signal.raise_signal(INT)
    finally:
        signal.signal(INT, before)


class Dropped:
    """An object that sends a signal while it is deleted, where Python ignores exceptions."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("nested", [False, True])
def test_a_signal_whose_exception_python_ignores_is_sent_again(
    stop: Stop, limits: list[tuple[float, int]], number: int, nested: bool
) -> None:
    def raise_stopped(number: int) -> None:
        raise Stopped(number)

    numbers, dropped = (signal.SIGTERM, signal.SIGINT), [Dropped(number)]
    with (
        pytest.raises(Stopped) as stopped,
        handling(numbers, raise_stopped),
        handling(numbers) if nested else nullcontext(),
    ):
        dropped.clear()
        wait_for(lambda: False)
    assert stopped.value.number == number and limits == []


def test_a_signal_that_is_sent_again_is_deferred_by_a_loop_that_has_begun(stop: Stop) -> None:
    dropped = [Dropped(signal.SIGTERM)]
    with pytest.raises(Stopped), handling((signal.SIGTERM,)):
        dropped.clear()
        with stop.held(str):
            wait_for(lambda: stop.is_requested)
            assert not stop.is_over


def test_what_else_python_ignores_is_reported_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(stops, "_report", reported.append)

    class Broken:
        def __del__(self) -> None:
            raise ValueError("no signal")

    broken = [Broken()]
    broken.clear()
    assert [type(found.exc_value) for found in reported] == [ValueError]
