"""What is said off the terminal while a command works."""

import time
from pathlib import Path

import pytest

from diamond_cutter.flows import progress
from diamond_cutter.flows.cli.main import run


def test_a_line_now_and_then_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0.02)
    with progress.Progress("sprites", 4) as counted:
        part = counted.of_part("stem", 3)
        part(2)
        part(5)  # tried again: three are all that it has
        until = time.monotonic() + 10
        while (
            not capsys.readouterr().err.startswith("3 of 4 sprites, about 0 s left\n")
            and time.monotonic() < until
        ):
            time.sleep(0.01)
        assert time.monotonic() < until
        counted.of_part("head", 1)(1)
    printed = capsys.readouterr()
    assert (printed.out, printed.err.splitlines()[-1]) == ("", "4 of 4 sprites after 0 s")


def test_what_ends_soon_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.doing("importing"), progress.Progress("sprites", 1) as counted:
        counted.of_part("stem", 1)(1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.prefect
def test_plan_says_what_takes_it_so_long(
    imported: tuple[Path, str],
    ready_devices: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0.02)
    options = [
        "--layers",
        "stem",
        "--channels",
        "0:4",
        "--bucket",
        str(imported[0]),
        "--recipe.size-px",
        "32",
    ]
    assert run(["plan", "efficientnet-lite0", *options, "--json"]) == 0
    printed = capsys.readouterr()
    assert (
        printed.out.startswith("{")
        and "measuring some steps on 1 of 1 layers, for 0 s so far\n" in printed.err
    )
