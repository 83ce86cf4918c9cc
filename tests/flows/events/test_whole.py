"""The share of a command that is done never falls, and the time that is left is believable."""

import re
import time
from pathlib import Path

import pytest

from diamond_cutter import flows
from diamond_cutter.flows.events.stages import STAGES
from diamond_cutter.flows.events.stream import Counted, Expected, StepStarted, WorkDone, WorkStarted
from diamond_cutter.flows.events.whole import Whole


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list whose only item is the time."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_nothing_is_promised_before_the_work_is_planned(clock: list[float]) -> None:
    whole = Whole("sprites", {"starting": 5.0, "sprites": 60.0})
    whole(StepStarted(step="starting a Prefect server"))
    clock[0] += 3
    assert (whole.seconds, whole.left_s, whole.share) == (3.0, None, None)
    whole(Expected(command="attribute", seconds={"sprites": 7.0}))
    assert whole.share is None
    whole(Expected(command="sprites", seconds={"sprites": 7.0, "unknown": 1000.0}))
    assert (whole.left_s, whole.share) == (2.0 + 7.0, 0.25)


def test_what_is_measured_replaces_what_was_expected(clock: list[float]) -> None:
    whole = Whole("cut", {"layers scored": 10.0, "report": 10.0})
    whole(Expected(command="cut", seconds={}))
    whole(WorkStarted(unit="layers scored", total=20))
    shares = []
    for _ in range(20):  # five times slower than expected
        clock[0] += 2.5
        whole(Counted(part=None, items=1))
        shares.append(whole.share)
    assert shares == sorted(shares)
    assert shares[9] == pytest.approx(25 / (25 + 25 + 10))
    whole(WorkDone(unit="layers scored", total=20, done=20, failed=0, seconds=50.0))
    whole(StepStarted(step="report is published"))
    assert whole.left_s == 10.0
    clock[0] += 100  # longer than expected, and not over yet
    assert whole.left_s == pytest.approx(15.0)


def test_several_pieces_of_work_are_one_stage(clock: list[float]) -> None:
    whole = Whole("attribute", {"images": 10.0, "sprites": 100.0, "publishing": 4.0})
    whole(Expected(command="attribute", seconds={"sprites": 100.0}, items={"sprites": 40}))
    for _ in range(2):
        whole(WorkStarted(unit="sprites", total=20))
        # A step of this work, and of no stage of its own.
        whole(StepStarted(step="publishing the index"))
        whole(StepStarted(step="images"))
        clock[0] += 30
        whole(Counted(part=None, items=18))
        whole(WorkDone(unit="sprites", total=20, done=18, failed=2, seconds=30.0))
    assert whole.left_s == pytest.approx(4.0)


@pytest.mark.parametrize("command", STAGES)
def test_each_stage_is_named_after_a_step_or_a_unit(command: str) -> None:
    sources = [file.read_text() for file in Path(flows.__path__[0]).rglob("*.py")]
    for name in STAGES[command]:
        begun = re.compile(rf"""(doing|Progress)\(\s*f?"{re.escape(name)}""")
        assert any(begun.search(source) for source in sources), name
