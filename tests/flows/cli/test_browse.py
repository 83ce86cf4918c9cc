"""What is served of a bucket: galleries made here, pictures and tables from it, and nothing else,
to nobody else.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.flows.cli.browse import listen, site_server
from diamond_cutter.flows.cli.copies import copy
from diamond_cutter.flows.errors import RequestError
from diamond_cutter.storage import (
    AccessDenied,
    Bucket,
    CredentialsError,
    GcsBucket,
    LocalBucket,
    StorageError,
    Unavailable,
)
from diamond_cutter.storage.sets.layout import (
    card_key,
    claim_key,
    gallery_key,
    graph_key,
    set_folder,
    shard_record_key,
    spritemap_record_key,
)
from diamond_cutter.tasks.browsing.generated_galleries import GeneratedGalleries
from diamond_cutter.tasks.browsing.set_cards import set_cards
from diamond_cutter.tasks.pages.scripts import read_script
from tests.flows.made_up_set import RECIPE
from tests.storage.gcs_server import serving
from tests.tasks.gallery.made_up_gallery import MODEL, publish, put_failed_run, put_layer, scores
from tests.waiting import AT_MOST_S

SET = set_folder(MODEL, RECIPE.key)
EVIL = b"<script>alert(1)</script>"


class Served:
    """A bucket that is served, and what its answers are."""

    def __init__(self, bucket: Bucket) -> None:
        self._server, listener = site_server(bucket), listen(0)
        self.port = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})
        self._thread.start()

    def ask(
        self, path: str, method: str = "GET", host: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=AT_MOST_S)
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{self.port}")
        connection.endheaders()
        found = connection.getresponse()
        body = found.read()
        connection.close()
        # Names of headers have no case: "content-type" is "Content-Type".
        return found.status, {name.title(): value for name, value in found.getheaders()}, body

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()


def published(folder: Path) -> LocalBucket:
    bucket = LocalBucket(folder)
    put_layer(bucket, "stem", [scores(channel) for channel in range(9)])
    put_layer(bucket, "a/<b>", [scores(0), scores(1)])
    publish(bucket)
    return bucket


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return published(tmp_path / "bucket")


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a bucket that tests only read, with files that nobody may see in it and beside it."""
    folder = tmp_path_factory.mktemp("served")
    served = Served(published(folder / "bucket"))
    for place in (folder, folder / "bucket", folder / "bucket" / "other"):
        place.mkdir(exist_ok=True)
        (place / "secret.json").write_text("secret")
    yield served
    served.close()


@pytest.fixture
def served(bucket: LocalBucket) -> Iterator[Served]:
    served = Served(bucket)
    yield served
    served.close()


def files_named(page: bytes) -> list[str]:
    """Return the files that a page names: its own, and those of its layers."""
    own = re.findall(rb'(?:src|href)="([^"]+)"', page)
    layers = re.findall(rb'"(?:numbers|preview|file|words)": "([^"]+)"', page)
    return [name.decode() for name in (*own, *layers)]


