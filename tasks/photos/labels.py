"""Read labels.csv, a table of labels beside the images, and match it with the images."""

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from diamond_cutter.tasks.photos.image_set import (
    LABELS_FILE,
    BadImage,
    BadPhotos,
    Split,
    printable,
)

_FILES = ("file", "path", "image", "filename")
_LABELS = ("label", "class", "group")
_INDICES = ("class_index", "imagenet_index")
_FOLDERS = ("group", "class", "label")
_SPLIT = "split"
# Validation images are for whoever trains, so they count as training images.
SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "train",
    "valid": "train",
    "validation": "train",
    "test": "test",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of labels.csv; the file may be relative to one of `folders`."""

    line: int
    file: str
    folders: tuple[str, ...]
    label: str | None
    class_index: int | None
    split: Split | None = None


def read_labels(content: bytes, place: str) -> list[Row]:
    """Return the rows of a labels.csv; `place` is the folder, for errors.

    Raises:
        BadPhotos: the file is not valid CSV, lacks a column, or has a cell that is not valid.
    """
    try:
        return list(_rows(content.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise _bad(place, "is not valid UTF-8. Save it as UTF-8.") from error
    except csv.Error as error:
        raise _bad(
            place, f"is not valid CSV: expected cells separated by commas ({error}). Correct it."
        ) from error
    except ValueError as error:
        raise _bad(place, str(error)) from error


def match_labels(
    rows: Iterable[Row], names: Sequence[str], refused: Iterable[str], place: str
) -> tuple[dict[str, Row], list[BadImage]]:
    """Return the rows of labels.csv by image name, and the rows that name no image.

    Args:
        rows: the rows of labels.csv.
        names: the names of the images.
        refused: the names of skipped files; rows that name them are ignored.
        place: the folder, for errors.

    Raises:
        BadPhotos: two rows of one image differ.
    """
    skipped, index = set(refused), _NameIndex(names)
    matched, unknown = dict[str, Row](), list[BadImage]()
    for row in rows:
        found = index.images_of(row)
        if len(found) == 1:
            before = matched.setdefault(found[0], row)
            if (before.label, before.class_index) != (row.label, row.class_index):
                raise _twice(place, "labels", found[0], before, row)
            if before.split != row.split:
                raise _twice(place, "splits", found[0], before, row)
        elif found or skipped.isdisjoint(_paths(row)):
            unknown.append(BadImage(row.file, _why_unmatched(row, len(found))))
    return matched, unknown


def _why_unmatched(row: Row, images: int) -> str:
    where = f"line {row.line} of {LABELS_FILE} names it"
    if images:
        return f"{where}, but {images} images have this name. Write the path below the folder"
    return f"{where}, but the image does not exist"


def _columns(header: Sequence[str]) -> tuple[str, str, str | None]:
    """Return the names of the columns of files, labels and class numbers."""
    file, label, index = (
        next((name for name in wanted if name in header), None)
        for wanted in (_FILES, _LABELS, _INDICES)
    )
    if file is None or label is None:
        lacking = (
            f"files ({', '.join(_FILES)})" if file is None else f"labels ({', '.join(_LABELS)})"
        )
        raise ValueError(f"has no column of {lacking}. Start it with a line such as file,label.")
    return file, label, index


def _rows(text: str) -> Iterator[Row]:
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = [cell.strip().lower() for cell in next((cells for cells in table if any(cells)), [])]
    file, label, index = _columns(header)
    for cells in table:
        line = table.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise ValueError(
                f"has a line of the wrong length: expected {len(header)} cells as in the first "
                f"line, found {len(cells)} in line {line}. Correct it."
            )
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        if not row[file]:
            raise ValueError(f"names no file in line {line}. Add the name, or delete the line.")
        number = row[index] if index else ""
        if number and not re.fullmatch("[0-9]{1,9}", number):
            raise ValueError(
                f"has an invalid {index}: expected a whole number, found {number[:40]!r} in line "
                f"{line}. Correct it."
            )
        # Not stripped, because a file's name may end with a space.
        named = cells[header.index(file)]
        folders = tuple(row[name] for name in _FOLDERS if row.get(name))
        yield Row(
            line,
            named,
            folders,
            row[label] or None,
            int(number) if number else None,
            _split(row.get(_SPLIT, ""), line),
        )


def _split(cell: str, line: int) -> Split | None:
    if cell and cell.lower() not in SPLITS:
        raise ValueError(
            f"has an invalid {_SPLIT}: expected one of {', '.join(SPLITS)}, found {cell[:40]!r} in "
            f"line {line}. Correct it."
        )
    return SPLITS[cell.lower()] if cell else None


class _NameIndex:
    """Finds images by path or by file name, in any Unicode spelling."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_path = defaultdict[str, list[str]](list)
        self._by_file_name = defaultdict[str, list[str]](list)
        for name in names:
            self._by_path[_normalized(name)].append(name)
            self._by_file_name[_normalized(name.rpartition("/")[2])].append(name)

    def images_of(self, row: Row) -> list[str]:
        """Return the images that a row may mean: by path, by path in a folder, or by file name."""
        for path in _paths(row):
            found = self._by_path.get(_normalized(path))
            if found:
                return [path] if path in found else found
        return self._by_file_name.get(_normalized(row.file.strip()), [])


def _paths(row: Row) -> list[str]:
    """Return the paths that a row may mean, the likeliest first; Windows writes backslashes."""
    spellings = dict.fromkeys((row.file, row.file.strip(), row.file.strip().replace("\\", "/")))
    paths = [path.removeprefix("./") for path in spellings]
    return [*paths, *(f"{folder}/{path}" for folder in row.folders for path in paths)]


def _normalized(name: str) -> str:
    """Return a name in Unicode's NFC form, because macOS stores names in another form."""
    return unicodedata.normalize("NFC", name)


def _twice(place: str, what: str, name: str, before: Row, row: Row) -> BadPhotos:
    return _bad(
        place,
        f"has two {what} for {name!r}, in lines {before.line} and {row.line}. Delete one of these "
        "lines.",
    )


def _bad(place: str, what: str) -> BadPhotos:
    return BadPhotos(f"{LABELS_FILE} in {printable(place)} {what}")
