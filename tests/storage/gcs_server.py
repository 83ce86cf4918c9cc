"""A small, strict server of Google Cloud Storage's JSON API on loopback, for reading, with faults to order.

It knows what a client needs to download public objects: metadata, media (whole, ranged, pinned to a generation), and the plain
addresses `/bucket/object`. A path or a parameter that it does not know is refused, so that no test passes on a guess. Answers and
their wording follow https://cloud.google.com/storage/docs/json_api.
"""

import base64
import itertools
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c

_MEDIA_PARAMETERS = {"alt", "generation", "ifGenerationMatch", "prettyPrint"}
_METADATA_PARAMETERS = {"projection", "generation", "ifGenerationMatch", "prettyPrint", "fields"}


@dataclass(frozen=True)
class StoredObject:
    """The bytes of an object, as one version of it."""

    data: bytes
    generation: int
    content_type: str = "application/octet-stream"

    @property
    def crc32c(self) -> str:
        return base64.b64encode(google_crc32c.value(self.data).to_bytes(4, "big")).decode()


@dataclass
class Fault:
    """What goes wrong with the next answer that carries an object's bytes, or with the next answer of any kind.

    cut: the connection ends behind byte `at` of the object. flip: the bit of byte `at` is another one. short: the body lacks its
    last byte, and Content-Length agrees. stall: nothing comes behind byte `at` until `released`. status: an error answer.
    page: a web page with status 200. redirect: status 302 to `location`. whole: the range that was asked for is ignored.
    """

    kind: Literal["cut", "flip", "short", "stall", "status", "page", "redirect", "whole", "reset"]
    at: int = 0
    status: int = 503
    location: str = ""
    media_only: bool = True
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    kind: Literal["metadata", "media", "page"]
    path: str
    range: str | None
    generation: str | None


class GcsServer:
    """The buckets, what is to go wrong, and what was asked for."""

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, StoredObject]] = {}
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.plain_headers: dict[str, str] = {}
        self.url = ""
        self._generations = itertools.count(1_700_000_000_000_001)

    def put(self, bucket: str, name: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        self.buckets.setdefault(bucket, {})[name] = StoredObject(data, next(self._generations), content_type)

    def ranges(self) -> list[str | None]:
        return [request.range for request in self.seen if request.kind != "metadata"]

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

    with _Listener(("127.0.0.1", 0), Handler) as listener:
        server.url = f"http://127.0.0.1:{listener.server_port}"
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Bear with clients that are killed; say what else is wrong."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gcs: GcsServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
        found = re.fullmatch(r"(/download)?/storage/v1/b/([^/]+)/o/([^/]+)", parts.path)
        if not found and parts.path.startswith(("/storage/", "/download/")):
            return self._error(501, f"this server does not know {parts.path}")
        if not found:
            bucket, _, name = unquote(parts.path[1:]).partition("/")
            return self._media("page", bucket, name, {})
        bucket, name = unquote(found[2]), unquote(found[3])
        media = query.get("alt") == "media"
        if found[1] and not media:
            return self._error(501, "downloads without alt=media are not known")
        if unknown := set(query) - (_MEDIA_PARAMETERS if media else _METADATA_PARAMETERS):
            return self._error(400, f"unknown parameters {sorted(unknown)}")
        return self._media("media", bucket, name, query) if media else self._metadata(bucket, name, query)

    def _find(self, bucket: str, name: str, query: dict[str, str]) -> StoredObject | None:
        if bucket not in self.gcs.buckets:
            return self._error(404, "The specified bucket does not exist.")
        found = self.gcs.buckets[bucket].get(name)
        if not found or query.get("generation", str(found.generation)) != str(found.generation):
            return self._error(404, f"No such object: {bucket}/{name}")
        if query.get("ifGenerationMatch", str(found.generation)) != str(found.generation):
            return self._error(412, "At least one of the pre-conditions you specified did not hold.")
        return found

    def _metadata(self, bucket: str, name: str, query: dict[str, str]) -> None:
        self.gcs.seen.append(Seen("metadata", self.path, self.headers["Range"], query.get("generation")))
        fault = self.gcs.take_fault(media=False)
        if fault:
            return self._early_fault(fault)
        found = self._find(bucket, name, query)
        if not found:
            return None
        body = {
            "kind": "storage#object",
            "id": f"{bucket}/{name}/{found.generation}",
            "name": name,
            "bucket": bucket,
            "generation": str(found.generation),
            "metageneration": "1",
            "contentType": found.content_type,
            "size": str(len(found.data)),
            "crc32c": found.crc32c,
            "mediaLink": f"{self.gcs.url}/download{urlsplit(self.path).path}?generation={found.generation}&alt=media",
        }
        return self._answer(200, json.dumps(body).encode(), {"Content-Type": "application/json; charset=UTF-8"})

    def _media(self, kind: Literal["media", "page"], bucket: str, name: str, query: dict[str, str]) -> None:
        self.gcs.seen.append(Seen(kind, self.path, self.headers["Range"], query.get("generation")))
        fault = self.gcs.take_fault(media=True)
        if fault and fault.kind in ("status", "page", "redirect", "reset"):
            return self._early_fault(fault)
        found = self._find(bucket, name, query)
        if not found:
            return None
        start = self._range_start(found) if not (fault and fault.kind == "whole") else 0
        if start is None:
            return self._answer(416, b"", {"Content-Range": f"bytes */{len(found.data)}"})
        headers = {
            "Content-Type": found.content_type,
            "ETag": f'"{found.generation:x}"',
            "x-goog-generation": str(found.generation),
            "x-goog-hash": f"crc32c={found.crc32c}",
        }
        if kind == "page":
            headers |= self.gcs.plain_headers
        if start or (self.headers["Range"] and not (fault and fault.kind == "whole")):
            headers["Content-Range"] = f"bytes {start}-{len(found.data) - 1}/{len(found.data)}"
        return self._send(found.data, start, {key: value for key, value in headers.items() if value}, fault)

    def _range_start(self, found: StoredObject) -> int | None:
        """Return the first byte that was asked for, or None where there is no such byte."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "bytes=0-")
        if not asked:
            return None
        start = int(asked[1])
        return start if start < len(found.data) or not self.headers["Range"] else None

    def _send(self, data: bytes, start: int, headers: dict[str, str], fault: Fault | None) -> None:
        body = bytearray(data)
        if fault and fault.kind == "flip":
            body[fault.at] ^= 1
        if fault and fault.kind == "short":
            body = body[:-1]
        until = fault.at if fault and fault.kind in ("cut", "stall") else len(body)
        self.send_response(206 if "Content-Range" in headers else 200)
        for key, value in ({"Content-Length": str(len(body) - start)} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body[start:until])
        self.wfile.flush()
        if fault and fault.kind in ("cut", "stall"):
            fault.reached.set()
            if fault.kind == "stall":
                fault.released.wait(60)
            self.close_connection = True

    def _early_fault(self, fault: Fault) -> None:
        if fault.kind == "status":
            return self._error(fault.status, "ordered by the test")
        if fault.kind == "redirect":
            return self._answer(302, b"", {"Location": fault.location})
        if fault.kind == "page":
            return self._answer(200, b"\n<!DOCTYPE html><title>Sign in</title>", {"Content-Type": "text/html; charset=utf-8"})
        self.close_connection = True
        return None

    def _error(self, status: int, message: str) -> None:
        body = {"error": {"code": status, "message": message, "errors": [{"message": message, "domain": "global", "reason": "test"}]}}
        return self._answer(status, json.dumps(body).encode(), {"Content-Type": "application/json; charset=UTF-8"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what was asked for is in `seen`."""
