"""Copies and downloads say how far they are, also in a pipe."""

import time

import pytest

from diamond_cutter.flows.cli.transfers import counted_files, fetching
from diamond_cutter.flows.events import display


@pytest.fixture(autouse=True)
def every_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "EVERY_S", 0.02)


def test_a_copy_counts_its_files(capsys: pytest.CaptureFixture[str]) -> None:
    with counted_files("cp", "copying") as on_file:
        on_file(1, 4)
        on_file(2, 4)
        time.sleep(0.1)
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("cp: ") and "; 2 of 4 files, " in last and last.endswith(" copying")


def test_a_download_counts_the_bytes_of_each_file(capsys: pytest.CaptureFixture[str]) -> None:
    with fetching("keras/vgg16") as download:
        download("weights.h5", 2_000_000, None)
        time.sleep(0.1)
        assert "fetching keras/vgg16: weights.h5, 2.00 MB\n" in capsys.readouterr().err
        download("a.pb", 1_000_000, 1_000_000)
        download("b.txt", 500_000, 2_000_000)
        time.sleep(0.1)
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("models fetch: ") and "; 500 of 2,000 kB, b.txt, " in last
