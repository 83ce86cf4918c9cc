"""Names are valid Unicode, whatever bytes a file is named by, and no two files have the same."""

import os
import pickle

import pytest

from diamond_cutter.tasks.photos.image_set import (
    BadImage,
    FoundImage,
    ImageSet,
    printable,
    shown_name,
)

PAIRS = [
    ("a/b.png", "a/b.png"),
    ("été 写真.png", "été 写真.png"),
    ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ("two\nlines.png", "two\nlines.png"),
    (os.fsdecode(b"caf\xe9.png"), r"caf\xe9.png"),
    (r"caf\xe9.png", r"caf\\xe9.png"),
    ("back\\slash.png", "back\\\\slash.png"),
    ("\ud800.png", r"\ud800.png"),
]


@pytest.mark.parametrize(("below", "shown"), PAIRS)
def test_a_name_is_valid_unicode(below: str, shown: str) -> None:
    assert shown_name(below) == shown
    shown.encode()


def test_no_two_paths_have_the_same_name() -> None:
    parts = ["", "\\", "\\\\", "x", "e9", "xe9", "\\xe9", "\udce9", "\\\udce9"]
    paths = {first + second + third for first in parts for second in parts for third in parts}
    assert len({shown_name(path) for path in paths}) == len(paths)


def test_a_folder_s_name_keeps_its_backslashes() -> None:
    assert printable("a\\b\udce9") == "a\\b\\xe9"


def test_images_can_be_sent_to_another_process() -> None:
    images = ImageSet(
        "a@01234567",
        (FoundImage("a", "/caf\udce9", "cat", 3),),
        (BadImage("b", "it is none"),),
        "labels.csv",
        "01" * 32,
    )
    assert pickle.loads(pickle.dumps(images)) == images
