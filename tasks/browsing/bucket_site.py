"""The site that `diamond-cutter browse` serves: the galleries and reports of a bucket.

Pages and scripts are generated here, from the records. Of the bucket's own files only pictures and
tables are served. The browser therefore never runs a file that somebody else wrote to the bucket.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diamond_cutter.storage import (
    AccessDenied,
    BadKey,
    Bucket,
    CredentialsError,
    NotFound,
    StorageError,
    Unavailable,
    check_key,
    content_type_of,
)
from diamond_cutter.storage.sets.layout import (
    gallery_data_key,
    is_fingerprinted,
    is_gallery_file,
    set_folder,
)
from diamond_cutter.storage.sets.report_keys import report_folder, report_key
from diamond_cutter.tasks.browsing.ages import newest_first
from diamond_cutter.tasks.browsing.generated_galleries import GeneratedGalleries
from diamond_cutter.tasks.browsing.report_cards import (
    ReportCard,
    history_of,
    is_attach_folder,
    report_cards,
)
from diamond_cutter.tasks.browsing.set_cards import SetCard, set_cards
from diamond_cutter.tasks.gallery.pages import GALLERY, bucket_page, message_page, model_page
from diamond_cutter.tasks.importing.stored import read_card
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.reporting.pages import from_script
from diamond_cutter.tasks.stored_reports import (
    frontend_of,
    generated_charts,
    generated_page,
    report_kind,
)

_FILES = (".webp", ".png", ".jpg", ".json", ".parquet", ".csv")
_FOLDERS = ("sprites/", "models/", "reports/")
_HOSTS = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.IGNORECASE)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_STATUSES: Mapping[type[StorageError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    BadKey: HTTPStatus.NOT_FOUND,
    AccessDenied: HTTPStatus.FORBIDDEN,
    CredentialsError: HTTPStatus.FORBIDDEN,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


def bucket_site(bucket: Bucket) -> ASGIApp:
    """Return the ASGI application that serves a bucket to the browsers of this machine."""
    site = _Site(bucket)
    a_set, a_report = "/sprites/{model}/{recipe}", "/reports/{dataset}/{model}/{report}"
    routes = [
        Route("/", site.index),
        Route("/{name}", site.index_file),
        Route("/models/{model}", _add_slash),
        Route("/models/{model}/", site.model),
        Route(a_set, _add_slash),
        Route(a_set + "/", site.gallery),
        Route(a_set + "/index.html", site.gallery),
        Route(a_set + "/{name}", site.gallery_file),
        Route(a_set + "/{layer}/{name}", site.layer_file),
        Route(a_report, _add_slash),
        Route(a_report + "/", site.report),
        Route(a_report + "/index.html", site.report),
        Route(a_report + "/{name:path}", site.report_file),
        Route("/{key:path}", site.stored_file),
    ]
    return _Guard(Starlette(routes=routes, exception_handlers={StorageError: _storage_error}))


class _Guard:
    """Refuses requests by method, host and path; adds the security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        respond = _refusal(Request(scope)) or self._app
        await respond(scope, receive, send_with_headers)


