"""Prints the results of commands: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from diamond_cutter.flows.cli.tables import Rows, printable, table
from diamond_cutter.flows.events.console import print_line

_FILE_WIDTH = 100_000


def print_result(data: BaseModel | Sequence[BaseModel], as_json: bool, *parts: str | Rows) -> None:
    """Print a result: as JSON its data, otherwise its lines of text and its tables."""
    if as_json:
        sys.stdout.write(json.dumps(_plain(data), indent=1) + "\n")
        return
    console = Console(soft_wrap=True, highlight=False)
    width = console.width if console.is_terminal else None
    if width is None:
        console.width = _FILE_WIDTH  # lines are not wrapped in a file or a pipe
    for part in parts:
        if isinstance(part, str):
            for line in printable(part).split("\n"):
                print_line(console, Text(line))
        else:
            console.print(table(part, width))


def _plain(data: BaseModel | Sequence[BaseModel]) -> Any:
    return (
        data.model_dump(mode="json")
        if isinstance(data, BaseModel)
        else [item.model_dump(mode="json") for item in data]
    )
