"""Serves a bucket's galleries on this machine, to look around in any bucket, private ones included.

Pages and scripts are made here, from the records; of the bucket's own files only pictures and
tables are handed out. What somebody else has written into a bucket is therefore never run by the
browser.
"""

import re
import sys
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.exits import Terminated
from diamond_cutter.storage import (
    AccessDenied,
    BadKey,
    Bucket,
    Corrupt,
    CredentialsError,
    NotFound,
    StorageError,
    Unavailable,
    check_key,
    content_type_of,
)
from diamond_cutter.storage.sets.layout import (
    gallery_key,
    is_gallery_file,
    report_key,
    report_of,
    report_page_key,
    set_folder,
)
from diamond_cutter.tasks.gallery.pages import GALLERY, bucket_page, message_page
from diamond_cutter.tasks.gallery.site import index_page, layer_files, layer_keys
from diamond_cutter.tasks.gallery.sources import LayerSource, read_sources
from diamond_cutter.tasks.gathering.contents import read_settings, set_names
from diamond_cutter.tasks.importing.stored import read_card
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.reporting.contents import ReportRecord
from diamond_cutter.tasks.reporting.pages import REPORT, from_script, report_page
from diamond_cutter.tasks.reporting.stored import list_reports, reports_with

_FILES = (".webp", ".png", ".jpg", ".json", ".parquet")
_FOLDERS = ("sprites/", "models/", "reports/")
_HOSTS = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.IGNORECASE)
_FINGERPRINTED = re.compile(r".*\.[0-9a-f]{16}\.[a-z]+")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src "
    "'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_STATUSES: dict[type[StorageError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    BadKey: HTTPStatus.NOT_FOUND,
    AccessDenied: HTTPStatus.FORBIDDEN,
    CredentialsError: HTTPStatus.FORBIDDEN,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Corrupt: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_LAYERS_KEPT = 32


class Answer(NamedTuple):
    """What is sent back."""

    status: HTTPStatus
    content_type: str
    body: bytes
    immutable: bool = False


class Galleries:
    """The galleries of a bucket, made when they are asked for, and again when their set has
    changed.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._lock = threading.Lock()
        self._sources: dict[tuple[str, str], tuple[object, list[LayerSource]]] = {}
        self._files: OrderedDict[str, dict[str, bytes]] = OrderedDict()

    def page(self, model: str, recipe: str) -> bytes:
        """Return the page that a set's gallery begins with.

        Raises:
            NotFound: there is no such set.
        """
        sources, settings = self._read(model, recipe), read_settings(self._bucket, model, recipe)
        if not sources and settings is None:
            raise NotFound(f"The bucket has no sprite set of {model} by {recipe}.")
        return index_page(
            model, recipe, settings, sources, reports_with(self._bucket, model, recipe)
        )

    def file(self, model: str, recipe: str, key: str) -> bytes:
        """Return a file that a set's gallery holds of a layer.

        Raises:
            NotFound: there is none of that name, or there is no more.
            Corrupt: the layer's spritemap is damaged.
        """
        source = self._source_of(model, recipe, key)
        if key.endswith(".webp"):  # a picture may come from the bucket, where publishing has put it
            try:
                return self._bucket.get(key)
            except NotFound:
                pass
        # One at a time: a large layer's spritemap takes a gigabyte while it is looked at.
        with self._lock:
            name = layer_keys(model, recipe, source)[0]
            if name not in self._files:
                self._files[name] = layer_files(self._bucket, model, recipe, source)
            self._files.move_to_end(name)
            while len(self._files) > _LAYERS_KEPT:
                self._files.popitem(last=False)
            return self._files[name][key]

    def _source_of(self, model: str, recipe: str, key: str) -> LayerSource:
        known = self._sources.get((model, recipe))
        for sources in (known[1] if known else [], self._read(model, recipe)):
            for source in sources:
                if key in layer_keys(model, recipe, source):
                    return source
        raise NotFound(f"No layer of this set has a file {key}; load its page again.")

    def _read(self, model: str, recipe: str) -> list[LayerSource]:
        records = (
            info
            for info in self._bucket.list(set_folder(model, recipe))
            if not is_gallery_file(info.key)
        )
        version = tuple((info.key, info.token) for info in records)
        known = self._sources.get((model, recipe))
        if known is None or known[0] != version:
            card = read_card(self._bucket, model)
            known = self._sources[model, recipe] = (
                version,
                list(read_sources(self._bucket, model, recipe, card)),
            )
        return known[1]


def answer(bucket: Bucket, galleries: Galleries, path: str) -> Answer:
    """Return what there is under a URL's path, or a page that says what is wrong."""
    try:
        return _found(bucket, galleries, _key(path))
    except StorageError as error:
        status = next(
            (status for kind, status in _STATUSES.items() if isinstance(error, kind)),
            HTTPStatus.INTERNAL_SERVER_ERROR,
        )
        return _page(message_page(status.phrase, str(error)), status)


def _key(path: str) -> str:
    """Return the key that a path stands for; that of a folder ends in '/'.

    Raises:
        BadKey: no key is written so.
    """
    key = unquote(path.removeprefix("/"))
    # Slashes and dots are written as they are by everybody who means well.
    if not path.startswith("/") or any(
        key.count(sign) != path.count(sign) - path[:1].count(sign) for sign in "/."
    ):
        raise BadKey("No key of a bucket is written like this.")
    if key:
        check_key(key.removesuffix("/"))
    return key


