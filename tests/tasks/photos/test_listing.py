"""What lies in a folder: images by their suffix, and a reason for each file that is none."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from diamond_cutter.regular_files import open_regular
from diamond_cutter.tasks.photos import listing
from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.photos.listing import NO_IMAGE, list_place
from tests.storage.gcs_server import GcsServer
from tests.tasks.photos.small_images import write


def names(place: Path | str) -> list[str]:
    return sorted(candidate.below for candidate in list_place(str(place)).candidates)


def reasons(place: Path | str) -> dict[str, str]:
    refused = list_place(str(place)).refused
    assert len({bad.name for bad in refused}) == len(refused)
    return {bad.name: bad.reason for bad in refused}


def test_images_are_known_by_their_suffix_and_hidden_ones_are_not_looked_at(tmp_path: Path) -> None:
    write(
        tmp_path,
        "b.jpg",
        "a/z.PNG",
        "c.webp",
        "d/e/f.tiff",
        ".hidden.png",
        ".trash/d.png",
        "a/.thumbs/e.jpg",
        "a/.DS_Store",
    )
    write(tmp_path, "notes.txt", "README", "LICENSE.md", "a/labels.csv", "archive.png.zip", "png")
    assert names(tmp_path) == ["a/z.PNG", "b.jpg", "c.webp", "d/e/f.tiff"]
    others = ("notes.txt", "README", "LICENSE.md", "a/labels.csv", "archive.png.zip", "png")
    assert reasons(tmp_path) == dict.fromkeys(others, NO_IMAGE)


HOSTILE = [
    "'quoted'.png",
    '"quoted".png',
    "<script>alert(1)</script>.png",
    "two\nlines.png",
    "-rf.png",
    "--option=x.png",
    " leading and trailing .png",
    "%41 &amp; $HOME `id`.png",
    "\x1b[31mred.png",
    os.fsdecode(b"caf\xe9 \xff.png"),
    "back\\slash.png",
    "x" * 251 + ".png",
    "/".join(["y" * 200] * 10) + ".png",
    "gs:/place/x.png",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    write(tmp_path, name, "same/name.png", "other/name.png")
    (candidate,) = [
        each
        for each in list_place(str(tmp_path)).candidates
        if not each.below.endswith("/name.png")
    ]
    assert candidate.below == name
    with open_regular(candidate.place) as file:
        assert file.read() == os.fsencode(name)


@pytest.mark.parametrize("name", ["plain", "with space", "a?b#c%41", os.fsdecode(b"caf\xe9")])
def test_a_folder_is_given_as_a_path_or_a_url(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / name, "a.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in (str(folder), f"{folder}/", name, f"./{name}", f"~/{name}", folder.as_uri()):
        found = list_place(place)
        assert (found.folder, [each.place for each in found.candidates]) == (
            name,
            [f"{folder}/a.png"],
        )


def test_links_inside_the_folder_are_followed_and_no_folder_is_counted_twice(
    tmp_path: Path,
) -> None:
    root = write(tmp_path / "root", "a/1.png", "b/2.png", ".store/3.png", ".store/deep/4.png")
    os.symlink("a/1.png", root / "link.png")
    os.symlink(root / "a" / "1.png", root / "absolute.png")
    os.symlink("../.store", root / "b" / "stored")
    os.symlink(".store", root / "again")
    os.symlink("..", root / "a" / "up")
    os.symlink(".", root / "a" / "here")
    os.symlink("../b", root / "a" / "b")
    os.symlink("../a", root / "b" / "a")
    os.symlink("../..", root / ".store" / "deep" / "root")
    # Of links to a folder that has no name of its own here, the first counts.
    assert names(root) == [
        "a/1.png",
        "absolute.png",
        "again/3.png",
        "again/deep/4.png",
        "b/2.png",
        "link.png",
    ]
    others = ("a/up", "a/here", "a/b", "b/a", "b/stored", "again/deep/root")
    assert reasons(root) == dict.fromkeys(
        others, "it is a link to a folder that was listed already"
    )


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "root", "a.png")
    write(tmp_path / "root-2", "secret.png")
    os.symlink(tmp_path / "root-2" / "secret.png", root / "file.png")
    os.symlink("../root-2", root / "folder")
    os.symlink("..", root / "up")
    os.symlink("/", root / "everything")
    os.symlink("folder/secret.png", root / "through.png")
    os.symlink(tmp_path / "nowhere.png", root / "nowhere.png")
    os.symlink("../root/a.png", root / "out and in.png")
    assert names(root) == ["a.png", "out and in.png"]
    assert reasons(root) == dict.fromkeys(
        ("file.png", "folder", "up", "everything", "through.png", "nowhere.png"),
        "it is a link to a place outside the folder",
    )


def test_links_to_nothing_and_to_themselves_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.png")
    os.symlink("gone.png", tmp_path / "broken.png")
    os.symlink("itself.png", tmp_path / "itself.png")
    assert names(tmp_path) == ["a.png"]
    refused = reasons(tmp_path)
    assert refused["broken.png"] == "it is a broken link"
    assert "symbolic links" in refused["itself.png"]


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path / "real", "a.png")
    os.symlink("real", tmp_path / "link")
    found = list_place(str(tmp_path / "link"))
    assert (found.folder, [each.place for each in found.candidates]) == (
        "real",
        [f"{tmp_path}/real/a.png"],
    )


def test_what_is_no_plain_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "folder.png/b.png")
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.png"))
        assert names(tmp_path) == ["a.png", "folder.png/b.png"]
        assert reasons(tmp_path) == dict.fromkeys(
            ("pipe.png", "socket.png"), "it is not a regular file"
        )
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(str(tmp_path / "pipe.png"))


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.png")
    with open(tmp_path / "huge.png", "wb") as file:
        file.truncate(800 << 20)
    assert reasons(tmp_path) == {
        "huge.png": "its size is not valid: expected at most 768 MiB, found 800 MiB"
    }


def test_a_folder_that_may_not_be_read_is_refused(not_root: Path) -> None:
    write(not_root, "a.png", "closed/b.png", "listed/c.png")
    os.chmod(not_root / "closed", 0)
    os.chmod(not_root / "listed", 0o400)
    assert names(not_root) == ["a.png"]
    assert reasons(not_root) == {
        "closed": "this user has no permission to read it",
        "listed/c.png": "this user has no permission to read it",
    }
    os.chmod(not_root, 0o100)
    with pytest.raises(
        BadPhotos, match=r"folder .* has no images \('\.': this user has no permission to read it"
    ):
        list_place(str(not_root))


def nothing(root: Path) -> None:
    root.mkdir()


def notes_only(root: Path) -> None:
    write(root, "notes.txt", ".hidden.png", "labels.csv")


def a_file(root: Path) -> None:
    root.write_bytes(b"")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (nothing, r"folder /.*/photos has no images: expected files that end with \.jpg"),
        (notes_only, r"folder /.*/photos has no images: expected files that end with \.jpg"),
        (a_file, r"photos /.*/photos is not a folder. Choose a folder with images"),
        (lambda root: None, "is not a folder"),
        (lambda root: os.symlink(root, root), "is not a folder"),
    ],
)
def test_a_folder_without_images_is_refused(
    make: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    make(tmp_path / "photos")
    with pytest.raises(BadPhotos, match=words):
        list_place(str(tmp_path / "photos"))


@pytest.mark.parametrize("place", ["", "nowhere", "a\0b", "x" * 5000])
def test_what_is_no_folder_is_refused(place: str) -> None:
    with pytest.raises(BadPhotos, match=r"is not a folder\. Choose a folder with images"):
        list_place(place)


def test_what_came_close_to_an_image_is_named(tmp_path: Path) -> None:
    os.symlink("/nowhere.png", tmp_path / "a\n.png")
    with pytest.raises(
        BadPhotos,
        match=r"\('a\\n\.png': it is a link to a place outside the folder\): expected files",
    ):
        list_place(str(tmp_path))


def test_objects_of_a_bucket_are_listed_as_files_are(gcs_place: GcsServer) -> None:
    for name in (
        "b.png",
        "cats/a b.JPG",
        "cats/été?#.png",
        ".hidden.png",
        "x/.trash/y.png",
        "cats/",
        "notes.txt",
        "<b>.png",
        "../up.png",
    ):
        gcs_place.put("place", f"my photos/{name}", name.encode())
    gcs_place.put("place", "my photos/labels.csv", b"file,label\n")
    gcs_place.put("place", "my photos 2/c.png", b"other")
    found = list_place("gs://place/my photos/")
    assert [each.below for each in found.candidates] == [
        "<b>.png",
        "b.png",
        "cats/a b.JPG",
        "cats/été?#.png",
    ]
    assert [each.place for each in found.candidates][2] == "gs://place/my photos/cats/a b.JPG"
    assert (found.folder, found.labels, [bad.name for bad in found.refused]) == (
        "my photos",
        b"file,label\n",
        ["notes.txt"],
    )
    assert list_place("gs://place").folder == "place"
    # Nothing but the table is downloaded.
    assert [seen.kind for seen in gcs_place.seen].count("media") == 1


def test_an_object_that_is_too_large_is_refused(
    gcs_place: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_FILE_BYTES", 1 << 20)
    gcs_place.put("place", "p/a.png", b"x")
    gcs_place.put("place", "p/b.png", bytes(2 << 20))
    assert reasons("gs://place/p") == {
        "b.png": "its size is not valid: expected at most 1 MiB, found 2 MiB"
    }
    monkeypatch.setattr(listing, "MAX_LABELS_BYTES", 10)
    gcs_place.put("place", "p/labels.csv", b"file,label\n")
    with pytest.raises(
        BadPhotos,
        match=r"^labels\.csv in gs://place/p is unreadable: it has 11 bytes: expected at most "
        r"10\. Replace",
    ):
        list_place("gs://place/p")
    assert "media" not in [seen.kind for seen in gcs_place.seen]


def test_a_bucket_without_images_is_refused(gcs_place: GcsServer) -> None:
    gcs_place.put("place", "p/notes.txt", b"x")
    for place in ("gs://place/p", "gs://place/nothing"):
        with pytest.raises(BadPhotos, match=f"folder {place} has no images: expected files"):
            list_place(place)
