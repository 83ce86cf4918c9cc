"""Reads the names of classes from a file: text, JSON or CSV."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diamond_cutter.model_inventory.card import ClassLabel
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.regular_files import read_regular

_MOST_BYTES = 10_000_000
# `0 Cat`, as Teachable Machine writes it, or `0: Cat`.
_NUMBERED = re.compile(r"(\d{1,7})(?:\s*[:;,.\t]\s*|\s+)(\S.*)")
_NAMES = ("name", "label", "class_name", "class", "names", "labels", "title")
_NUMBERS = ("index", "id", "class_index", "number", "class_id", "idx", "label_id")
_KINDS = (
    "Give one class on each line, a JSON list or a JSON object of names and numbers, or a CSV file "
    "with the columns index and name."
)
_TABLES = {".csv": ",", ".tsv": "\t"}


def read_labels(path: Path) -> tuple[ClassLabel, ...]:
    """Read the names of classes, in the order of the logits.

    A text file has a class on each line, also with its number before it, counted from 0. JSON is a
    list of names, or an object of numbers and names in either order; the object may be the value of
    `id2label`. A CSV file has a column of names and possibly one of numbers.

    Raises:
        BadModel: the file is unreadable, too large, not text, or has no such labels; names the
            line.
    """
    try:
        text = read_regular(path, _MOST_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or error
        raise BadModel(f"the labels {path} cannot be read ({reason}). {_KINDS}") from error
    if not text.strip():
        raise BadModel(f"the labels {path} are empty: expected at least one class. {_KINDS}")
    try:
        return _labels(path, text)
    except _Unreadable as error:
        raise BadModel(f"the labels {path} cannot be read: {error}. {_KINDS}") from error


class _Unreadable(ValueError):
    """A part of the file is not a label; the text says where."""


def _labels(path: Path, text: str) -> tuple[ClassLabel, ...]:
    suffix = path.suffix.casefold()
    if suffix == ".json" or re.match(r"\s*(\[\s*[\[\]\"]|\{\s*[\}\"])", text):
        return _from_json(text)
    if suffix in _TABLES:
        return _from_table(text, _TABLES[suffix])
    return _from_lines(text.splitlines())


def _from_lines(lines: Sequence[str]) -> tuple[ClassLabel, ...]:
    """Return the classes of the lines that are not blank, without numbers before them."""
    named = [(place, line.strip()) for place, line in enumerate(lines, 1) if line.strip()]
    parts = [_NUMBERED.fullmatch(line) for _place, line in named]
    # Names may begin with numbers of their own, such as `10 euros`, but hardly with 0 and 1.
    if [part[1] if part else "" for part in parts[:2]] != ["0", "1"]:
        return tuple(ClassLabel(name=line) for _place, line in named)
    for number, ((place, line), part) in enumerate(zip(named, parts, strict=True)):
        if part is None or int(part[1]) != number:
            raise _Unreadable(
                f"line {place} is not numbered like the first: expected {number}, found "
                f"{line[:40]!r}"
            )
    return tuple(ClassLabel(name=part[2].strip()) for part in parts if part)


def _from_json(text: str) -> tuple[ClassLabel, ...]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise _Unreadable(f"line {line} is not valid JSON") from error
    if isinstance(content, dict) and isinstance(content.get("id2label"), dict):
        content = content["id2label"]
    if isinstance(content, dict):
        content = _in_order(_numbered(content))
    if not isinstance(content, list) or not content:
        raise _Unreadable("the JSON has no list of names")
    return tuple(_json_label(number, entry) for number, entry in enumerate(content))


def _numbered(content: Mapping[str, Any]) -> list[tuple[int, Any]]:
    """Return the numbers and names of `{"0": "cat"}` or `{"cat": 0}`."""
    if all(key.isdecimal() for key in content):
        return [(int(key), name) for key, name in content.items()]
    for name, number in content.items():
        if not isinstance(number, int) or isinstance(number, bool):
            raise _Unreadable(
                f"the entry {name[:40]!r} has no number: expected an object such as "
                '{"0": "cat"} or {"cat": 0}'
            )
    return [(number, name) for name, number in content.items()]


def _in_order(entries: Sequence[tuple[int, Any]]) -> list[Any]:
    """Return the names by number.

    Raises:
        _Unreadable: the numbers are not 0, 1, 2 and so on.
    """
    ordered = sorted(entries, key=lambda entry: entry[0])
    for expected, (number, name) in enumerate(ordered):
        if number != expected:
            raise _Unreadable(
                f"the classes are not numbered from 0 without gaps: expected {expected}, found "
                f"{number} for {str(name)[:40]!r}"
            )
    return [name for _number, name in ordered]


def _json_label(number: int, entry: Any) -> ClassLabel:
    # Keras lists the classes of ImageNet as `["n01440764", "tench"]`.
    if isinstance(entry, list) and len(entry) == 2 and all(isinstance(each, str) for each in entry):
        return ClassLabel(name=entry[1], wnid=entry[0])
    if not isinstance(entry, str) or not entry.strip():
        raise _Unreadable(f"class {number} is not a name: found {json.dumps(entry)[:40]}")
    return ClassLabel(name=entry.strip())


def _from_table(text: str, delimiter: str) -> tuple[ClassLabel, ...]:
    try:
        reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise _Unreadable(f"line {text.count(chr(10)) + 1} is not valid CSV ({error})") from error
    head = [cell.strip().casefold() for cell in rows[0][1]]
    name = next((head.index(known) for known in _NAMES if known in head), None)
    number = next((head.index(known) for known in _NUMBERS if known in head), None)
    if name is not None:
        rows = rows[1:]
    else:
        name, number = _columns(rows[0][1])
    entries = [_row(line, row, name, number, place) for place, (line, row) in enumerate(rows)]
    return tuple(ClassLabel(name=str(each)) for each in _in_order(entries))


def _columns(first: Sequence[str]) -> tuple[int, int | None]:
    """Return the columns of names and of numbers of a table without a head, by its first row."""
    if len(first) == 1:
        return 0, None
    numbers = [place for place, cell in enumerate(first) if cell.strip().isdecimal()]
    if len(first) == 2 and len(numbers) == 1:
        return 1 - numbers[0], numbers[0]
    raise _Unreadable(
        f"line 1 does not say which column holds the names: expected one of "
        f"{', '.join(_NAMES[:4])}, found {', '.join(first)[:60]!r}"
    )


def _row(
    line: int, row: Sequence[str], name: int, number: int | None, place: int
) -> tuple[int, str]:
    cells = [cell.strip() for cell in row]
    if len(cells) <= max(name, number or 0) or not cells[name]:
        raise _Unreadable(f"line {line} has no name")
    if number is not None and not cells[number].isdecimal():
        raise _Unreadable(
            f"line {line} has no number: expected a whole number, found {cells[number][:40]!r}"
        )
    return place if number is None else int(cells[number]), cells[name]
