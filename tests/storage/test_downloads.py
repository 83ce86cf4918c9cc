"""A file comes whole and verified, or not at all, through whatever a network does to it."""

import io
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest
import requests

from diamond_cutter.storage import (
    AccessDenied,
    Corrupt,
    NotFound,
    StorageError,
    Unavailable,
    downloads,
)
from diamond_cutter.storage.downloads import fetch_file, without_secrets
from diamond_cutter.storage.retries import DownloadRetries
from tests.storage.gcs_server import Fault, GcsServer, serving
from tests.waiting import AT_MOST_S, wait_for

# Google's library says so where gRPC is installed, as with TensorFlow; it is not used here.
pytestmark = pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")

REPOSITORY = Path(__file__).parents[2]
MIB = 1 << 20
DATA = random.Random(1).randbytes(5 * MIB + 12345)
NAME = "vision/other models/Tiny#1?.pb"
OBJECT = f"gs://zoo/{NAME}"
HASTY = DownloadRetries(attempts=3, first_wait_s=0.01, silence_s=AT_MOST_S)
# For servers that say nothing; to all others a busy machine may give less time.
HASTIER = DownloadRetries(attempts=3, first_wait_s=0.01, silence_s=0.5)

FETCH = """
import sys
from pathlib import Path
from diamond_cutter.storage.downloads import fetch_file
from diamond_cutter.storage.retries import DownloadRetries
print("ready", flush=True)
retries = DownloadRetries(attempts=3, first_wait_s=0.05, silence_s=float(sys.argv[3]))
fetch_file(sys.argv[1], Path(sys.argv[2]), retries=retries)
"""


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[GcsServer]:
    with serving() as server:
        server.put("zoo", NAME, DATA)
        server.put("zoo", "plain.pb", DATA)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "zoo" / "Tiny.pb"


@pytest.fixture(params=["gs", "http"])
def url(request: pytest.FixtureRequest, gcs: GcsServer) -> str:
    return OBJECT if request.param == "gs" else f"{gcs.url}/zoo/plain.pb"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".Tiny.pb.lock")


