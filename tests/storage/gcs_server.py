"""A small, strict server of Google Cloud Storage's JSON API on loopback, with faults to order.

It knows what this project asks of the service: metadata, media (whole, ranged, pinned to a
generation), uploads in one part and resumable ones, listings in pages, deletions, preconditions on
each of them, and the plain addresses `/bucket/object`. A path, a parameter or a field that it does
not know is refused, so that no test passes on a guess. tests/storage/gcs/test_gcs_server.py
proves it
strict.
"""

import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from tests.storage.gcs_objects import Objects, Refusal, StoredObject, Upload, check_description
from tests.storage.loopback import listening

_EVERYWHERE = {"prettyPrint", "userProject"}
_PARAMETERS = {
    "media": {"alt", "generation", "ifGenerationMatch"},
    "metadata": {"projection", "generation", "ifGenerationMatch", "fields"},
    "list": {"prefix", "delimiter", "maxResults", "pageToken", "projection", "fields"},
    "upload": {"uploadType", "ifGenerationMatch", "upload_id"},
    "delete": {"generation", "ifGenerationMatch"},
    "permissions": {"permissions"},
}
_OBJECT = re.compile(r"(/download)?/storage/v1/b/([^/]+)/o/([^/]+)")
_JSON = {"Content-Type": "application/json; charset=UTF-8"}
_CHUNK_UNIT = 256 << 10


@dataclass
class Fault:
    """What goes wrong with the next answer that carries an object's bytes, or with the next answer
    of any kind.

    cut: the connection ends behind byte `at` of the object. flip: the bit of byte `at` is another
    one. short: the body lacks its last byte, and Content-Length agrees. stall: nothing comes behind
    byte `at` until `released`. status: an error answer. page: a web page with status 200. redirect:
    status 302 to `location`. whole: the range that was asked for is ignored.
    """

    kind: Literal["cut", "flip", "short", "stall", "status", "page", "redirect", "whole", "reset"]
    at: int = 0
    status: int = 503
    location: str = ""
    media_only: bool = True
    message: str = "ordered by the test"
    reason: str = "test"
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    kind: Literal["metadata", "media", "page", "list", "upload", "delete", "permissions"]
    path: str
    range: str | None
    generation: str | None


