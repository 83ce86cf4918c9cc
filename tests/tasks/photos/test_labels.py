"""A table says what images are of; what it cannot mean is told."""

import pytest

from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.photos.labels import match_labels, read_labels

Said = dict[str, tuple[str | None, int | None]]


def said(
    table: str | bytes, *names: str, refused: tuple[str, ...] = ()
) -> tuple[Said, dict[str, str]]:
    rows = read_labels(table.encode() if isinstance(table, str) else table, "here")
    matched, unknown = match_labels(rows, names, refused, "here")
    return {name: (row.label, row.class_index) for name, row in matched.items()}, {
        bad.name: bad.reason for bad in unknown
    }


@pytest.mark.parametrize(
    "table",
    [
        "file,label\na.png,cat\n",
        "path,class\r\na.png,cat\r\n",
        "group,image\ncat,a.png",
        "label,class,group,filename\ncat,no,no,a.png\n",
        "class,group,file\ncat,no,a.png\n",
        " File , LABEL \n a.png , cat \n",
        '"file","label"\n\n"a.png","cat"\n,\n',
        "\n\nfile,label\n./a.png,cat\n",
        b"\xef\xbb\xbffile,label\na.png,cat\n",
        "file,label,note\na.png,cat,\n",
    ],
)
def test_columns_go_by_their_names(table: str | bytes) -> None:
    assert said(table, "a.png", "b.png") == ({"a.png": ("cat", None)}, {})


@pytest.mark.parametrize("column", ["imagenet_index", "class_index"])
def test_a_class_may_have_its_number(column: str) -> None:
    table = f"file,label,{column}\na.png,cat,281\nb.png,,\nc.png,dog,007\n"
    assert said(table, "a.png", "b.png", "c.png")[0] == {
        "a.png": ("cat", 281),
        "b.png": (None, None),
        "c.png": ("dog", 7),
    }


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("dog,a.png", "dog/a.png"),
        ("dog,dog/a.png", "dog/a.png"),
        ("dog,only.png", "deep/down/only.png"),
        ("dog,dog\\a.png", "dog/a.png"),
        ("dog,top.png", "top.png"),
        ('dog,"with, comma"".png"', 'with, comma".png'),
        ('dog,"two\nlines.png"', "two\nlines.png"),
        ("dog, space .png", " space .png"),
        ("dog,caf\\xe9.png", "caf\\xe9.png"),
        ("dog,e\u0301te\u0301.png", "\xe9t\xe9.png"),
        ("dog,=cmd|'/c calc'!A1.png", "=cmd|'/c calc'!A1.png"),
    ],
)
def test_a_file_is_named_by_its_path_in_its_group_or_alone(row: str, name: str) -> None:
    names = {"dog/a.png", "cat/a.png", "deep/down/only.png", "top.png", name}
    assert said(f"group,file\n{row}\n", *sorted(names)) == ({name: ("dog", None)}, {})


def test_spellings_of_unicode_that_are_two_files_are_told_apart() -> None:
    names = ("\xe9.png", "e\u0301.png")
    table = f"file,label\n{names[0]},one\n{names[1]},two\n"
    assert said(table, *names) == ({names[0]: ("one", None), names[1]: ("two", None)}, {})


def test_lines_that_name_no_image_are_told() -> None:
    found, unknown = said(
        "file,label\ngone.png,x\na.png,x\n\nnotes.txt,x\n",
        "1/a.png",
        "2/a.png",
        refused=("notes.txt",),
    )
    assert found == {}
    assert unknown == {
        "gone.png": "line 2 of labels.csv names it, but the image does not exist",
        "a.png": "line 3 of labels.csv names it, but 2 images have this name. Write the path "
        "below the folder",
    }


def test_the_same_line_twice_does_not_matter() -> None:
    assert said("group,file\ndog,a.png\ndog,dog/a.png\n", "dog/a.png") == (
        {"dog/a.png": ("dog", None)},
        {},
    )


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            "",
            "has no column of files (file, path, image, filename). Start it with a line such as "
            "file,label",
        ),
        ("a.png,cat\n", "has no column of files"),
        ("file;label\na.png;cat\n", "has no column of files"),
        ("file,weight\na.png,3\n", "has no column of labels (label, class, group)"),
        (
            "file,label\na.png\n",
            "expected 2 cells as in the first line, found 1 in line 2. Correct it",
        ),
        ("file,label\na.png,cat,3\n", "found 3 in line 2"),
        ("file,label\n,cat\n", "names no file in line 2"),
        ('file,label\n"a.png,cat\n', "is not valid CSV: expected cells separated by commas"),
        ('file,label\n"a"b.png,cat\n', "is not valid CSV"),
        (
            "file,label,class_index\na.png,cat,many\n",
            "has an invalid class_index: expected a whole number, found 'many' in line 2",
        ),
        ("file,label,class_index\na.png,cat,-1\n", "found '-1' in line 2"),
        ("file,label,class_index\na.png,cat,1.5\n", "found '1.5' in line 2"),
        ("file,label,class_index\na.png,cat,9999999999\n", "found '9999999999' in line 2"),
        ("file,label,class_index\na.png,cat,\u0663\n", "has an invalid class_index"),
        (
            "file,label\na.png,cat\na.png,dog\n",
            "has two labels for 'a.png', in lines 2 and 3. Delete one of these lines",
        ),
        ("file,label\na.png," + "x" * 200_000, "is not valid CSV"),
        (b"file,label\ncaf\xe9.png,cat\n", "is not valid UTF-8. Save it as UTF-8"),
        ("file,label\n".encode("utf-16"), "is not valid UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is not valid UTF-8"),
    ],
)
def test_what_is_no_such_table_is_refused_in_a_sentence(table: str | bytes, words: str) -> None:
    with pytest.raises(BadPhotos) as raised:
        said(table, "a.png")
    assert str(raised.value).startswith("labels.csv in here ") and words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_column_divides_the_images() -> None:
    table = b"file,label,split\na.png,cat,train\nb.png,cat,Test\nc.png,cat,validation\nd.png,cat,\n"
    rows = {row.file: row.split for row in read_labels(table, "here")}
    assert rows == {"a.png": "train", "b.png": "test", "c.png": "train", "d.png": None}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("a.png,cat,tset\n", "found 'tset' in line 2"),
        ("a.png,cat,train\na.png,cat,test\n", "has two splits for 'a.png', in lines 2 and 3"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(lines: str, words: str) -> None:
    with pytest.raises(BadPhotos, match=words):
        said(f"file,label,split\n{lines}", "a.png")
