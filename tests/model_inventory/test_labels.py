"""Labels are read from text, JSON and CSV as users have them, or refused by line."""

import os
from pathlib import Path

import pytest

from diamond_cutter.model_inventory.card import ClassLabel
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.labels import read_labels


def read(tmp_path: Path, text: str, name: str = "labels.txt") -> list[str]:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return [label.name for label in read_labels(tmp_path / name)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("\ufeffcat \nblack, dog\n<b>bird</b>\n\n", ["cat", "black, dog", "<b>bird</b>"]),
        ("cat\n\n  \ndog\r\nbird", ["cat", "dog", "bird"]),
        ("0 Cat\n1 Big dog\n", ["Cat", "Big dog"]),
        ("0: cat\n1: dog\n\n2:\tbird", ["cat", "dog", "bird"]),
        ("0,cat\n1,dog", ["cat", "dog"]),
        # Numbers that belong to the names.
        ("1 euro\n2 euros\n3 euros", ["1 euro", "2 euros", "3 euros"]),
        ("0 degrees\n90 degrees", ["0 degrees", "90 degrees"]),
        ("0\n1\n2", ["0", "1", "2"]),
    ],
)
def test_a_text_has_a_class_on_each_line(tmp_path: Path, text: str, wanted: list[str]) -> None:
    assert read(tmp_path, text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        '["cat", "dog"]',
        ' {"0": "cat", "1": "dog"}',
        '{"dog": 1, "cat": 0}',
        '{"model_type": "vit", "id2label": {"1": "dog", "0": "cat"}}',
        '{"0": ["n01", "cat"], "1": ["n02", "dog"]}',
    ],
)
@pytest.mark.parametrize("name", ["labels.json", "labels.txt"])
def test_json_is_a_list_or_an_object_of_names(tmp_path: Path, text: str, name: str) -> None:
    assert read(tmp_path, text, name) == ["cat", "dog"]


def test_word_net_ids_of_keras_are_kept(tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text('{"0": ["n01440764", "tench"]}')
    assert read_labels(tmp_path / "classes.json") == (ClassLabel(name="tench", wnid="n01440764"),)


@pytest.mark.parametrize(
    "text",
    [
        "index,name\n1,dog\n0,cat\n",
        "Name,Extra\ncat,a\n\ndog,b\n",
        "0,cat\n1,dog\n",
        "cat,0\ndog,1",
        "cat\ndog\n",
        'label\ncat\n"dog"\n',
    ],
)
def test_a_table_has_a_column_of_names(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text, "labels.csv") == ["cat", "dog"]
    assert read(tmp_path, text.replace(",", "\t"), "labels.tsv") == ["cat", "dog"]


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("0 cat\n1 dog\n3 bird\n", "a.txt", "line 3 is not numbered like the first: expected 2"),
        ("0 cat\n1 dog\n\nbird\n", "a.txt", "line 4 is not numbered like the first: expected 2"),
        ("\n \n", "a.txt", "are empty"),
        ("", "a.json", "are empty"),
        ('["cat",\n "dog",]', "a.json", "line 2 is not valid JSON"),
        ("[" * 100_000, "a.json", "line 1 is not valid JSON"),
        ('["cat", 3]', "a.json", "class 1 is not a name: found 3"),
        ('"cat"', "a.json", "has no list of names"),
        ("{}", "a.json", "has no list of names"),
        ('{"0": "cat", "2": "dog"}', "a.json", "expected 1, found 2 for 'dog'"),
        ('{"cat": "0"}', "a.json", "the entry 'cat' has no number"),
        ("index,name\n0,cat\nx,dog", "a.csv", "line 3 has no number"),
        ("index,name\n0,cat\n0,dog", "a.csv", "expected 1, found 0 for 'dog'"),
        ("index,name\n0,cat\n1,", "a.csv", "line 3 has no name"),
        ("a,b,c\n1,2,3", "a.csv", "line 1 does not say which column holds the names"),
        ('name\n"cat', "a.csv", "is not valid CSV"),
    ],
)
def test_what_is_no_label_is_named_by_its_line(
    tmp_path: Path, text: str, name: str, reason: str
) -> None:
    with pytest.raises(BadModel) as error:
        read(tmp_path, text, name)
    assert reason in str(error.value) and "\n" not in str(error.value)
    assert "Give one class on each line" in str(error.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_labels_that_cannot_be_read_are_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "labels.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadModel, match="cannot be read"):
        read_labels(file)


def test_a_pipe_in_place_of_labels_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.txt")
    with pytest.raises(BadModel, match="it is not a regular file"):
        read_labels(tmp_path / "labels.txt")
