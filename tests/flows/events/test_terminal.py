"""A terminal is left as it was: no half of a bar stays, and the cursor is there."""

import io
import os
import pty
import re
import signal
import subprocess
import sys

import pytest
from rich.console import Console
from rich.text import Text

from diamond_cutter.flows.events.console import print_line
from tests.waiting import AT_MOST_S

_RUN = """
import sys
from diamond_cutter.flows.errors import print_error
from diamond_cutter.flows.events.display import shown
from diamond_cutter.flows.events.progress import Progress, doing, say
from diamond_cutter.flows.exits import leave, leave_at_once
with shown("sprites"):
    with doing("importing"), Progress("sprites", 32) as progress:
        part = progress.of_part("stem", 32)
        part(8)
        say("first picture")
        print_error("a device is lost")
        {end}
"""


def _printed(end: str, **environment: str) -> tuple[int, str]:
    """Return the exit code of a run on a terminal, and what it has printed there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN.format(end=end)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "60", "LINES": "20", **environment},
    )
    os.close(theirs)
    printed = b""
    with open(ours, "rb", buffering=0) as terminal:
        try:
            while chunk := terminal.read(65536):
                printed += chunk
        except OSError:  # the end of a terminal on Linux
            pass
    return process.wait(AT_MOST_S), printed.decode()


def _screen(printed: str) -> list[str]:
    """Return the lines on the terminal, from the few control codes that bars need."""
    lines, row = [""], 0
    for part in re.split(r"(\x1b\[[0-9;?]*[a-zA-Z]|\r\n|\r|\n)", printed):
        if part in ("\r\n", "\n"):
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\x1b[1A":
            row -= 1
        elif part in ("\x1b[2K", "\r"):
            lines[row] = "" if part == "\x1b[2K" else lines[row]
        elif not part.startswith("\x1b"):
            lines[row] += part
    return [line.rstrip() for line in lines if line.strip()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "code"),
    [("pass", 0), ("raise KeyboardInterrupt", -signal.SIGINT), ("leave_at_once(); leave(3)", 3)],
)
def test_the_end_of_a_run_leaves_no_bars_and_a_cursor(end: str, code: int) -> None:
    returned, printed = _printed(end)
    hidden, shown = printed.rfind("\x1b[?25l"), printed.rfind("\x1b[?25h")
    assert (returned, 0 <= hidden < shown) == (code, True)
    screen = _screen(printed)
    assert screen[:2] == ["first picture", "diamond-cutter: a device is lost"]
    if code != 3:  # leaving at once erases nothing
        assert not any("━" in line for line in screen)
        assert screen[2].startswith("8 of 32 sprites")


@pytest.mark.slow
def test_a_dumb_terminal_gets_lines_without_control_codes() -> None:
    returned, printed = _printed("pass", TERM="dumb")
    assert (returned, "\x1b" in printed) == (0, False)
    assert printed.splitlines() == ["first picture", "diamond-cutter: a device is lost"]


def test_urls_and_commands_are_not_broken() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=20)
    for line in (
        "one two three four five",
        "see file:///a/long/place/of/a/picture",
        "run: diamond-cutter browse --bucket b",
    ):
        print_line(console, Text(line))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert [line.rstrip() for line in printed.splitlines()] == [
        "one two three four",
        "five",
        "see file:///a/long/place/of/a/picture",
        "run: diamond-cutter browse --bucket b",
    ]
