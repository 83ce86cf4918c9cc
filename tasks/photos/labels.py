"""What the images are of, as a table beside them says: labels.csv."""

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from diamond_cutter.tasks.photos.image_set import LABELS_FILE, BadImage, BadPhotos, printable

_FILES = ("file", "path", "image", "filename")
_LABELS = ("label", "class", "group")
_INDICES = ("class_index", "imagenet_index")
_FOLDERS = ("group", "class", "label")


@dataclass(frozen=True, slots=True)
class Row:
    """What one line says of one file; `folders` are those that the file may be relative to."""

    line: int
    file: str
    folders: tuple[str, ...]
    label: str | None
    class_index: int | None


def read_labels(content: bytes, place: str) -> list[Row]:
    """Return what the lines of a labels.csv say; `place` is the folder's, for errors.

    Raises:
        BadPhotos: it is no table with commas, or lacks a column, or a cell cannot be read.
    """
    try:
        return list(_rows(content.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise _bad(place, "is no UTF-8 text; save it as UTF-8") from error
    except csv.Error as error:
        raise _bad(
            place, f"is no table with commas between its cells ({error}); correct it"
        ) from error
    except ValueError as error:
        raise _bad(place, str(error)) from error


def match_labels(
    rows: Iterable[Row], names: Sequence[str], refused: Iterable[str], place: str
) -> tuple[dict[str, Row], list[BadImage]]:
    """Return by image what labels.csv says of it, and the lines that name no image.

    Args:
        rows: what it says.
        names: the images' names.
        refused: names of files that are none; lines that name these are left out.
        place: the folder's, for errors.

    Raises:
        BadPhotos: two lines contradict each other.
    """
    known, by_name, by_end = (
        set(refused),
        defaultdict[str, list[str]](list),
        defaultdict[str, list[str]](list),
    )
    for name in names:
        by_name[_spelled(name)].append(name)
        by_end[_spelled(name.rpartition("/")[2])].append(name)
    said, unknown = dict[str, Row](), list[BadImage]()
    for row in rows:
        found = _images_of(row, by_name, by_end)
        if len(found) == 1:
            before = said.setdefault(found[0], row)
            if (before.label, before.class_index) != (row.label, row.class_index):
                raise _bad(
                    place,
                    f"says two things of {found[0]!r}, in lines {before.line} and {row.line}; "
                    "leave one of them",
                )
        elif found:
            reason = (
                f"{LABELS_FILE} names it in line {row.line}, but {len(found)} images have "
                "that name; write the path below the folder"
            )
            unknown.append(BadImage(row.file, reason))
        elif known.isdisjoint(_paths(row)):
            unknown.append(
                BadImage(
                    row.file,
                    f"{LABELS_FILE} names it in line {row.line}, but there is no such image",
                )
            )
    return said, unknown


def _rows(text: str) -> Iterator[Row]:
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = [cell.strip().lower() for cell in next((cells for cells in table if any(cells)), [])]
    file, label, index = (
        next((name for name in wanted if name in header), None)
        for wanted in (_FILES, _LABELS, _INDICES)
    )
    if file is None or label is None:
        lacking = (
            f"files ({', '.join(_FILES)})" if file is None else f"labels ({', '.join(_LABELS)})"
        )
        raise ValueError(f"has no column of {lacking}; begin it with a line such as file,label")
    for cells in table:
        line = table.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise ValueError(
                f"has {len(cells)} cells in line {line} where its first line has {len(header)}; "
                "correct it"
            )
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        if not row[file]:
            raise ValueError(f"names no file in line {line}; add its name, or take the line out")
        number = row[index] if index else ""
        if number and not re.fullmatch("[0-9]{1,9}", number):
            raise ValueError(
                f"has {number[:40]!r} as {index} in line {line} where a whole number is expected; "
                "correct it"
            )
        # The cell as it is, not stripped: a file's name may end in a space.
        named = cells[header.index(file)]
        folders = tuple(row[name] for name in _FOLDERS if row.get(name))
        yield Row(line, named, folders, row[label] or None, int(number) if number else None)


def _images_of(row: Row, by_name: dict[str, list[str]], by_end: dict[str, list[str]]) -> list[str]:
    """Return the images that a line may mean: of that path, or of that path in its group's folder,
    or else of that name anywhere.
    """
    for path in _paths(row):
        found = by_name.get(_spelled(path))
        if found:
            return [path] if path in found else found
    found = by_end.get(_spelled(row.file.strip()), [])
    return found


def _paths(row: Row) -> list[str]:
    """Return the paths that a line may mean, the likeliest first; Windows writes them with
    backslashes.
    """
    spellings = dict.fromkeys((row.file, row.file.strip(), row.file.strip().replace("\\", "/")))
    paths = [path.removeprefix("./") for path in spellings]
    return [*paths, *(f"{folder}/{path}" for folder in row.folders for path in paths)]


def _spelled(name: str) -> str:
    """Return a name in the one of Unicode's spellings that most programs write; macOS has another
    for its files.
    """
    return unicodedata.normalize("NFC", name)


def _bad(place: str, what: str) -> BadPhotos:
    return BadPhotos(f"{LABELS_FILE} in {printable(place)} {what}")
