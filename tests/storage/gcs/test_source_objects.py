"""Objects that others have put on Google Cloud Storage, under any name, are listed and read."""

import random
from pathlib import Path

import pytest

from diamond_cutter.storage import (
    AccessDenied,
    Corrupt,
    NotFound,
    StorageError,
    Unavailable,
    crc32c,
)
from diamond_cutter.storage.gcs.source_objects import ForeignObject, list_objects, read_object
from diamond_cutter.storage.retries import CallRetries
from diamond_cutter.storage.url import split_url
from tests.storage.gcs_server import Fault, GcsServer

HASTY = CallRetries(total_s=120, first_wait_s=0.01, longest_wait_s=0.1, silence_s=0.4)
NAMES = (
    "plain.png",
    "with space.png",
    "été 写真.png",
    "100%25.png",
    "a?b=c#d.png",
    "<script>alert('x')</script>.png",
    '"quoted".png',
    "..",
    "../up.png",
    "a//b.png",
    "/slash first.png",
    "back\\slash.png",
    "-dash.png",
    ".hidden/x.png",
    "tab\there.png",
    "x" * 900 + ".png",
)


@pytest.mark.parametrize("name", NAMES)
def test_an_object_of_any_name_is_listed_and_read(name: str, gcs_place: GcsServer) -> None:
    gcs_place.put("place", f"team photos/{name}", name.encode())
    (found,) = list_objects("gs://place/team photos")
    assert found == ForeignObject(
        f"gs://place/team photos/{name}", name, len(name.encode()), crc32c(name.encode())
    )
    assert read_object(found.url) == name.encode()
    assert gcs_place.unknown == []


def test_a_folder_is_what_is_below_it(gcs_place: GcsServer) -> None:
    for name in ("run/a", "run/sub/b", "run/", "run/empty/", "run", "run-2/c", "other"):
        gcs_place.put("place", name, b"")
    for url in ("gs://place/run", "gs://place/run/", "GS://place/run"):
        assert [found.name for found in list_objects(url)] == ["a", "sub/b"]
    assert [found.name for found in list_objects("gs://place/run/sub")] == ["b"]
    assert [found.name for found in list_objects("gs://place")] == [
        "other",
        "run",
        "run-2/c",
        "run/a",
        "run/sub/b",
    ]
    assert list(list_objects("gs://place/nothing")) == []


def test_a_long_listing_has_all_pages(gcs_place: GcsServer) -> None:
    for number in range(1005):
        gcs_place.put("place", f"f/{number:04}", b"x")
    assert [found.name for found in list_objects("gs://place/f")] == [
        f"{number:04}" for number in range(1005)
    ]
    assert [seen.kind for seen in gcs_place.seen] == ["list", "list"]


@pytest.mark.parametrize(
    "fault", [Fault("flip", at=3), Fault("cut", at=1000), Fault("status"), Fault("short")]
)
def test_what_arrives_damaged_is_asked_for_again(fault: Fault, gcs_place: GcsServer) -> None:
    data = random.Random(1).randbytes(5000)
    gcs_place.put("place", "photo.png", data)
    gcs_place.faults = [fault]
    assert read_object("gs://place/photo.png", HASTY) == data


def test_what_arrives_damaged_again_and_again_is_refused(gcs_place: GcsServer) -> None:
    gcs_place.put("place", "a b.png", b"data")
    gcs_place.faults = [Fault("flip") for _ in range(9)]
    with pytest.raises(Corrupt, match=r"download of 'a b\.png' from gs://place arrived damaged"):
        read_object("gs://place/a b.png", HASTY)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (403, AccessDenied, "roles/storage.objectViewer"),
        (500, Unavailable, "HTTP 500"),
        (503, Unavailable, "HTTP 503"),
    ],
)
def test_refusals_are_those_of_a_bucket(
    status: int, kind: type[StorageError], words: str, gcs_place: GcsServer
) -> None:
    gcs_place.put("place", "a b.png", b"data")
    hasty = CallRetries(total_s=0.3, first_wait_s=0.01)
    for call in (
        lambda: list(list_objects("gs://place", hasty)),
        lambda: read_object("gs://place/a b.png", hasty),
    ):
        gcs_place.faults = [Fault("status", status=status, media_only=False) for _ in range(500)]
        with pytest.raises(kind) as raised:
            call()
        assert words in str(raised.value)


def test_what_is_not_there(gcs_place: GcsServer) -> None:
    with pytest.raises(NotFound, match=r"'gone\.png' does not exist in gs://place"):
        read_object("gs://place/gone.png")
    for call in (
        lambda: list(list_objects("gs://no-such-place/x")),
        lambda: read_object("gs://no-such-place/x.png"),
    ):
        with pytest.raises(NotFound, match="the bucket gs://no-such-place does not exist"):
            call()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("gs://place", "names no object"),
        ("gs://place/", "names no object"),
        ("gs://", "is not a valid name of a bucket"),
        ("s3://place/x", "unknown scheme 's3'"),
        ("file:///x", "is not on Google Cloud Storage"),
        ("x", "is not on Google Cloud Storage"),
    ],
)
def test_what_names_no_object_is_refused(url: str, words: str) -> None:
    with pytest.raises(StorageError, match=words):
        read_object(url)


def test_a_file_url_may_name_bytes_that_are_no_text(tmp_path: Path) -> None:
    place = Path(str(tmp_path), "caf\udce9")
    assert split_url(place.as_uri(), "Photos") == place