def test_the_first_page_leads_to_each_set(served: Served) -> None:
    status, headers, page = served.ask("/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    (link,) = re.findall(rb'class="card-head" href="(/sprites/[^"]+)"', page)
    status, _, gallery = served.ask(link.decode())
    assert status == 200 and b'id="site"' in gallery
    for name in files_named(page):
        assert served.ask(name)[0] == 200


def test_a_damaged_page_or_report_costs_only_itself(served: Served, bucket: LocalBucket) -> None:
    first = served.ask("/")[2]
    assert b"2 layers \xc2\xb7 11 sprites" in first
    for damage in (b"no page", b'<script type="application/json" id="site">{"model": 3}</script>'):
        bucket.put(gallery_key(MODEL, RECIPE.key), damage, mode="overwrite")
        assert b"2 layers \xc2\xb7 11 sprites" in served.ask("/")[2]
    bucket.put("reports/a@1/b@2/attribution@3/report.json", EVIL)
    bucket.put(card_key(MODEL), EVIL, mode="overwrite")
    status, _, page = served.ask("/")
    assert status == 200 and b"2 layers" in page and EVIL not in page
    status, _, page = served.ask(f"/models/{MODEL}/")
    assert status == 200 and b"missing or damaged" in page and b"11 sprites" in page
    assert served.ask("/models/unknown@12345678/")[0] == 404


def test_the_first_page_shows_the_best_sprites_by_one_read_of_each_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, read = published(tmp_path), list[str]()
    get = LocalBucket.get

    def reading(self: LocalBucket, key: str, **options: int | None) -> bytes:
        read.append(key)
        return get(self, key, **options)

    monkeypatch.setattr(LocalBucket, "get", reading)
    (card,) = set_cards(bucket, GeneratedGalleries(bucket))
    assert read == [gallery_key(MODEL, RECIPE.key)]
    # Previews begin with the best; the second layer has two sprites only.
    assert [crop.left for crop in card.previews] == [0, 64, 128, 192, 256, 320, 0, 64]


def test_the_first_page_shows_the_thumbnails_of_galleries_of_earlier_versions(
    served: Served, bucket: LocalBucket
) -> None:
    page = bucket.get(gallery_key(MODEL, RECIPE.key))
    for key in [info.key for info in bucket.list(SET) if re.search(r"/gallery\..*webp$", info.key)]:
        earlier = re.sub(r"gallery\.\w+", "gallery.0123456789abcdef", key)
        page = page.replace(Path(key).name.encode(), Path(earlier).name.encode())
        bucket.put(earlier, bucket.get(key))
        bucket.delete(key)
    bucket.put(gallery_key(MODEL, RECIPE.key), page, mode="overwrite")
    thumbnails = set(re.findall(r'<image href="([^"]+)"', served.ask("/")[2].decode()))
    assert len(thumbnails) == 2
    assert {served.ask(path)[0] for path in thumbnails} == {200}


def test_the_first_page_shows_the_sprites_of_a_first_layer_in_progress(tmp_path: Path) -> None:
    bucket = LocalBucket(tmp_path)
    put_layer(bucket, "stem", [scores(0), scores(1, flags=("grey",)), scores(2)])
    bucket.delete(spritemap_record_key(MODEL, RECIPE.key, "stem", "all"))
    publish(bucket)
    (card,) = set_cards(bucket, GeneratedGalleries(bucket))
    assert (card.in_progress, card.missing) == (1, 0)
    assert [(crop.left, crop.width, crop.side) for crop in card.previews] == [
        (64, 96, 32),
        (0, 96, 32),
    ]
    put_failed_run(bucket, "01234567", selection={"stem": range(9)}, failed={"stem": range(4, 9)})
    publish(bucket)
    (card,) = set_cards(bucket, GeneratedGalleries(bucket))
    assert (card.in_progress, card.missing) == (0, 5)


def test_open_pages_get_what_grows_and_learn_whether_a_run_is_at_work(
    served: Served, bucket: LocalBucket
) -> None:
    def data() -> dict[str, Any]:
        status, headers, script = served.ask(f"/{SET}index.js?at=1")
        assert status == 200 and headers["Content-Type"].startswith("text/javascript")
        assert headers["Cache-Control"] == "no-cache"
        return dict(read_script(script)[1])

    assert len(data()["layers"]) == 2 and not data()["in_progress"]
    claim = claim_key(shard_record_key(MODEL, RECIPE.key, "block_0", range(4)))
    bucket.put(claim, b"{}")
    assert data()["in_progress"]
    put_layer(bucket, "block_0", [scores(channel) for channel in range(4)])
    bucket.delete(claim)
    assert len(data()["layers"]) == 3 and not data()["in_progress"]
    bucket.put(f"{SET}index.js", EVIL, mode="overwrite")
    assert len(data()["layers"]) == 3
    assert served.ask(f"/{SET[:-2]}9/index.js")[0] == 404


def test_a_gallery_and_all_that_it_names_is_served(served: Served) -> None:
    status, headers, page = served.ask(f"/{SET}")
    assert (status, headers["Cache-Control"]) == (200, "no-cache")
    names = files_named(page)
    assert len(names) == 12  # spritemaps twice: for those without JavaScript, too
    kinds = {
        "js": "text/javascript; charset=utf-8",
        "css": "text/css; charset=utf-8",
        "svg": "image/svg+xml",
    }
    for name in names:
        status, headers, body = served.ask(f"/{SET}{name}")
        suffix = name.rpartition(".")[2]
        assert (status, headers["Content-Type"]) == (200, kinds.get(suffix, f"image/{suffix}"))
        assert headers["Cache-Control"] == "max-age=31536000, immutable"
        assert int(headers["Content-Length"]) == len(body) > 0


def test_the_gallery_is_the_one_that_is_published(served: Served, bucket: LocalBucket) -> None:
    assert (
        served.ask(f"/{SET}")[2]
        == served.ask(f"/{SET}index.html")[2]
        == bucket.get(gallery_key(MODEL, RECIPE.key))
    )


def test_a_bucket_on_google_cloud_storage_is_served_the_same(
    served: Served, bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as gcs:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        gcs.make("place")
        remote = GcsBucket("place", "team")
        copy(bucket, remote)
        elsewhere = Served(remote)
        try:
            page = elsewhere.ask(f"/{SET}")[2]
            assert page == served.ask(f"/{SET}")[2]
            for name in files_named(page):
                assert elsewhere.ask(f"/{SET}{name}")[2] == served.ask(f"/{SET}{name}")[2]
            gcs.put("place", "secret.webp", b"beside the prefix")
            for path in (
                "/../secret.webp",
                "/sprites/../../secret.webp",
                "/%2e%2e/secret.webp",
                "/secret.webp",
            ):
                assert elsewhere.ask(path)[0] in (400, 403, 404)
        finally:
            elsewhere.close()


def test_what_the_bucket_holds_of_pages_and_scripts_is_never_served(
    served: Served, bucket: LocalBucket
) -> None:
    page = served.ask(f"/{SET}")[2]
    scripts = [name for name in files_named(page) if name.endswith(".js")]
    before = {name: served.ask(f"/{SET}{name}")[2] for name in scripts}
    for name in ("index.html", *scripts):
        bucket.put(SET + name, EVIL, mode="overwrite")
    bucket.put(SET + "gallery.0123456789abcdef.js", EVIL)
    bucket.put(SET + "stem/gallery.0123456789abcdef.js", EVIL)
    bucket.put(SET + "stem/evil.html", EVIL)
    bucket.put(SET + "stem/evil.svg", EVIL)
    bucket.put("reports/a/b/c/index.html", EVIL)
    other = Served(bucket)
    try:
        for way in (served, other):
            assert way.ask(f"/{SET}")[2] == page
            assert {name: way.ask(f"/{SET}{name}")[2] for name in scripts} == before
            for name in (
                "gallery.0123456789abcdef.js",
                "stem/gallery.0123456789abcdef.js",
                "stem/evil.html",
                "stem/evil.svg",
            ):
                status, _, body = way.ask(f"/{SET}{name}")
                assert status == 404 and EVIL not in body
            assert way.ask("/reports/a/b/c/index.html")[0] == 404
    finally:
        other.close()


def test_a_changed_set_is_shown_as_it_is_now(served: Served, bucket: LocalBucket) -> None:
    assert b'"block_0/' not in served.ask(f"/{SET}")[2]
    put_layer(bucket, "block_0", [scores(0), scores(1)])
    page = served.ask(f"/{SET}")[2]
    assert b'"block_0/' in page
    assert all(served.ask(f"/{SET}{name}")[0] == 200 for name in files_named(page))


def test_an_unpublished_set_is_shown_too(tmp_path: Path) -> None:
    bucket = LocalBucket(tmp_path / "other")
    put_layer(bucket, "stem", [scores(0), scores(1)])
    served = Served(bucket)
    try:
        page = served.ask(f"/{SET}")[2]
        assert all(served.ask(f"/{SET}{name}")[0] == 200 for name in files_named(page))
        assert all(
            info.key.rpartition("/")[2].startswith(("0", "spritemap.")) for info in bucket.list()
        )
    finally:
        served.close()


def test_records_and_tables_are_served_as_what_they_are(
    served: Served, bucket: LocalBucket
) -> None:
    bucket.put("reports/a/b/c/scores.parquet", b"PAR1")
    status, headers, body = served.ask("/" + card_key(MODEL))
    assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert json.loads(body)["name"] == "made-up"
    assert headers["Cache-Control"] == "no-cache"
    assert (
        served.ask("/reports/a/b/c/scores.parquet")[1]["Content-Type"]
        == "application/vnd.apache.parquet"
    )
    assert served.ask("/" + graph_key(MODEL))[0] == 404


@pytest.mark.parametrize("path", ["/", f"/{SET}", "/nothing", "/..", f"/{SET}recipe.json"])
def test_every_answer_forbids_what_it_does_not_need(unchanged: Served, path: str) -> None:
    headers = unchanged.ask(path)[1]
    policy = dict(
        part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";")
    )
    assert (
        policy.pop("default-src")
        == policy.pop("base-uri")
        == policy.pop("form-action")
        == policy.pop("frame-ancestors")
        == "'none'"
    )
    assert set(policy.values()) == {"'self'"}
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not any(name.startswith("Access-Control") for name in headers)


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.json",
        "/sprites/../../secret.json",
        "/sprites/%2e%2e/%2e%2e/secret.json",
        "/sprites/..%2f..%2fsecret.json",
        "/models/x/../../../secret.json",
        "//secret.json",
        "/sprites//secret.json",
        "/models\\..\\..\\secret.json",
        "/models/%5c..%5csecret.json",
        "/models/%00.json",
        "/models/%ff.json",
        "/models/.staging/secret.json",
        "/secret.json",
        "/.staging/secret.json",
        "/other/secret.json",
        "/models/made%2dup@x%2fcard.json",
        "/gallery.0123456789abcdef.js",
        "/sprites/x/y/",
        "/sprites/x/y/z/gallery.0123456789abcdef.js",
        "/models/",
        "/models",
        "secret.json",
        "http://elsewhere/secret.json",
        "/x" * 2000,
    ],
)
def test_nothing_else_is_served(unchanged: Served, path: str) -> None:
    status, headers, body = unchanged.ask(path)
    assert status == 404
    assert headers["Content-Type"].startswith("text/html")
    assert b">secret<" not in body and body != b"secret"


def test_what_is_asked_for_is_escaped_in_the_answer(served: Served) -> None:
    for path in (
        "/sprites/<script>alert(1)</script>",
        "/sprites/%3Cscript%3Ealert(1)%3C/script%3E/y/",
        "/sprites/a/%3Cb%3E/",
    ):
        assert b"<script>" not in served.ask(path)[2]


def test_a_folders_page_is_found_without_its_slash(served: Served) -> None:
    status, headers, _ = served.ask(f"/{SET}".rstrip("/"))
    assert (status, headers["Location"]) == (301, f"/{SET}")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost@evil",
        "[::1]",
        "0.0.0.0",
        "",
    ],
)
def test_other_names_of_this_machine_are_refused(unchanged: Served, host: str) -> None:
    status, _, body = unchanged.ask("/", host=host or " ")
    assert status == 400 and b"sprites/" not in body


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "LOCALHOST:8080"])
def test_this_machine_may_be_called_by_its_own_names(unchanged: Served, host: str) -> None:
    assert unchanged.ask("/", host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
def test_nothing_but_reading_is_answered(unchanged: Served, method: str) -> None:
    status, headers, body = unchanged.ask("/", method=method)
    assert status == 501 and "Content-Security-Policy" in headers and method.encode() not in body


def test_a_malformed_request_is_refused_without_repeating_it(served: Served) -> None:
    status, headers, body = served.ask("/", method="<b>")
    assert (status, headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert b"<b>" not in body


def test_head_says_what_get_would_and_sends_nothing(served: Served) -> None:
    for path in ("/", f"/{SET}", "/nothing"):
        got, head = served.ask(path), served.ask(path, method="HEAD")
        assert (head[0], head[1]["Content-Length"]) == (got[0], got[1]["Content-Length"])
        assert head[2] == b""


@pytest.mark.parametrize(
    ("error", "status"),
    [(AccessDenied, 403), (CredentialsError, 403), (Unavailable, 503), (StorageError, 500)],
)
def test_what_the_bucket_cannot_do_is_said(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch, error: type[StorageError], status: int
) -> None:
    def fails(*_: object) -> Iterator[str]:
        raise error("no <b>luck</b>")

    monkeypatch.setattr(bucket, "folders", fails)
    served = Served(bucket)
    try:
        found, _, body = served.ask("/")
        assert found == status and b"no &lt;b&gt;luck" in body
    finally:
        served.close()


def test_a_damaged_spritemap_is_said_to_be(
    served: Served, bucket: LocalBucket, tmp_path: Path
) -> None:
    record = put_layer(bucket, "block_0", [scores(0), scores(1)])
    file = tmp_path / "bucket" / record.file.key
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    (numbers,) = re.findall(rb'"numbers": "(block_0[^"]+)"', served.ask(f"/{SET}")[2])
    assert served.ask(f"/{SET}{numbers.decode()}")[0] == 500


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "code", "said"),
    [(signal.SIGINT, 0, ""), (signal.SIGTERM, 143, "diamond-cutter: terminated\n")],
)
def test_the_command_says_where_and_ends_when_told_to(
    by: signal.Signals, code: int, said: str, bucket: LocalBucket
) -> None:
    command = [
        sys.executable,
        "-m",
        "diamond_cutter.flows.cli.main",
        "browse",
        "--bucket",
        bucket.url,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout and process.stderr
        found = re.match(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        assert found, process.stderr.read()
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=AT_MOST_S)
        connection.request("GET", "/")
        assert connection.getresponse().read().startswith(b"<!doctype html>")
        process.send_signal(by)
        try:
            assert process.wait(AT_MOST_S) == code
        finally:
            process.kill()
        assert process.stderr.read() == said
        connection.close()


def test_a_port_that_is_taken_is_said_to_be(served: Served) -> None:
    for port in (served.port, 70_000):
        with pytest.raises(RequestError, match=f"port {port} cannot be served"):
            listen(port)