def fetching(url: str, path: Path, timeout_s: float = 30.0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", FETCH, url, str(path), str(timeout_s)]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout and process.stdout.readline() == "ready\n"
    return process


def refusal(error: type[StorageError], url: str, place: Path, **others: DownloadRetries) -> str:
    """Return the sentence with which a fetch ends, which names the URL and the place; there is
    nothing then.
    """
    with pytest.raises(error) as caught:
        fetch_file(url, place, **({"retries": HASTY} | others))  # type: ignore[arg-type]
    assert type(caught.value) is error
    text = str(caught.value)
    assert without_secrets(url) in text and str(place) in text
    assert "\n" not in text and len(text) < 400 + 2 * len(str(place))
    assert not place.exists()
    return text


# whole


def test_a_file_comes_whole_and_nothing_stays_beside_it(
    url: str, gcs: GcsServer, place: Path
) -> None:
    told: list[tuple[int, int | None]] = []
    fetch_file(
        url, place, on_progress=lambda here, total: told.append((here, total)), retries=HASTY
    )
    assert place.read_bytes() == DATA
    assert files(place.parent) == [place.name]
    assert told[0] == (0, len(DATA)) and told[-1] == (len(DATA), len(DATA))
    assert told == sorted(told) and 5 <= len(told) <= 8
    assert gcs.ranges() == [None]


def test_what_is_here_is_not_fetched_again(url: str, gcs: GcsServer, place: Path) -> None:
    place.parent.mkdir(parents=True)
    place.write_bytes(b"mine")
    fetch_file(url, place)
    assert place.read_bytes() == b"mine" and not gcs.seen and files(place.parent) == [place.name]


def test_an_object_is_read_in_the_version_that_was_looked_at(gcs: GcsServer, place: Path) -> None:
    fetch_file(OBJECT, place)
    assert [(seen.kind, seen.generation) for seen in gcs.seen] == [
        ("metadata", None),
        ("media", "1700000000000001"),
    ]


@pytest.mark.parametrize("size", [0, 1, MIB])
def test_files_of_any_size(gcs: GcsServer, place: Path, size: int) -> None:
    gcs.put("zoo", "sized", DATA[:size])
    for index, url in enumerate(("gs://zoo/sized", f"{gcs.url}/zoo/sized")):
        path = place.with_name(f"{index}")
        fetch_file(url, path, retries=HASTY)
        assert path.read_bytes() == DATA[:size]


@pytest.mark.parametrize("form", ["path", "url"])
def test_a_file_of_this_machine(tmp_path: Path, place: Path, form: str) -> None:
    source = tmp_path / "a b%41#c.pb"
    source.write_bytes(DATA)
    fetch_file(str(source) if form == "path" else source.as_uri(), place)
    assert place.read_bytes() == DATA and source.exists()
    place.unlink()
    source.unlink()
    assert "the file does not exist" in refusal(NotFound, str(source), place)


@pytest.mark.slow
def test_memory_stays_flat(gcs: GcsServer, place: Path) -> None:
    gcs.put("zoo", "large", bytes(120 * MIB))
    script = FETCH + "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    for url in ("gs://zoo/large", f"{gcs.url}/zoo/large"):
        place.unlink(missing_ok=True)
        run = subprocess.run(
            [sys.executable, "-c", script, url, place, "30"],
            cwd=REPOSITORY,
            text=True,
            capture_output=True,
            check=True,
        )
        assert int(run.stdout.split()[-1]) < 110 * 1024
        assert place.stat().st_size == 120 * MIB


# broken connections


def test_a_cut_file_goes_on_where_it_was_cut(gcs: GcsServer, place: Path) -> None:
    gcs.faults = [Fault("cut", at=2 * MIB), Fault("cut", at=4 * MIB + 1)]
    fetch_file(OBJECT, place, retries=HASTY)
    assert place.read_bytes() == DATA
    assert gcs.ranges() == [None, f"bytes={2 * MIB}-", f"bytes={4 * MIB + 1}-"]


def test_a_cut_page_goes_on_near_where_it_was_cut(gcs: GcsServer, place: Path) -> None:
    gcs.faults = [Fault("cut", at=2 * MIB), Fault("stall", at=4 * MIB + 1)]
    fetch_file(f"{gcs.url}/zoo/plain.pb", place, retries=HASTIER)
    assert place.read_bytes() == DATA
    first, second, third = (int((asked or "bytes=0-")[6:-1]) for asked in gcs.ranges())
    assert (
        first == 0 and 2 * MIB - 65537 <= second < 2 * MIB and 4 * MIB - 65537 <= third <= 4 * MIB
    )


def test_a_server_that_ignores_ranges_sends_all_again(
    url: str, gcs: GcsServer, place: Path
) -> None:
    gcs.faults = [Fault("cut", at=2 * MIB), Fault("whole")]
    fetch_file(url, place, retries=HASTY)
    assert place.read_bytes() == DATA


def test_many_cuts_are_borne_as_long_as_something_comes(
    url: str, gcs: GcsServer, place: Path
) -> None:
    gcs.faults = [Fault("cut", at=int(at * 1.05 * MIB)) for at in range(1, 5)]
    fetch_file(
        url, place, retries=DownloadRetries(attempts=2, first_wait_s=0.0, silence_s=AT_MOST_S)
    )
    assert place.read_bytes() == DATA


def test_cuts_after_which_nothing_more_comes_are_not_borne_for_ever(
    url: str, gcs: GcsServer, place: Path
) -> None:
    gcs.faults = [Fault("cut", at=2 * MIB + 10 * at) for at in range(50)]
    assert "3 times in a row" in refusal(Unavailable, url, place)
    assert len(gcs.ranges()) == 4
    gcs.faults = []
    fetch_file(url, place, retries=HASTY)
    assert place.read_bytes() == DATA and gcs.ranges()[-1] is not None


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_server_is_asked_again(url: str, gcs: GcsServer, place: Path, status: int) -> None:
    gcs.faults = [Fault("status", status=status), Fault("status", status=status)]
    fetch_file(url, place, retries=HASTY)
    assert place.read_bytes() == DATA


@pytest.mark.parametrize("kind", ["status", "reset"])
def test_the_look_at_an_object_is_repeated_too(
    gcs: GcsServer, place: Path, kind: Literal["status", "reset"]
) -> None:
    gcs.faults = [Fault(kind, media_only=False), Fault(kind, media_only=False)]
    fetch_file(OBJECT, place, retries=HASTY)
    assert place.read_bytes() == DATA


def test_a_server_that_stays_busy_is_given_up(url: str, gcs: GcsServer, place: Path) -> None:
    gcs.faults = [Fault("status") for _ in range(9)]
    assert "(the server returns HTTP 503, 3 times in a row)" in refusal(Unavailable, url, place)
    assert len(gcs.ranges()) == 3


def test_a_server_that_says_nothing_is_given_up_in_time(
    url: str, gcs: GcsServer, place: Path
) -> None:
    gcs.faults = [Fault("stall", at=10) for _ in range(9)]
    assert "(no response within 0.5 s, 3 times in a row)" in refusal(
        Unavailable, url, place, retries=HASTIER
    )


def test_no_server(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        for url in (OBJECT, f"{address}/zoo/plain.pb"):
            text = refusal(Unavailable, url, place)
            assert "(Connection refused, 3 times in a row)" in text and "save the file as" in text
    assert files(place.parent) == []


def test_google_cannot_be_reached(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert "(Connection refused, 3 times in a row)" in refusal(Unavailable, OBJECT, place)


def test_no_network(place: Path) -> None:
    # No name below .invalid is anybody's, by RFC 2606.
    assert "3 times in a row" in refusal(Unavailable, "http://zoo.invalid/plain.pb", place)


# refusals


@pytest.mark.parametrize(
    "missing", ["gs://zoo/nothing.pb", "gs://no-zoo/x.pb", "/zoo/nothing.pb", "/no-zoo/x.pb"]
)
def test_what_is_not_there(gcs: GcsServer, place: Path, missing: str) -> None:
    url = missing if missing.startswith("gs:") else gcs.url + missing
    assert "the file does not exist, HTTP 404" in refusal(NotFound, url, place)
    assert len(gcs.seen) == 1


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("media_only", [True, False])
def test_what_is_not_public(
    url: str, gcs: GcsServer, place: Path, status: int, media_only: bool
) -> None:
    gcs.faults = [Fault("status", status=status, media_only=media_only)]
    assert f"the file is not public, HTTP {status}" in refusal(AccessDenied, url, place)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s3://zoo/x", "unknown scheme 's3': expected gs, https, http or file"),
        ("gs://zoo", "expected a bucket and an object"),
        ("gs:///x", "expected a bucket and an object"),
        ("file://elsewhere/x", "names the host 'elsewhere'"),
        ("http://", "Invalid URL"),
    ],
)
def test_what_is_no_address(place: Path, url: str, reason: str) -> None:
    assert reason in refusal(StorageError, url, place)


def test_a_web_page_is_no_file(gcs: GcsServer, place: Path) -> None:
    gcs.put("zoo", "page.txt", b"\n <!DOCTYPE HTML><html>Not found</html>", "text/plain")
    gcs.faults = [Fault("page")]
    for name in ("plain.pb", "page.txt"):
        assert "a web page arrived instead of the file" in refusal(
            Unavailable, f"{gcs.url}/zoo/{name}", place
        )
    assert files(place.parent) == []


def test_a_web_page_does_not_cost_what_has_come(gcs: GcsServer, place: Path) -> None:
    gcs.faults = [Fault("cut", at=3 * MIB), Fault("page")]
    url = f"{gcs.url}/zoo/plain.pb"
    refusal(Unavailable, url, place)
    fetch_file(url, place)
    assert place.read_bytes() == DATA
    assert int((gcs.ranges()[-1] or "bytes=0-")[6:-1]) > 2 * MIB


def test_a_redirect_is_followed(gcs: GcsServer, place: Path) -> None:
    gcs.faults = [Fault("redirect", location="/zoo/plain.pb")]
    fetch_file(f"{gcs.url}/zoo/other.pb", place, retries=HASTY)
    assert place.read_bytes() == DATA


@pytest.mark.parametrize(
    ("location", "reason"),
    [("/zoo/round", "Exceeded 30 redirects"), ("file:///etc/passwd", "No connection adapters")],
)
def test_redirects_that_lead_nowhere(
    gcs: GcsServer, place: Path, location: str, reason: str
) -> None:
    gcs.faults = [Fault("redirect", location=location) for _ in range(40)]
    assert reason in refusal(StorageError, f"{gcs.url}/zoo/round", place)


# damage


def test_a_wrong_byte_is_noticed_and_the_file_fetched_again(
    url: str, gcs: GcsServer, place: Path
) -> None:
    gcs.faults = [Fault("flip", at=3 * MIB)]
    fetch_file(url, place, retries=HASTY)
    assert place.read_bytes() == DATA and gcs.ranges() == [None, None]


def test_a_wrong_byte_behind_a_cut_is_noticed(url: str, gcs: GcsServer, place: Path) -> None:
    gcs.faults = [Fault("cut", at=2 * MIB), Fault("flip", at=3 * MIB)]
    fetch_file(url, place, retries=HASTY)
    assert place.read_bytes() == DATA and gcs.ranges()[-1] is None


def test_bytes_that_stay_wrong_are_refused(url: str, gcs: GcsServer, place: Path) -> None:
    gcs.faults = [Fault("flip", at=9), Fault("flip", at=9)]
    assert "its CRC32C is" in refusal(Corrupt, url, place)
    assert files(place.parent) == []


def test_an_object_that_is_shorter_than_it_should_be(gcs: GcsServer, place: Path) -> None:
    gcs.faults = [Fault("short") for _ in range(9)]
    assert f"ended after {len(DATA) - 1} of {len(DATA)} bytes" in refusal(
        Unavailable, OBJECT, place
    )


def test_a_page_without_a_checksum_is_held_to_its_length(gcs: GcsServer, place: Path) -> None:
    gcs.plain_headers = {"x-goog-hash": ""}
    gcs.faults = [Fault("cut", at=MIB)]
    fetch_file(f"{gcs.url}/zoo/plain.pb", place, retries=HASTY)
    assert place.read_bytes() == DATA


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_a_page_that_does_not_tell_versions_apart_is_fetched_from_the_start(
    gcs: GcsServer, place: Path, etag: str
) -> None:
    gcs.plain_headers = {"ETag": etag}
    gcs.faults = [Fault("cut", at=3 * MIB)]
    fetch_file(f"{gcs.url}/zoo/plain.pb", place, retries=HASTY)
    assert place.read_bytes() == DATA and gcs.ranges()[-1] is None


def test_two_versions_are_never_put_together(url: str, gcs: GcsServer, place: Path) -> None:
    gcs.faults = [Fault("cut", at=3 * MIB), *(Fault("status", media_only=False) for _ in range(9))]
    refusal(Unavailable, url, place)
    gcs.faults = []
    for name in (NAME, "plain.pb"):
        gcs.put("zoo", name, DATA[::-1])
    fetch_file(url, place, retries=HASTY)
    assert place.read_bytes() == DATA[::-1] and files(place.parent) == [place.name]


def test_what_lies_here_of_another_address_is_not_gone_on_with(gcs: GcsServer, place: Path) -> None:
    gcs.faults = [Fault("cut", at=3 * MIB), *(Fault("status", media_only=False) for _ in range(9))]
    refusal(Unavailable, OBJECT, place)
    gcs.faults = []
    fetch_file("gs://zoo/plain.pb", place)
    assert gcs.ranges()[-1] is None


# several at once, killed


def test_two_processes_that_want_one_file_fetch_it_once(
    url: str, gcs: GcsServer, place: Path
) -> None:
    held = Fault("stall", at=MIB)
    gcs.faults = [held]
    processes = [fetching(url, place) for _ in range(2)]
    assert held.reached.wait(AT_MOST_S)
    time.sleep(0.3)
    held.released.set()
    for process in processes:
        assert process.communicate(timeout=AT_MOST_S)[1] == "" and process.returncode == 0
    assert place.read_bytes() == DATA and files(place.parent) == [place.name]
    assert len(gcs.ranges()) == 2, "the one that stalled, and the same process going on"


def test_threads_that_want_one_file_fetch_it_once(gcs: GcsServer, place: Path) -> None:
    threads = [threading.Thread(target=fetch_file, args=(OBJECT, place)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert place.read_bytes() == DATA and gcs.ranges() == [None]


def test_a_killed_process_leaves_what_the_next_goes_on_from(
    url: str, gcs: GcsServer, place: Path
) -> None:
    for at in (2 * MIB, 4 * MIB):
        held = Fault("stall", at=at)
        gcs.faults = [held]
        process = fetching(url, place)
        assert held.reached.wait(AT_MOST_S)
        # What the server has sent is not yet on the disk.
        wait_for(lambda: sum(file.stat().st_size for file in place.parent.iterdir()) >= at - MIB)  # noqa: B023  it is called here
        process.send_signal(signal.SIGKILL)
        process.communicate()
        held.released.set()
        assert not place.exists()
    fetch_file(url, place, retries=HASTY)
    assert place.read_bytes() == DATA and files(place.parent) == [place.name]
    first, second, third = (int((asked or "bytes=0-")[6:-1]) // MIB for asked in gcs.ranges())
    assert first == 0 and second in (1, 2) and third in (3, 4)


@pytest.mark.slow
def test_killed_at_any_moment_there_is_the_file_or_none(gcs: GcsServer, place: Path) -> None:
    chance = random.Random(4)
    for _ in range(6):
        process = fetching(OBJECT, place)
        time.sleep(0.3 + 0.5 * chance.random())
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not place.exists() or place.read_bytes() == DATA
        place.unlink(missing_ok=True)
    fetch_file(OBJECT, place)
    assert place.read_bytes() == DATA


# the disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mount.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {mount.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_too_small_is_noticed_before_it_is_full(
    url: str, gcs: GcsServer, small_disk: Path
) -> None:
    text = refusal(Unavailable, url, small_disk / "Tiny.pb")
    assert text.startswith("no space left to save ") and "Free some" in text
    assert files(small_disk) == []


def test_a_disk_that_fills_up_is_left_as_it_was(gcs: GcsServer, small_disk: Path) -> None:
    gcs.plain_headers = {"Content-Encoding": "x-none"}  # so that the length is no promise
    assert refusal(Unavailable, f"{gcs.url}/zoo/plain.pb", small_disk / "Tiny.pb").startswith(
        "no space left to save "
    )
    assert files(small_disk) == []


def test_a_file_that_may_not_become_so_long(gcs: GcsServer, place: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, before[1]))
    try:
        assert "File too large" in refusal(Unavailable, OBJECT, place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(place.parent) == []
    fetch_file(OBJECT, place)


def test_a_file_where_a_folder_is_needed(gcs: GcsServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"")
    refusal(Unavailable, OBJECT, tmp_path / "cache" / "Tiny.pb")


# what is said and loaded


def test_secrets_are_not_shown(gcs: GcsServer, place: Path) -> None:
    secret = gcs.url.replace("//", "//me:hunter2@") + "/zoo/nothing?X-Goog-Signature=abc"
    with pytest.raises(NotFound) as caught:
        fetch_file(secret, place)
    assert "hunter2" not in str(caught.value) and "abc" not in str(caught.value)
    assert without_secrets("gs://zoo/a@b?c") == "gs://zoo/a@b?c"


def test_the_import_is_light() -> None:
    script = "import sys, diamond_cutter.storage.downloads; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=REPOSITORY
    ).stdout.split()
    assert not {"numpy", "google.cloud.storage", "google.auth", "requests", "tensorflow"} & set(
        loaded
    )


def test_a_cut_after_a_mebibyte_does_not_count_as_an_attempt(gcs: GcsServer, place: Path) -> None:
    gcs.faults = [Fault("cut", at=at * MIB) for at in range(1, 3)]
    fetch_file(
        OBJECT, place, retries=DownloadRetries(attempts=1, first_wait_s=0.0, silence_s=AT_MOST_S)
    )
    assert place.read_bytes() == DATA


def test_a_page_that_is_gone_is_not_waited_for(gcs: GcsServer, place: Path) -> None:
    gcs.faults = [Fault("status", status=410)]
    assert "does not exist, HTTP 410" in refusal(NotFound, f"{gcs.url}/zoo/plain.pb", place)
    assert len(gcs.seen) == 1


def test_gateways_that_fail_for_a_while_are_waited_for(gcs: GcsServer, place: Path) -> None:
    gcs.faults = [Fault("status", status=502), Fault("status", status=504)]
    fetch_file(f"{gcs.url}/zoo/plain.pb", place, retries=HASTY)
    assert place.read_bytes() == DATA


def test_a_redirect_from_https_may_lead_to_https_only(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(_adapter: object, request: requests.PreparedRequest, **_: object) -> requests.Response:
        answer = requests.Response()
        answer.request, answer.url, answer.raw = request, str(request.url), io.BytesIO(DATA)
        scheme, _, name = answer.url.partition("://zoo/to-")
        answer.status_code = 302 if name else 200
        answer.headers["Location"] = f"{name}://zoo/file" if scheme == "https" else ""
        return answer

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    assert "without encryption" in refusal(Unavailable, "https://zoo/to-http", place)
    fetch_file("https://zoo/to-https", place, retries=HASTY)
    assert place.read_bytes() == DATA


def test_each_wait_for_a_busy_server_is_twice_as_long(
    gcs: GcsServer, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(downloads, "time", SimpleNamespace(sleep=waits.append))
    gcs.faults = [Fault("status") for _ in range(3)]
    retries = DownloadRetries(attempts=4, first_wait_s=3.0, silence_s=AT_MOST_S)
    fetch_file(OBJECT, place, retries=retries)
    assert waits == [3.0, 6.0, 12.0]
