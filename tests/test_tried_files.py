"""The script behind the tables of files in docs/models.md imports, compares and refuses files."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tools.file_kinds import headed_kinds, special_kinds
from tools.refused_kinds import refused_kinds
from tools.tried_files import is_wrong, try_kind, try_refused
from tools.tried_files_table import TriedFile, read_records


def test_a_file_is_compared_with_its_writer(tmp_path: Path) -> None:
    kind = next(
        each for each in headed_kinds() if (each.file, each.head) == ("`.pb`", "one sigmoid")
    )
    record = try_kind(kind, tmp_path)
    assert record.model_copy(update={"difference": None}) == TriedFile(
        file="`.pb`", writer="TensorFlow", head="one sigmoid", compared="logits"
    )
    assert record.difference is not None and record.difference < 1e-5


def test_another_output_than_the_writers_is_seen(tmp_path: Path) -> None:
    kind = next(each for each in headed_kinds() if (each.file, each.head) == ("`.pb`", "logits"))
    made = kind.make(tmp_path)
    made.output[0, 1] *= 1.01
    record = try_kind(dataclasses.replace(kind, make=lambda folder: made), tmp_path)
    assert record.difference is not None and record.difference > 1e-3


def test_a_refused_file_is_recorded_with_its_sentence(tmp_path: Path) -> None:
    kind = next(each for each in refused_kinds() if each.file == "`m.pt`")
    assert try_refused(kind, tmp_path).refusal == "is a checkpoint of PyTorch"


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ({"head": "logits", "difference": 1e-6}, False),
        ({"head": "logits", "difference": 1e-3}, True),
        ({"head": "logits", "special": "float16", "difference": 1e-3}, False),
        ({"head": "logits", "difference": float("nan")}, True),
        ({"head": "logits", "refusal": "is empty"}, True),
        ({"refusal": "is empty"}, False),
        ({}, True),
    ],
)
def test_unexpected_outcomes_are_told(found: dict[str, Any], wrong: bool) -> None:
    assert is_wrong(TriedFile(file="a", writer="b", **found)) == wrong


def test_each_kind_is_recorded() -> None:
    imported = [
        (each.file, each.writer, each.head, each.special)
        for each in (*headed_kinds(), *special_kinds())
    ]
    refused = [(each.file, each.writer, "", "") for each in refused_kinds()]
    found = [(each.file, each.writer, each.head, each.special) for each in read_records().files]
    assert found == imported + refused, "run `uv run python -m tools.tried_files`"
