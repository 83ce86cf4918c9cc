"""Prints the results of commands: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from diamond_cutter.flows.cli.tables import Rows, printable, tables

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
        for printed in (
            [Text(printable(part))] if isinstance(part, str) else _with_gaps(tables(part, width))
        ):
            console.print(printed)


def _with_gaps(parts: Sequence[Table]) -> Iterator[Table | str]:
    for index, part in enumerate(parts):
        if index:
            yield ""
        yield part


def _plain(data: BaseModel | Sequence[BaseModel]) -> Any:
    return (
        data.model_dump(mode="json")
        if isinstance(data, BaseModel)
        else [item.model_dump(mode="json") for item in data]
    )