class GcsServer(Objects):
    """The buckets, what is to go wrong, who may do what, and what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.plain_headers: dict[str, str] = {}
        self.unknown: list[str] = []
        self.granted = {
            "storage.objects.create",
            "storage.objects.delete",
            "storage.objects.get",
            "storage.objects.list",
        }
        self.url = ""
        self.wait_s = 0.0  # before each answer

    def forget(self) -> None:
        """Forget all buckets, and all that was asked for."""
        for each in (self.buckets, self.uploads, self.faults, self.seen, self.unknown):
            each.clear()

    def ranges(self) -> list[str | None]:
        return [request.range for request in self.seen if request.kind in ("media", "page")]

    def take_fault(self, *, media: bool) -> Fault | None:
        for index, fault in enumerate(self.faults):
            if media or not fault.media_only:
                return self.faults.pop(index)
        return None


@contextmanager
def serving() -> Iterator[GcsServer]:
    """Run a server for a while; its address is `url`."""
    server = GcsServer()

    class Handler(_Handler):
        gcs = server

    with listening(Handler) as server.url:
        yield server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body in one packet
    gcs: GcsServer

    def do_GET(self) -> None:
        self._respond(self._get)

    def do_POST(self) -> None:
        self._respond(self._post)

    def do_PUT(self) -> None:
        self._respond(self._continue_upload)

    def do_DELETE(self) -> None:
        self._respond(self._delete)

    def _respond(self, answer: Any) -> None:
        # Read whole whatever comes of it, or the next request on this connection begins in the
        # middle.
        self.body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        parts = urlsplit(self.path)
        self.route = parts.path
        self.query = {
            key: values[-1]
            for key, values in parse_qs(parts.query, True, bool(parts.query)).items()
        }
        if self.gcs.wait_s:
            time.sleep(self.gcs.wait_s)
        try:
            answer()
        except Refusal as refusal:
            self._error(refusal)
        except ConnectionError:
            raise
        except Exception as error:
            # A status that no client tries again: what is wrong with the server itself is to be
            # seen at once.
            self._error(Refusal(501, f"{type(error).__name__}: {error}"))

    def _take(self, kind: Any) -> None:
        """Note a request, refuse what is not known of its kind, and let the next fault for it
        happen.
        """
        self.gcs.seen.append(
            Seen(kind, self.path, self.headers["Range"], self.query.get("generation"))
        )
        if kind != "page" and (unknown := set(self.query) - _PARAMETERS[kind] - _EVERYWHERE):
            raise Refusal(400, f"unknown parameters {sorted(unknown)}")

    def _get(self) -> None:
        bucket_route = re.fullmatch(r"/storage/v1/b/([^/]+)/(o|iam/testPermissions)", self.route)
        if bucket_route:
            return (
                self._list(unquote(bucket_route[1]))
                if bucket_route[2] == "o"
                else self._permissions(unquote(bucket_route[1]))
            )
        found = _OBJECT.fullmatch(self.route)
        if not found and self.route.startswith(("/storage/", "/download/", "/upload/")):
            self.gcs.unknown.append(self.path)
            raise Refusal(501, f"this server does not know {self.route}")
        if not found:
            bucket, _, name = unquote(self.route[1:]).partition("/")
            return self._media("page", bucket, name)
        bucket, name = unquote(found[2]), unquote(found[3])
        media = self.query.get("alt") == "media"
        if found[1] and not media:
            raise Refusal(501, "downloads without alt=media are not known")
        return self._media("media", bucket, name) if media else self._metadata(bucket, name)

    def _metadata(self, bucket: str, name: str) -> None:
        self._take("metadata")
        if self._happens(media=False):
            return
        self._resource(bucket, name, self.gcs.find(bucket, name, self.query))

    def _permissions(self, bucket: str) -> None:
        self._take("permissions")
        if self._happens(media=False):
            return
        self.gcs.of(bucket)
        asked = parse_qs(urlsplit(self.path).query)["permissions"]
        self._answer(
            200,
            json.dumps(
                {"permissions": [each for each in asked if each in self.gcs.granted]}
            ).encode(),
            _JSON,
        )

    def _list(self, bucket: str) -> None:
        self._take("list")
        if self._happens(media=False):
            return
        found, folders, token = self.gcs.listing(bucket, self.query)
        fields = self.query.get("fields", "kind,items,prefixes,nextPageToken")
        wanted = re.search(r"items\(([^)]*)\)", fields)
        names = set(wanted[1].split(",")) if wanted else None
        items = [
            {
                key: value
                for key, value in each.resource(bucket, name).items()
                if not names or key in names
            }
            for name, each in found
        ]
        page = {"items": items, "prefixes": folders, "nextPageToken": token}
        asked = set(re.sub(r"\([^)]*\)", "", fields).split(","))
        self._answer(
            200,
            json.dumps(
                {key: value for key, value in page.items() if key in asked and value}
            ).encode(),
            _JSON,
        )

    def _delete(self) -> None:
        self._take("delete")
        if self._happens(media=False):
            return
        found = _OBJECT.fullmatch(self.route)
        if not found or found[1]:
            raise Refusal(501, f"this server does not know how to delete {self.route}")
        self.gcs.delete(unquote(found[2]), unquote(found[3]), self.query)
        self._answer(204, b"", {})

    def _post(self) -> None:
        self._take("upload")
        if self._happens(media=False):
            return
        if "storage.objects.create" not in self.gcs.granted:
            raise Refusal(
                403, "whoever asks does not have storage.objects.create access", "forbidden"
            )
        found = re.fullmatch(r"/upload/storage/v1/b/([^/]+)/o", self.route)
        kind = self.query.get("uploadType")
        if not found or kind not in ("multipart", "resumable"):
            raise Refusal(
                501, f"this server does not know uploads of the kind {kind!r} to {self.route}"
            )
        bucket = unquote(found[1])
        self.gcs.of(bucket)
        if kind == "multipart":
            description, data = self._parts()
            return self._resource(
                bucket, description["name"], self.gcs.create(bucket, description, data, self.query)
            )
        description = {"contentType": self.headers["X-Upload-Content-Type"]} | json.loads(self.body)
        self.gcs.check_conditions(
            self.gcs.of(bucket).get(check_description(bucket, description)), self.query
        )
        size = self.headers["X-Upload-Content-Length"]
        upload_id = uuid.uuid4().hex
        self.gcs.uploads[upload_id] = Upload(
            bucket, description, self.query, int(size) if size else None
        )
        # As the client reaches it, which may be through something in between.
        place = (
            f"http://{self.headers['Host']}{self.route}?uploadType=resumable&upload_id={upload_id}"
        )
        self._answer(200, b"", {"Location": place})

    def _parts(self) -> tuple[dict[str, Any], bytes]:
        boundary = re.fullmatch(
            r"multipart/related; boundary=\"?([^\"]+)\"?", self.headers["Content-Type"] or ""
        )
        if not boundary:
            raise Refusal(400, "a multipart upload has to be multipart/related")
        mark = b"--" + boundary[1].encode()
        begin, description, rest = self.body.split(mark, 2)
        data, end = rest[: rest.rindex(b"\r\n" + mark)], rest[rest.rindex(b"\r\n" + mark) :]
        if begin.strip() or not end.strip().endswith(b"--"):
            raise Refusal(400, "the parts do not end as they should")
        head, _, data = data.partition(b"\r\n\r\n")
        told: dict[str, Any] = json.loads(description.partition(b"\r\n\r\n")[2])
        kind = re.search(rb"(?i)content-type: *([^\r\n]+)", head)
        return ({"contentType": kind[1].decode()} if kind else {}) | told, data

    def _continue_upload(self) -> None:
        self._take("upload")
        if self._happens(media=False):
            return
        upload = self.gcs.uploads.get(self.query.get("upload_id", ""))
        if upload is None:
            raise Refusal(404, "there is no such upload", "notFound")
        asked = re.fullmatch(
            r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", self.headers["Content-Range"] or ""
        )
        if not asked:
            raise Refusal(400, "Content-Range is missing or not understood")
        with self.gcs.lock:
            if upload.kept is None and asked[1] is not None:
                self._receive(upload, int(asked[1]), int(asked[2]), asked[3])
            complete = asked[3] != "*" and len(upload.received) == int(asked[3])
            if upload.kept is None and complete:
                upload.kept = self.gcs.create(
                    upload.bucket, upload.description, bytes(upload.received), upload.query
                )
                upload.received = bytearray()
        if upload.kept is not None:
            return self._resource(upload.bucket, upload.description["name"], upload.kept)
        self._answer(
            308, b"", {"Range": f"bytes=0-{len(upload.received) - 1}"} if upload.received else {}
        )

    def _receive(self, upload: Upload, first: int, last: int, total: str) -> None:
        if last - first + 1 != len(self.body) or (
            total != "*" and upload.size not in (None, int(total))
        ):
            raise Refusal(400, "the range is not what was sent")
        if total != "*" and last + 1 != int(total) and len(self.body) % _CHUNK_UNIT:
            raise Refusal(400, "a chunk has to be a multiple of 256 KiB")
        if first > len(upload.received):
            raise Refusal(503, "a chunk is missing before this one")
        upload.received[first:] = self.body

    def _media(self, kind: Literal["media", "page"], bucket: str, name: str) -> None:
        self._take(kind)
        fault = self.gcs.take_fault(media=True)
        if fault and fault.kind in ("status", "page", "redirect", "reset"):
            return self._early_fault(fault)
        found = self.gcs.find(bucket, name, self.query if kind == "media" else {})
        span = self._span(found) if not (fault and fault.kind == "whole") else (0, len(found.data))
        if span is None:
            return self._answer(416, b"", {"Content-Range": f"bytes */{len(found.data)}"})
        headers = {
            "Content-Type": found.content_type,
            "Cache-Control": found.cache_control or "",
            "ETag": f'"{found.generation:x}"',
            "x-goog-generation": str(found.generation),
            "x-goog-hash": f"crc32c={found.crc32c}",
        }
        if kind == "page":
            headers |= self.gcs.plain_headers
        if self.headers["Range"] and not (fault and fault.kind == "whole"):
            headers["Content-Range"] = f"bytes {span[0]}-{span[1] - 1}/{len(found.data)}"
        return self._send(
            found.data, span, {key: value for key, value in headers.items() if value}, fault
        )

    def _span(self, found: StoredObject) -> tuple[int, int] | None:
        """Return the bytes that were asked for, as a slice, or None where there are no such
        bytes.
        """
        size = len(found.data)
        if not self.headers["Range"]:
            return 0, size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"])
        if not asked:
            return None
        start, end = int(asked[1]), min(int(asked[2]) + 1, size) if asked[2] else size
        return (start, end) if start < end else None

    def _send(
        self, data: bytes, span: tuple[int, int], headers: dict[str, str], fault: Fault | None
    ) -> None:
        body = bytearray(data) if fault else data
        if fault and fault.kind == "flip":
            body[fault.at] ^= 1  # type: ignore[index]
        start, end = span[0], span[1] - 1 if fault and fault.kind == "short" else span[1]
        until = fault.at if fault and fault.kind in ("cut", "stall") else end
        self.send_response(206 if "Content-Range" in headers else 200)
        for key, value in ({"Content-Length": str(end - start)} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body[start:until])
        self.wfile.flush()
        if fault and fault.kind in ("cut", "stall"):
            fault.reached.set()
            if fault.kind == "stall":
                fault.released.wait(600)
            self.close_connection = True

    def _happens(self, *, media: bool) -> bool:
        """Let the next fault happen, and tell whether there was one."""
        fault = self.gcs.take_fault(media=media)
        if fault:
            self._early_fault(fault)
        return fault is not None

    def _early_fault(self, fault: Fault) -> None:
        if fault.kind == "status":
            return self._error(Refusal(fault.status, fault.message, fault.reason))
        if fault.kind == "redirect":
            return self._answer(302, b"", {"Location": fault.location})
        if fault.kind == "page":
            return self._answer(
                200,
                b"\n<!DOCTYPE html><title>Sign in</title>",
                {"Content-Type": "text/html; charset=utf-8"},
            )
        self.close_connection = True
        return None

    def _resource(self, bucket: str, name: str, found: StoredObject) -> None:
        body = found.resource(bucket, name)
        body["mediaLink"] = (
            f"{self.gcs.url}/download/storage/v1/b/{bucket}/o/{name}?generation={found.generation}&alt=media"
        )
        return self._answer(200, json.dumps(body).encode(), _JSON)

    def _error(self, refusal: Refusal) -> None:
        errors = [{"message": refusal.message, "domain": "global", "reason": refusal.reason}]
        body = {"error": {"code": refusal.status, "message": refusal.message, "errors": errors}}
        return self._answer(refusal.status, json.dumps(body).encode(), _JSON)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in (
            ({} if status == 204 else {"Content-Length": str(len(body))}) | headers
        ).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what was asked for is in `seen`."""
