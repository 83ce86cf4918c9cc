"""The images of a folder: their names, their labels, and the hash that is different once anything
of that is.
"""

import os
import pickle
from pathlib import Path

import pytest

from diamond_cutter.storage import NotFound, StorageError
from diamond_cutter.storage.bucket import is_name
from diamond_cutter.tasks.photos.finding import check_images, find_images
from diamond_cutter.tasks.photos.image_set import BadImage, BadPhotos, FoundImage
from tests.storage.gcs_server import GcsServer
from tests.tasks.photos.small_images import sparse, write


def labels(place: Path | str) -> dict[str, str | None]:
    return {image.name: image.label for image in find_images(str(place)).images}


def test_images_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(
        tmp_path,
        "b.png",
        "a/c.png",
        "a-b.png",
        "Z.png",
        "a/B.png",
        "z.txt",
        "c.txt",
        os.fsdecode(b"\xff.png"),
    )
    found = find_images(str(tmp_path))
    assert [image.name for image in found.images] == [
        "Z.png",
        "\\xff.png",
        "a-b.png",
        "a/B.png",
        "a/c.png",
        "b.png",
    ]
    assert [bad.name for bad in found.refused] == ["c.txt", "z.txt"]
    assert found.images[1] == FoundImage("\\xff.png", f"{tmp_path}/\udcff.png")
    assert pickle.loads(pickle.dumps(found)) == found
    check_images(str(tmp_path))


def test_a_folder_is_named_by_what_is_in_it_as_records_of_it_are(tmp_path: Path) -> None:
    here, there = tmp_path / "my photos", tmp_path / "copy" / "my photos"
    for folder in (here, there):
        for name, content in (
            ("a/b.png", b"1"),
            ("a-b.png", b"2"),
            ("c.JPG", b"3"),
            (os.fsdecode(b"caf\xe9.png"), b"x"),
        ):
            write(folder, name)
            (folder / name).write_bytes(content)
    # What earlier versions called it, so that what they have measured is found.
    assert find_images(str(here)).name == find_images(str(there)).name == "my=20photos@5c168ade"
    assert find_images(str(here)).digest[:8] == "5c168ade"


def test_the_name_changes_with_what_is_in_the_folder(tmp_path: Path) -> None:
    root = write(tmp_path, "a.png", "sub/b.png")
    seen = [find_images(str(root)).name]
    write(root, "notes.txt", ".hidden.png")
    assert find_images(str(root)).name == seen[0]
    (root / "a.png").rename(root / "c.png")
    seen.append(find_images(str(root)).name)
    (root / "c.png").write_bytes(b"other")
    seen.append(find_images(str(root)).name)
    write(root, "sub/d.png")
    seen.append(find_images(str(root)).name)
    (root / "labels.csv").write_text("file,label\n")
    seen.append(find_images(str(root)).name)
    (root / "labels.csv").write_text("file,label,class_index\nc.png,cat,1\n")
    seen.append(find_images(str(root)).name)
    # Written otherwise, it says the same.
    (root / "labels.csv").write_text("group,class_index,filename\n\ncat,1,c.png\n")
    assert find_images(str(root)).name == seen[-1]
    (root / "labels.csv").write_text("file,label,class_index\nc.png,dog,1\n")
    seen.append(find_images(str(root)).name)
    (root / "labels.csv").write_text("file,label,class_index\nc.png,dog,2\n")
    seen.append(find_images(str(root)).name)
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    "name", ["x" * 200, "été", "<script>", "a\nb", os.fsdecode(b"caf\xe9"), "-rf", "...", "a."]
)
def test_the_name_can_be_part_of_a_key(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, "a.png")
    assert is_name(find_images(str(tmp_path / name)).name)


def test_folders_are_labels_if_all_images_are_in_some(tmp_path: Path) -> None:
    write(
        tmp_path,
        "cat/a.png",
        "dog/deep/a.png",
        "<b>/c.png",
        "notes.txt",
        os.fsdecode(b"caf\xe9/a.png"),
    )
    assert labels(tmp_path) == {
        "cat/a.png": "cat",
        "dog/deep/a.png": "dog",
        "<b>/c.png": "<b>",
        "caf\\xe9/a.png": "caf\\xe9",
    }
    assert find_images(str(tmp_path)).labels == "folders"
    write(tmp_path, "top.png")
    assert set(labels(tmp_path).values()) == {None} and find_images(str(tmp_path)).labels is None


def test_a_table_of_labels_wins_over_folders(tmp_path: Path) -> None:
    write(tmp_path, "dog/a.png", "cat/b.png", "cat/c.png", "notes.txt")
    rows = ["canine,dog/a.png,154", "cat,b.png,281", "cat,gone.png,1", "x,notes.txt,", ""]
    (tmp_path / "labels.csv").write_text("\n".join(["group,file,imagenet_index", *rows]))
    found = find_images(str(tmp_path))
    assert found.labels == "labels.csv"
    assert [(image.name, image.label, image.class_index) for image in found.images] == [
        ("cat/b.png", "cat", 281),
        ("cat/c.png", None, None),
        ("dog/a.png", "canine", 154),
    ]
    assert [bad.name for bad in found.refused] == ["gone.png", "notes.txt"]
    assert found.refused[0] == BadImage(
        "gone.png", "line 4 of labels.csv names it, but the image does not exist"
    )


