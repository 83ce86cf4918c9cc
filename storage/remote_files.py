"""One attempt to transfer a file from Google Cloud Storage, a web server or a local folder.

Each function sends a `Receiver` the bytes that it lacks. The connection can break at any byte; the
receiver keeps what it got, and the next call resumes there if the file has not changed.
"""

import base64
import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.storage.errors import AccessDenied, NotFound, StorageError, Unavailable
from diamond_cutter.storage.gcs.client import disable_bucket_metadata

if TYPE_CHECKING:
    import requests

_CHUNK_BYTES = 1 << 16
_PASSING = {408, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Facts:
    """Size, checksum and version that a server announces, each None if it does not say."""

    size: int | None
    crc32c: int | None
    version: str | None


class Refused(DiamondCutterError):
    """A transfer failed.

    Attributes:
        kind: of the error that users get.
        reason: completes "... cannot be downloaded (...)".
        passing: whether another attempt can succeed.
    """

    def __init__(self, kind: type[StorageError], reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.passing = kind, reason, passing


class Receiver(Protocol):
    """Takes a file in chunks, and may hold its beginning from an earlier attempt."""

    size: int

    def has_begun(self, facts: Facts) -> bool:
        """Tell whether the receiver holds the beginning of this version."""

    def begin(self, facts: Facts, at: int) -> None:
        """Prepare for the bytes from `at` on, and drop any that are there."""

    def write(self, chunk: bytes) -> int:
        """Take the next chunk."""


def send(url: str, to: Receiver, timeout_s: float) -> None:
    """Send a file to the receiver, given a `gs://`, `http(s)://` or `file://` URL, or a path.

    Raises:
        Refused: the file did not arrive completely.
    """
    scheme, separator, place = url.partition("://")
    if not separator:
        _send_file(Path(url).expanduser(), to)
    elif scheme == "gs":
        _send_object(*_bucket_and_name(place), to, timeout_s)
    elif scheme in ("http", "https"):
        _send_page(url, to, timeout_s)
    elif scheme == "file":
        _send_file(_local_path(url), to)
    else:
        raise Refused(StorageError, f"unknown scheme {scheme!r}: expected gs, https, http or file")


def _send_file(path: Path, to: Receiver) -> None:
    try:
        with open(path, "rb") as source:
            status = os.fstat(source.fileno())
            facts = Facts(
                status.st_size, None, f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"
            )
            at = to.size if to.has_begun(facts) else 0
            to.begin(facts, at)
            source.seek(at)
            while chunk := source.read(_CHUNK_BYTES):
                to.write(chunk)
    except FileNotFoundError:
        raise Refused(NotFound, "the file does not exist") from None
    except OSError as error:
        raise Refused(Unavailable, f"{error.strerror}") from error


def _local_path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise Refused(
            StorageError,
            f"it names the host {parts.netloc!r}: expected an absolute path on this machine",
        )
    return Path(unquote(parts.path))


def _send_object(bucket: str, name: str, to: Receiver, timeout_s: float) -> None:
    """Send a public object.

    The library's environment variable STORAGE_EMULATOR_HOST can name another server.
    """
    from google.auth.credentials import AnonymousCredentials
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud import storage

    disable_bucket_metadata()
    nobody = AnonymousCredentials()
    # The library's own session tries to log in if access is denied, and leaves the connection open.
    session = AuthorizedSession(nobody, refresh_status_codes=())
    with (
        _network_explained(timeout_s),
        closing(storage.Client(project="<none>", credentials=nobody, _http=session)) as client,
    ):
        known = client.bucket(bucket).blob(name)
        known.reload(timeout=timeout_s, retry=None)
        facts = Facts(known.size, _crc32c(known.crc32c), str(known.generation))
        at = to.size if to.has_begun(facts) else 0
        to.begin(facts, at)
        if at == facts.size:
            return
        # Pinned to its generation, so that two versions are never joined. The library does not
        # verify ranges; the whole file is verified later.
        pinned = client.bucket(bucket).blob(name, generation=known.generation)
        pinned.download_to_file(
            to, start=at or None, raw_download=True, checksum=None, timeout=timeout_s, retry=None
        )


def _bucket_and_name(place: str) -> tuple[str, str]:
    # urlsplit would cut the names of objects at '?' and '#'.
    bucket, _, name = place.partition("/")
    if not bucket or not name:
        raise Refused(StorageError, "expected a bucket and an object, as in gs://bucket/object")
    return bucket, name


def _crc32c(encoded: str | None) -> int | None:
    return int.from_bytes(base64.b64decode(encoded), "big") if encoded else None


def _send_page(url: str, to: Receiver, timeout_s: float) -> None:
    import requests

    with _network_explained(timeout_s), requests.Session() as session:
        # The last byte is requested again, because a range after the end of a file is not valid.
        at = max(to.size - 1, 0)
        answer = _ask(session, url, at, timeout_s)
        if at and not (
            answer.status_code == 206 and _first_byte(answer) == at and to.has_begun(_facts(answer))
        ):
            at = 0
            if answer.status_code != 200:
                answer.close()
                answer = _ask(session, url, at, timeout_s)
        with closing(answer):
            _check_answer(url, answer)
            chunks = answer.iter_content(_CHUNK_BYTES)
            first = next(chunks, b"")
            if not at:
                _refuse_html(first)
            to.begin(_facts(answer), at)
            for chunk in chain([first], chunks):
                to.write(chunk)


def _ask(session: "requests.Session", url: str, at: int, timeout_s: float) -> "requests.Response":
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={at}-"} if at else {})
    return session.get(url, headers=headers, stream=True, timeout=timeout_s)


def _first_byte(answer: "requests.Response") -> int | None:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _facts(answer: "requests.Response") -> Facts:
    """Return the facts in the headers.

    A weak ETag does not guarantee equal bytes, and a compressed body has another length.
    """
    headers = answer.headers
    total = (
        headers.get("Content-Range", "").rpartition("/")[2]
        if answer.status_code == 206
        else headers.get("Content-Length", "")
    )
    packed = headers.get("Content-Encoding", "identity") != "identity"
    etag = headers.get("ETag", "")
    version = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
    crc = re.search(r"crc32c=([A-Za-z0-9+/]+=*)", headers.get("x-goog-hash", ""))
    return Facts(
        size=int(total) if total.isdecimal() and not packed else None,
        crc32c=_crc32c(crc[1]) if crc and not packed else None,
        version=None if packed else version,
    )


def _check_answer(url: str, answer: "requests.Response") -> None:
    if answer.status_code not in (200, 206):
        raise _refusal(answer.status_code)
    if url.startswith("https:") and not answer.url.startswith("https:"):
        raise Refused(Unavailable, "it redirects to a server without encryption")
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        _refuse_html(b"<html")


def _refuse_html(beginning: bytes) -> None:
    """Refuse the web pages that servers and Wi-Fi logins send with status 200 instead of a file."""
    if beginning[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise Refused(Unavailable, "a web page arrived instead of the file")


def _refusal(status: int) -> Refused:
    if status in (404, 410):
        return Refused(NotFound, f"the file does not exist, HTTP {status}")
    if status in (401, 403):
        return Refused(AccessDenied, f"the file is not public, HTTP {status}")
    return Refused(Unavailable, f"the server returns HTTP {status}", passing=status in _PASSING)


@contextmanager
def _network_explained(timeout_s: float) -> Iterator[None]:
    """Convert errors of the libraries into `Refused`."""
    import requests
    import urllib3
    from requests import exceptions

    try:
        yield
    except exceptions.InvalidJSONError as error:
        raise Refused(Unavailable, "the response is not from Google Cloud Storage") from error
    except (
        requests.TooManyRedirects,
        exceptions.InvalidURL,
        exceptions.InvalidSchema,
        exceptions.MissingSchema,
    ) as error:
        raise Refused(StorageError, str(error)) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise Refused(Unavailable, _cause(error, timeout_s), passing=True) from error
    except Exception as error:
        refused = _google_refusal(error)
        if not refused:
            raise
        raise refused from error


def _google_refusal(error: Exception) -> Refused | None:
    if not type(error).__module__.startswith("google."):
        return None
    from google.api_core.exceptions import GoogleAPICallError
    from google.cloud.storage.exceptions import InvalidResponse

    if not isinstance(error, GoogleAPICallError | InvalidResponse) or error.response is None:
        return None
    # The library leaves the connection of a refused response open.
    error.response.close()
    return _refusal(error.response.status_code)


def _cause(error: Exception, timeout_s: float) -> str:
    """Return the innermost cause of a network error, in the words of the system if it has any."""
    inner = list(_inside(error))
    if any(
        isinstance(each, TimeoutError) or type(each).__name__.endswith("TimeoutError")
        for each in inner
    ):
        return f"no response within {timeout_s:g} s"
    return next(
        (
            each.strerror
            for each in inner
            if isinstance(each, OSError) and each.errno and each.strerror
        ),
        "the connection was closed",
    )


def _inside(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all errors in it, which libraries keep as causes or as arguments."""
    seen: list[BaseException] = []
    pending: list[object] = [error]
    while pending:
        inner = pending.pop()
        if isinstance(inner, BaseException) and not any(inner is other for other in seen):
            seen.append(inner)
            yield inner
            pending += [
                *inner.args,
                getattr(inner, "reason", None),
                inner.__cause__,
                inner.__context__,
            ]
