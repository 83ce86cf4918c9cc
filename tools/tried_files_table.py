"""The records of `tools.tried_files`, and the tables of docs/models.md that show them."""

import json
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from diamond_cutter.frozen_model import FrozenModel

RECORDS = Path(__file__).with_name("tried_files.json")
_HEAD = """
## Files

Each of these files was made by the named library, imported, and compared with that library on one
noise image (`uv run python -m tools.tried_files`). A cell shows the greatest difference of the
logits, relative to the greatest logit; 0 means equal in all digits. For *one linear unit* the
values were compared, and for *no head* the activations of the last layer. *Sprite* names a layer
that was rendered, of the network with the softmax.

ONNX files were written node by node, in the layouts of PyTorch's and tf2onnx's exports, and
compared with onnxruntime. Files of *TensorFlow 1* were written by its interface in TensorFlow 2.

"""
_SPECIAL = """
These files have a property that others of their format do not have.

"""
_REFUSED = """
These files are refused. The table shows the first sentence of the error; the rest says what to do.
Files *by hand* have only the first bytes of such files, or the names in such archives and folders.

"""


class TriedFile(FrozenModel):
    """What happened when a file was imported.

    file: its format, or its name if it was refused as expected.
    writer: the library that wrote it.
    head: the kind of its output.
    special: a property that other files of its format do not have.
    refusal: the first sentence of the error, without the name of the file.
    compared: `logits`, `values` or `activations`.
    difference: the greatest one from the writer's output, relative to its greatest absolute value.
    sprite: the layer of which a sprite was rendered.
    """

    file: str
    writer: str
    head: str = ""
    special: str = ""
    refusal: str | None = None
    compared: str | None = None
    difference: float | None = None
    sprite: str | None = None


class TriedFiles(FrozenModel):
    """The records of a run.

    versions: of the libraries that wrote the files, by name.
    """

    versions: dict[str, str]
    files: tuple[TriedFile, ...]


def write_records(tried: TriedFiles) -> None:
    """Write the records, one on each line."""
    files = ",\n".join(record.model_dump_json(exclude_defaults=True) for record in tried.files)
    versions = json.dumps(tried.versions)
    RECORDS.write_text(f'{{"versions": {versions},\n"files": [\n{files}\n]}}\n', "utf-8")


def read_records() -> TriedFiles:
    """Read the records of the last run."""
    return TriedFiles.model_validate_json(RECORDS.read_bytes())


def files_section() -> str:
    """Return the section of docs/models.md about files."""
    tried = read_records()
    headed = [record for record in tried.files if record.head and not record.special]
    special = [record for record in tried.files if record.special]
    refused = [record for record in tried.files if not record.head]
    versions = ", ".join(f"{name} {version}" for name, version in tried.versions.items())
    return (
        _HEAD
        + textwrap.fill(f"The libraries were {versions}. Older versions were not run here.", 100)
        + "\n\n"
        + _by_head(headed)
        + _SPECIAL
        + _table(
            ("file", "writer", "property", "head", "difference", "sprite"),
            [
                (each.file, each.writer, each.special, each.head, _outcome(each), _sprite([each]))
                for each in special
            ],
        )
        + _REFUSED
        + _table(
            ("file", "writer", "error"),
            [(each.file, each.writer, _outcome(each)) for each in refused],
        )
    )


def _by_head(records: Sequence[TriedFile]) -> str:
    """Return a table with a row for each format and writer, and a column for each head."""
    heads = tuple(dict.fromkeys(record.head for record in records))
    rows: dict[tuple[str, str], dict[str, TriedFile]] = {}
    for record in records:
        rows.setdefault((record.file, record.writer), {})[record.head] = record
    return _table(
        ("file", "writer", *heads, "sprite"),
        [
            (*row, *(_outcome(found[head]) for head in heads), _sprite(found.values()))
            for row, found in rows.items()
        ],
    )


def _sprite(records: Iterable[TriedFile]) -> str:
    """Return the layer of which a sprite was rendered, empty without one."""
    return ", ".join(f"`{record.sprite}`" for record in records if record.sprite)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _outcome(record: TriedFile) -> str:
    if record.refusal is not None:
        # An error may hold a pattern or the name of a class.
        return record.refusal.replace("|", "\\|").replace("<", "&lt;")
    if record.difference is None:
        return "imported"
    return "0" if record.difference == 0 else f"{record.difference:.0e}".replace("e-0", "e-")