@pytest.mark.parametrize("table", ["", "file,label\na.png\n", "file,label\na.png,x\na.png,y\n"])
def test_a_table_that_cannot_be_used_is_refused_before_images_are_read(
    table: str, tmp_path: Path
) -> None:
    write(tmp_path, "a.png")
    (tmp_path / "labels.csv").write_text(table)
    for call in (check_images, find_images):
        with pytest.raises(BadPhotos, match=r"labels\.csv in /"):
            call(str(tmp_path))


def test_a_table_that_is_no_file_of_the_folder_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "root", "a.png")
    write(tmp_path, "labels.csv")
    for make, words in (
        (
            lambda path: os.symlink("../labels.csv", path),
            "it is a link to a place outside the folder",
        ),
        (lambda path: os.symlink("nothing", path), "it is a broken link"),
        (os.mkfifo, "it is not a regular file"),
        (
            lambda path: sparse(path, 6 << 30),
            r"it has 6,442,450,944 bytes: expected at most 67,108,864\. Replace or remove "
            r"the file\.$",
        ),
    ):
        make(root / "labels.csv")
        with pytest.raises(BadPhotos, match=rf"labels\.csv in .* is unreadable: {words}"):
            find_images(str(root))
        (root / "labels.csv").unlink()


def test_a_file_that_may_not_be_read_is_refused(not_root: Path) -> None:
    write(not_root, "a.png", "closed.png")
    os.chmod(not_root / "closed.png", 0)
    found = find_images(str(not_root))
    assert [image.name for image in found.images] == ["a.png"]
    assert found.refused == (BadImage("closed.png", "this user has no permission to read it"),)
    (not_root / "a.png").unlink()
    with pytest.raises(
        BadPhotos,
        match=r"folder .* has no images \('closed\.png': this user has no permission to read it\)",
    ):
        find_images(str(not_root))
    (not_root / "labels.csv").write_text("file,label\n")
    os.chmod(not_root / "labels.csv", 0)
    with pytest.raises(
        BadPhotos, match=r"labels\.csv in .* is unreadable: this user has no permission to read it"
    ):
        find_images(str(not_root))


def test_images_in_a_bucket_are_named_by_what_it_knows_of_them(gcs_place: GcsServer) -> None:
    for name in ("cat/a b.png", "dog/é?#.png"):
        gcs_place.put("place", f"team/my photos/{name}", name.encode())
    found = find_images("gs://place/team/my photos")
    assert [(image.name, image.label, image.place) for image in found.images] == [
        ("cat/a b.png", "cat", "gs://place/team/my photos/cat/a b.png"),
        ("dog/é?#.png", "dog", "gs://place/team/my photos/dog/é?#.png"),
    ]
    assert found.name.startswith("my=20photos@") and found.labels == "folders"
    assert {seen.kind for seen in gcs_place.seen} == {"list"}
    assert find_images("gs://place/team/my photos/").name == found.name
    gcs_place.put("place", "team/my photos/cat/a b.png", b"other bytes")
    changed = find_images("gs://place/team/my photos").name
    gcs_place.put("place", "team/my photos/labels.csv", b"group,file,class_index\ncat,a b.png,3\n")
    labelled = find_images("gs://place/team/my photos")
    assert (labelled.labels, labelled.images[0].label, labelled.images[0].class_index) == (
        "labels.csv",
        "cat",
        3,
    )
    assert len({found.name, changed, labelled.name}) == 3


def test_a_bucket_that_is_not_there_is_a_sentence_of_the_storage(gcs_place: GcsServer) -> None:
    for call in (check_images, find_images):
        with pytest.raises(NotFound, match="the bucket gs://no-such-place does not exist"):
            call("gs://no-such-place/photos")
        with pytest.raises(
            StorageError, match=r"Photos 'https://example\.com/x' has the unknown scheme 'https'"
        ):
            call("https://example.com/x")


def test_folders_of_a_split_hold_folders_of_classes(tmp_path: Path) -> None:
    write(tmp_path, "train/cat/a.png", "train/dog/b.png", "Test/cat/c.png", "val/dog/d.png")
    found = {image.name: (image.label, image.split) for image in find_images(str(tmp_path)).images}
    assert found == {
        "train/cat/a.png": ("cat", "train"),
        "train/dog/b.png": ("dog", "train"),
        "Test/cat/c.png": ("cat", "test"),
        "val/dog/d.png": ("dog", "train"),
    }


def test_a_split_without_a_test_has_classes_too(tmp_path: Path) -> None:
    write(tmp_path, "train/cat/a.png", "val/dog/b.png")
    assert labels(tmp_path) == {"train/cat/a.png": "cat", "val/dog/b.png": "dog"}


@pytest.mark.parametrize("other", ["test/a.png", "birds/c/a.png", "train/c/a.png"])
def test_folders_that_are_no_whole_split_are_labels(other: str, tmp_path: Path) -> None:
    write(tmp_path, "train/cat/b.png", other)
    assert all(image.split is None for image in find_images(str(tmp_path)).images)
    assert labels(tmp_path)["train/cat/b.png"] == "train"


def test_the_name_changes_with_the_split_alone(tmp_path: Path) -> None:
    write(tmp_path, "a.png")
    names = set()
    for table in (
        "file,label\na.png,cat\n",
        "file,label,split\na.png,cat,\n",
        "file,label,split\na.png,cat,test\n",
    ):
        (tmp_path / "labels.csv").write_text(table)
        names.add(find_images(str(tmp_path)).name)
    assert len(names) == 2
