"""Checks run side by side, end in time, and clean up after themselves."""

import threading
import time

import pytest

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.flows import exits
from diamond_cutter.flows.health import findings
from diamond_cutter.flows.health.findings import Check, Finding, Findings, run_checks


def fine(name: str) -> Finding:
    return Finding(check=name, state="ok", found="fine")


def check_fine(stop: threading.Event) -> Findings:
    yield fine("one")
    yield fine("two")


@pytest.fixture(autouse=True)
def quick_cleanup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "_CLEANUP_S", 0.5)
    monkeypatch.setattr(exits, "_at_once", False)


def test_an_error_of_a_check_does_not_hide_the_others() -> None:
    def known(stop: threading.Event) -> Findings:
        yield fine("first")
        raise DiamondCutterError("the disk is full. Free some space.")

    def unknown(stop: threading.Event) -> Findings:
        yield fine("first")
        raise KeyError("x")

    found = run_checks(
        [Check("known", 9, known), Check("unknown", 9, unknown), Check("fine", 9, check_fine)]
    )
    assert [each.check for each in found] == ["first", "known", "first", "unknown", "one", "two"]
    assert [each.state for each in found] == ["ok", "failed", "ok", "failed", "ok", "ok"]
    assert found[1].found == "the disk is full. Free some space."
    assert "KeyError" in found[3].found
    assert "report this as a bug" in found[3].found


def test_a_check_that_hangs_ends_with_a_sentence_and_cleans_up() -> None:
    cleaned = threading.Event()

    def slow(stop: threading.Event) -> Findings:
        try:
            yield fine("first")
            stop.wait()
            yield fine("late")
        finally:
            cleaned.set()

    found = run_checks([Check("slow", 0.1, slow, cleans_up=True), Check("fine", 9, check_fine)])
    assert [(each.check, each.state) for each in found] == [
        ("first", "ok"),
        ("slow", "failed"),
        ("one", "ok"),
        ("two", "ok"),
    ]
    assert "after first because it takes longer than 0.1 s" in found[1].found
    assert cleaned.is_set()
    assert not exits._at_once


def test_a_check_that_cannot_be_stopped_does_not_hold_up_the_end() -> None:
    released = threading.Event()

    def stuck(stop: threading.Event) -> Findings:
        released.wait()
        yield fine("late")

    started = time.monotonic()
    found = run_checks([Check("stuck", 0.1, stuck, cleans_up=True)])
    released.set()
    assert [each.state for each in found] == ["failed"]
    assert time.monotonic() - started < 5
    assert exits._at_once


def test_an_interruption_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned = threading.Event()

    def slow(stop: threading.Event) -> Findings:
        try:
            stop.wait()
            yield fine("late")
        finally:
            cleaned.set()

    def interrupt(self: object) -> list[Finding]:
        raise KeyboardInterrupt

    monkeypatch.setattr(findings._Running, "findings", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_checks([Check("slow", 60, slow, cleans_up=True)])
    assert cleaned.is_set()