class _Site:
    """The endpoints of the site."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket, self._galleries = bucket, GeneratedGalleries(bucket)

    def index(self, request: Request) -> Response:
        """Return the page that lists the sets and the complete reports of the bucket."""
        sets, reports = self._cards()
        return _page(bucket_page(self._bucket.url, sets, reports))

    def model(self, request: Request) -> Response:
        """Return the page of a model."""
        key = request.path_params["model"]
        card, (sets, reports) = read_card(self._bucket, key), self._cards(key)
        if not (card or sets or reports):
            raise NotFound(f"The bucket has no model {key}.")
        return _page(model_page(key, card, sets, reports))

    def _cards(self, model: str | None = None) -> tuple[list[SetCard], list[ReportCard]]:
        """Return the sets and reports, of one model or all, the newest first."""
        sets = set_cards(self._bucket, self._galleries, model)
        reports = report_cards(self._bucket, model)
        return newest_first(sets), newest_first(reports)

    def index_file(self, request: Request) -> Response:
        """Return a script, a style or the icon of the first page."""
        return self._asset(request, asset_files(GALLERY, ""))

    def gallery(self, request: Request) -> Response:
        """Return the page of a sprite set."""
        return _page(self._galleries.page(**request.path_params))

    def gallery_file(self, request: Request) -> Response:
        """Return a script, a style or the icon of a gallery, or a file of the set."""
        key, names = (
            _key(request),
            {name: request.path_params[name] for name in ("model", "recipe")},
        )
        assets = asset_files(GALLERY, set_folder(**names))
        if key == gallery_data_key(**names):
            return _file(key, self._galleries.data(**names))
        words = (
            self._galleries.words(**names, key=key)
            if is_gallery_file(key) and key not in assets
            else None
        )
        return _file(key, words) if words is not None else self._asset(request, assets)

    def layer_file(self, request: Request) -> Response:
        """Return the numbers or a picture of a layer in a gallery, or a file of the layer."""
        key, (model, recipe) = _key(request), list(request.path_params.values())[:2]
        if not is_gallery_file(key):
            return self.stored_file(request)
        return _file(key, self._galleries.file(model, recipe, key))

    def report(self, request: Request) -> Response:
        """Return the page of a report, generated from its record."""
        folder = report_folder(**request.path_params)
        key = report_key(folder)
        return _page(generated_page(report_kind(folder).from_bytes(self._bucket.get(key), key)))

    def report_file(self, request: Request) -> Response:
        """Return a script, a style or the icon of a report, or a file of the report."""
        key = _key(request)
        names = {name: request.path_params[name] for name in ("dataset", "model", "report")}
        folder = report_folder(**names)
        assets = asset_files(frontend_of(folder), folder)
        if key.endswith(".js") and key not in assets:
            # Scripts with numbers are parsed and written again, so that they hold numbers only.
            return _file(key, as_script(*from_script(self._bucket.get(key))))
        if key.endswith(".svg") and key not in assets:
            return _file(key, self._chart(folder, key.removeprefix(folder)))
        return self._asset(request, assets)

    def _chart(self, folder: str, path: str) -> bytes:
        """Return a chart, drawn from the record: a stored drawing could hold a script.

        Raises:
            NotFound: the report has no such chart.
        """
        if is_attach_folder(folder):
            return history_of(self._bucket, folder)
        record = report_kind(folder).from_bytes(
            self._bucket.get(report_key(folder)), report_key(folder)
        )
        drawn = generated_charts(record)
        if path not in drawn:
            raise NotFound(f"{folder}{path} is not a chart of this report.")
        return drawn[path]

    def stored_file(self, request: Request) -> Response:
        """Return a picture, a record or a table of the bucket; all other files are refused."""
        key = _key(request)
        if not key.startswith(_FOLDERS) or not key.endswith(_FILES):
            raise NotFound(
                f"{key} is not served here: only pictures, records and tables of sprites, models "
                "and reports are."
            )
        return _file(key, self._bucket.get(key))

    def _asset(self, request: Request, assets: Mapping[str, bytes]) -> Response:
        key = _key(request)
        return _file(key, assets[key]) if key in assets else self.stored_file(request)


def _refusal(request: Request) -> Response | None:
    """Return the response to a request that no route may see, or None."""
    if request.method not in ("GET", "HEAD"):
        status = HTTPStatus.NOT_IMPLEMENTED
        return _page(message_page(status.phrase, "Only GET and HEAD are answered."), status)
    # Another site could have a host name of its own that leads to this machine (DNS rebinding).
    if not _HOSTS.fullmatch(request.headers.get("host", "")):
        message = "This site is for 127.0.0.1 and localhost only."
        return _page(message_page("Bad request", message), HTTPStatus.BAD_REQUEST)
    try:
        _check_path(request.scope["raw_path"].decode("ascii"), request.scope["path"])
    except BadKey as error:
        return _storage_error(request, error)
    return None


def _check_path(raw: str, path: str) -> None:
    """Refuse a path that is not the plain path of a key.

    Raises:
        BadKey: the path has an encoded slash or dot, or is not valid as a key.
    """
    if not raw.startswith("/") or any(raw.count(sign) != path.count(sign) for sign in "/."):
        raise BadKey("The path is not valid: slashes and dots must not be encoded.")
    if path != "/":
        check_key(path[1:].removesuffix("/"))


def _storage_error(request: Request, error: Exception) -> Response:
    kinds = [_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES]
    status = kinds[0] if kinds else HTTPStatus.INTERNAL_SERVER_ERROR
    return _page(message_page(status.phrase, str(error)), status)


def _add_slash(request: Request) -> Response:
    location = request.scope["raw_path"].decode("ascii") + "/"
    return Response(status_code=HTTPStatus.MOVED_PERMANENTLY, headers={"Location": location})


def _key(request: Request) -> str:
    return str(request.scope["path"]).removeprefix("/")


def _page(body: bytes, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(body, status, {"Content-Type": content_type_of("page.html")})


def _file(key: str, body: bytes) -> Response:
    headers = {"Content-Type": content_type_of(key)}
    if is_fingerprinted(key):
        headers["Cache-Control"] = "max-age=31536000, immutable"
    return Response(body, headers=headers)