def _found(bucket: Bucket, galleries: Galleries, key: str) -> Answer:
    if not key:
        return _page(bucket_page(bucket.url, _sets(bucket), _reports(bucket)))
    if key in asset_files(GALLERY, ""):
        return _file(key, asset_files(GALLERY, "")[key])
    top, *names = key.split("/")
    if top == "sprites" and len(names) == 3:
        model, recipe, _ = names
        if key in (set_folder(model, recipe), gallery_key(model, recipe)):
            return _page(galleries.page(model, recipe))
        assets = asset_files(GALLERY, set_folder(model, recipe))
        if key in assets:
            return _file(key, assets[key])
    if top == "sprites" and len(names) == 4 and is_gallery_file(key):
        return _file(key, galleries.file(names[0], names[1], key))
    folder = report_of(f"{key}index.html" if key.endswith("/") else key)
    if folder is not None and (
        key in (folder, report_page_key(folder)) or key.endswith((".js", ".css", ".svg"))
    ):
        return _of_report(bucket, folder, key)
    if not key.startswith(_FOLDERS) or not key.endswith(_FILES):
        raise NotFound(
            f"{key} is nothing that is shown here; pictures, records and tables of sprites, "
            "models and reports are."
        )
    return _file(key, bucket.get(key))


def _of_report(bucket: Bucket, folder: str, key: str) -> Answer:
    """Return a report's page, or a script or style of it: none of them as it lies there, but made
    anew of what it says.
    """
    if key in (folder, report_page_key(folder)):
        return _page(
            report_page(
                ReportRecord.from_bytes(bucket.get(report_key(folder)), report_key(folder)).contents
            )
        )
    assets = asset_files(REPORT, folder)
    if key in assets:
        return _file(key, assets[key])
    if not key.endswith(".js"):
        raise NotFound(f"{key} is nothing that is shown here.")
    return _file(key, as_script(*from_script(bucket.get(key))))


def _reports(bucket: Bucket) -> list[tuple[str, str, str]]:
    """Return the folder, the images and the model of each report that is complete."""
    return [
        (listing.key, listing.dataset, listing.model)
        for listing in list_reports(bucket)
        if listing.complete
    ]


def _sets(bucket: Bucket) -> dict[str, list[str]]:
    sets: dict[str, list[str]] = defaultdict(list)
    for model, recipe in set_names(bucket):
        sets[model].append(recipe)
    return sets


def _page(body: bytes, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(status, content_type_of("page.html"), body)


def _file(key: str, body: bytes) -> Answer:
    return Answer(
        HTTPStatus.OK,
        content_type_of(key),
        body,
        immutable=_FINGERPRINTED.fullmatch(key) is not None,
    )


def serve(bucket: Bucket, port: int, tell: Callable[[str], None]) -> None:
    """Serve a bucket on 127.0.0.1 until interrupted.

    Args:
        bucket: what to serve.
        port: where; 0 takes one that is free.
        tell: is called with the URL once it can be opened.

    Raises:
        RequestError: the port cannot be had.
    """
    with server_of(bucket, port) as server:
        tell(f"http://127.0.0.1:{server.server_port}/")
        try:
            server.serve_forever()
        except Terminated:
            raise
        except KeyboardInterrupt:
            return


def server_of(bucket: Bucket, port: int) -> ThreadingHTTPServer:
    """Return a server of a bucket on a port of 127.0.0.1.

    Raises:
        RequestError: the port cannot be had.
    """
    try:
        return _Server(("127.0.0.1", port), _handler(bucket))
    except (OSError, OverflowError) as error:
        raise RequestError(
            f"port {port} cannot be served on ({error}); give another one, or none for any that "
            "is free"
        ) from error


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say what went wrong, unless it is that a browser has not waited for the answer."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _handler(bucket: Bucket) -> type[BaseHTTPRequestHandler]:
    """Return what answers the requests of a server of a bucket."""
    galleries = Galleries(bucket)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60
        server_version = "diamond-cutter"
        sys_version = ""

        def do_GET(self) -> None:
            self._send(self._answer())

        def do_HEAD(self) -> None:
            self._send(self._answer())

        def _answer(self) -> Answer:
            # A page of another site could otherwise come here under a name of its own that leads to
            # this machine.
            if not _HOSTS.fullmatch(self.headers.get("Host", "")):
                return _page(
                    message_page("Bad request", "This is served to 127.0.0.1 and localhost only."),
                    HTTPStatus.BAD_REQUEST,
                )
            path = (
                urlsplit(self.path).path
                if self.path.startswith("/") and not self.path.startswith("//")
                else ""
            )
            folder = re.fullmatch(r"/sprites/[^/]+/[^/]+|/reports/[^/]+/[^/]+/[^/]+", path)
            if folder:
                return Answer(HTTPStatus.MOVED_PERMANENTLY, path + "/", b"")
            return answer(bucket, galleries, path)

        def _send(self, sent: Answer) -> None:
            self.send_response(sent.status)
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            moved = sent.status == HTTPStatus.MOVED_PERMANENTLY
            self.send_header("Location" if moved else "Content-Type", sent.content_type)
            self.send_header("Content-Length", str(len(sent.body)))
            self.send_header(
                "Cache-Control", "max-age=31536000, immutable" if sent.immutable else "no-cache"
            )
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(sent.body)

        def send_error(
            self, code: int, message: str | None = None, explain: str | None = None
        ) -> None:
            """Answer a request that is none, or of another method, by a page of ours."""
            self.close_connection = True
            status = HTTPStatus(code)
            self._send(_page(message_page(status.phrase, message or status.description), status))

        def log_message(self, format: str, *args: object) -> None:
            """Keep still."""

    return Handler
