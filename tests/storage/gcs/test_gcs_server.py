"""The server that the tests of Google Cloud Storage run against is as strict as the service: no
other may take its place unnoticed.
"""

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import google_crc32c
import pytest
import requests

from tests.storage.gcs_server import GcsServer, serving

DATA = random.Random(3).randbytes(1000)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def gcs() -> Iterator[GcsServer]:
    with serving() as server:
        server.put("zoo", "a b/c?.pb", DATA)
        server.make("empty")
        yield server


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False
        yield opened


def sum_of(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def upload(
    session: requests.Session, gcs: GcsServer, data: bytes, query: str = "", **described: Any
) -> requests.Response:
    """Send an object in one part."""
    about = json.dumps({"name": "k"} | described).encode()
    parts = (
        b"Content-Type: application/json\r\n\r\n" + about,
        b"Content-Type: image/webp\r\n\r\n" + data,
    )
    body = b"".join(b"--==X==\r\n" + part + b"\r\n" for part in parts) + b"--==X==--"
    headers = {"Content-Type": 'multipart/related; boundary="==X=="'}
    return session.post(
        f"{gcs.url}/upload/storage/v1/b/zoo/o?uploadType=multipart{query}",
        data=body,
        headers=headers,
    )


def begin(
    session: requests.Session, gcs: GcsServer, query: str = "", **described: Any
) -> requests.Response:
    address = f"{gcs.url}/upload/storage/v1/b/zoo/o?uploadType=resumable{query}"
    return session.post(
        address, json={"name": "k"} | described, headers={"X-Upload-Content-Type": "image/webp"}
    )


def send(session: requests.Session, place: str, data: bytes, span: str) -> requests.Response:
    return session.put(
        place, data=data, headers={"Content-Range": f"bytes {span}"}, allow_redirects=False
    )


@pytest.mark.parametrize("query", ["generation=1", "alt=media&generation=1"])
def test_a_generation_that_is_not_there(
    gcs: GcsServer, session: requests.Session, query: str
) -> None:
    assert session.get(f"{gcs.url}/storage/v1/b/zoo/o/a%20b%2Fc%3F.pb?{query}").status_code == 404


def test_preconditions_hold_for_each_kind_of_call(
    gcs: GcsServer, session: requests.Session
) -> None:
    address = f"{gcs.url}/storage/v1/b/zoo/o/a%20b%2Fc%3F.pb"
    assert session.get(f"{address}?ifGenerationMatch=1").status_code == 412
    assert session.get(f"{address}?alt=media&ifGenerationMatch=1").status_code == 412
    assert session.delete(f"{address}?ifGenerationMatch=1").status_code == 412
    assert session.get(f"{address}?alt=media").content == DATA
    assert begin(session, gcs, "&ifGenerationMatch=0").status_code == 200
    assert upload(session, gcs, b"new", "&ifGenerationMatch=0").status_code == 200
    for kind in (
        upload(session, gcs, b"newer", "&ifGenerationMatch=0"),
        begin(session, gcs, "&ifGenerationMatch=0"),
    ):
        assert kind.status_code == 412
    assert upload(session, gcs, b"newer", "&ifGenerationMatch=5").status_code == 412
    assert gcs.buckets["zoo"]["k"].data == b"new"
    there = gcs.buckets["zoo"]["k"].generation
    assert upload(session, gcs, b"newer", f"&ifGenerationMatch={there}").status_code == 200
    assert gcs.buckets["zoo"]["k"].generation > there


def test_of_two_resumable_uploads_that_want_to_create_one_does(
    gcs: GcsServer, session: requests.Session
) -> None:
    first, second = (
        begin(session, gcs, "&ifGenerationMatch=0").headers["Location"] for _ in range(2)
    )
    assert send(session, first, b"one", "0-2/3").status_code == 200
    assert send(session, second, b"two", "0-2/3").status_code == 412
    assert gcs.buckets["zoo"]["k"].data == b"one"


def test_a_wrong_sum_is_refused(gcs: GcsServer, session: requests.Session) -> None:
    refused = upload(session, gcs, b"data", crc32c=sum_of(b"date"))
    assert (
        refused.status_code == 400
        and "doesn't match calculated CRC32C" in refused.json()["error"]["message"]
    )
    place = begin(session, gcs, crc32c=sum_of(b"date")).headers["Location"]
    assert send(session, place, b"data", "0-3/4").status_code == 400
    assert "k" not in gcs.buckets["zoo"]
    assert upload(session, gcs, b"data", crc32c=sum_of(b"data")).json()["crc32c"] == sum_of(b"data")


def test_a_resumable_upload_goes_on_where_it_was(gcs: GcsServer, session: requests.Session) -> None:
    unit, data = 256 << 10, random.Random(4).randbytes((256 << 10) + 10)
    place = begin(session, gcs).headers["Location"]
    assert send(session, place, b"", "*/*").headers.get("Range") is None
    assert send(session, place, data[:100], f"0-99/{len(data)}").status_code == 400
    begun = send(session, place, data[:unit], f"0-{unit - 1}/{len(data)}")
    assert (begun.status_code, begun.headers["Range"]) == (308, f"bytes=0-{unit - 1}")
    assert send(session, place, b"", f"*/{len(data)}").headers["Range"] == f"bytes=0-{unit - 1}"
    assert "k" not in gcs.buckets["zoo"]
    ended = send(session, place, data[unit:], f"{unit}-{len(data) - 1}/{len(data)}")
    assert (ended.status_code, ended.json()["contentType"]) == (200, "image/webp")
    assert send(session, place, b"", f"*/{len(data)}").json() == ended.json()
    assert gcs.buckets["zoo"]["k"].data == data
    assert send(session, place + "x", b"", "*/*").status_code == 404


def test_pages_of_a_listing_are_in_order_and_whole(
    gcs: GcsServer, session: requests.Session
) -> None:
    names = sorted(
        f"{folder}/{number:02}" for folder in ("a", "a-", "b/c", "b.d") for number in range(7)
    )
    for name in names:
        gcs.put("empty", name, b"")
    for size in (1, 2, 3, 10, 1000):
        for delimiter, expected in (("", (names, [])), ("/", ([], ["a-/", "a/", "b.d/", "b/"]))):
            found, folders, token = [], [], ""
            while True:
                more = f"&pageToken={token}" if token else ""
                page = session.get(
                    f"{gcs.url}/storage/v1/b/empty/o?maxResults={size}&delimiter={delimiter}{more}"
                ).json()
                assert len(page.get("items", [])) + len(page.get("prefixes", [])) <= size
                found += [item["name"] for item in page.get("items", [])]
                folders += page.get("prefixes", [])
                token = page.get("nextPageToken", "").replace("=", "%3D")
                if not token:
                    break
            assert (found, folders) == expected


def test_ranges(gcs: GcsServer, session: requests.Session) -> None:
    address = f"{gcs.url}/download/storage/v1/b/zoo/o/a%20b%2Fc%3F.pb?alt=media"
    assert session.get(address, headers={"Range": "bytes=10-19"}).content == DATA[10:20]
    past = session.get(address, headers={"Range": "bytes=990-5000"})
    assert (past.status_code, past.content, past.headers["Content-Range"]) == (
        206,
        DATA[990:],
        "bytes 990-999/1000",
    )
    assert session.get(address, headers={"Range": "bytes=1000-"}).status_code == 416


def test_what_is_not_there_and_what_is_not_known(gcs: GcsServer, session: requests.Session) -> None:
    missing = session.get(f"{gcs.url}/storage/v1/b/nowhere/o/k")
    assert (missing.status_code, missing.json()["error"]["message"]) == (
        404,
        "The specified bucket does not exist.",
    )
    assert session.get(f"{gcs.url}/storage/v1/b/nowhere/o").status_code == 404
    assert session.delete(f"{gcs.url}/storage/v1/b/zoo/o/k").status_code == 404
    assert (
        session.get(f"{gcs.url}/storage/v1/b/zoo/o/a%20b%2Fc%3F.pb?altt=media").status_code == 400
    )
    assert session.get(f"{gcs.url}/storage/v1/b/zoo/acl").status_code == 501
    assert upload(session, gcs, b"", colour="red").status_code == 400
    assert upload(session, gcs, b"", name="x" * 1025).status_code == 400
    assert (
        session.post(f"{gcs.url}/upload/storage/v1/b/zoo/o?uploadType=media", data=b"").status_code
        == 501
    )
