"""A proxy on loopback that stands before a server of Google Cloud Storage and makes calls fail, to
order or by chance.

What fails is a call of a kind (how the API is used), in one of the ways in which networks and
services fail. Requests and answers that do not fail pass unchanged.
"""

import http.client
import json
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Literal, get_args
from urllib.parse import urlsplit

from tests.storage.loopback import listening

Call = Literal["read", "look", "list", "write", "begin", "chunk", "delete"]
Failure = Literal[
    "503", "429", "408", "reset", "reset in the body", "lost reply", "stall", "flip", "cut"
]
CALLS: tuple[Call, ...] = get_args(Call)
FAILURES: tuple[Failure, ...] = get_args(Failure)
_WITH_BODY = {"write", "begin", "chunk"}
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


def can_happen(call: Call, failure: Failure) -> bool:
    """Tell whether a call can fail in this way: without bytes none of them is flipped, without
    encryption none of JSON is.
    """
    if failure == "reset in the body":
        return call in _WITH_BODY
    if failure == "flip":
        return call in ("read", "write", "chunk")
    return call == "read" if failure == "cut" else True


class FaultProxy:
    """What is to fail, and what has."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.orders: list[tuple[Call, Failure]] = []
        self.chance = 0.0
        self.by_chance: tuple[Failure, ...] = FAILURES
        self.random = random.Random(0)
        self.stall_s = 1.0
        self.calls = 0
        self.failed: Counter[tuple[Call, Failure]] = Counter()
        self.url = ""
        self.busy = 0
        self._lock = threading.Lock()

    @contextmanager
    def passing_on(self) -> Iterator[None]:
        """Count a call that is on its way."""
        with self._lock:
            self.busy += 1
        try:
            yield
        finally:
            with self._lock:
                self.busy -= 1

    def failure_of(self, call: Call | None) -> Failure | None:
        """Decide whether a call fails, and how."""
        with self._lock:
            self.calls += 1
            if call is None:
                return None
            ordered = next((failure for kind, failure in self.orders if kind == call), None)
            if ordered:
                self.orders.remove((call, ordered))
            possible = [failure for failure in self.by_chance if can_happen(call, failure)]
            failure = ordered or (
                self.random.choice(possible) if self.random.random() < self.chance else None
            )
            if failure:
                self.failed[call, failure] += 1
            return failure


@contextmanager
def standing_before(upstream: str) -> Iterator[FaultProxy]:
    """Run a proxy before a server for a while; its address is `url`."""
    proxy = FaultProxy(upstream)

    class Handler(_Handler):
        faults = proxy

    try:
        with listening(Handler) as proxy.url:
            yield proxy
    finally:
        # What was held up arrives yet, and must not arrive in the next test.
        while proxy.busy:
            time.sleep(0.02)


def call_of(method: str, path: str) -> Call | None:
    """Return the kind of a call, or None if it is none that fails."""
    parts = urlsplit(path)
    if method == "GET":
        if "alt=media" in parts.query:
            return "read"
        if re.fullmatch(r"/storage/v1/b/[^/]+/o", parts.path):
            return "list"
        return "look" if re.fullmatch(r"/storage/v1/b/[^/]+/o/[^/]+", parts.path) else None
    if method == "POST":
        return "write" if "uploadType=multipart" in parts.query else "begin"
    return {"PUT": "chunk", "DELETE": "delete"}.get(method)  # type: ignore[return-value]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    faults: FaultProxy

    def do_GET(self) -> None:
        with self.faults.passing_on():
            self._pass_on()

    do_POST = do_PUT = do_DELETE = do_GET

    def _pass_on(self) -> None:
        call = call_of(self.command, self.path)
        failure, size = self.faults.failure_of(call), int(self.headers["Content-Length"] or 0)
        if failure in ("reset", "reset in the body"):
            self.rfile.read(size // 2 if failure == "reset in the body" else 0)
            return self._reset()
        body = self.rfile.read(size)
        if failure in ("503", "429", "408"):
            return self._refuse(int(failure))
        if failure == "stall":
            time.sleep(self.faults.stall_s)
        if failure == "flip" and call != "read":
            body = _flipped(body, at=_last_of_media(body) if call == "write" else len(body) // 2)
        status, headers, answer = self._ask(body)
        if failure == "lost reply":
            return self._reset()
        if failure == "flip" and call == "read":
            answer = _flipped(answer, at=len(answer) // 2)
        self._answer(
            status, headers, answer, until=len(answer) // 2 if failure == "cut" else len(answer)
        )

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Ask the server; on a connection of its own, since what is tried here leaves connections
        in any state.
        """
        connection = http.client.HTTPConnection(
            self.faults.upstream.hostname or "", self.faults.upstream.port, timeout=60
        )
        try:
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP or name.lower() == "content-length":
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, until: int) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in {*_HOP_BY_HOP, "date", "server"}:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:until])
        self.wfile.flush()
        self.close_connection = until < len(body)

    def _refuse(self, status: int) -> None:
        body = json.dumps(
            {"error": {"code": status, "message": "ordered by the test", "errors": []}}
        ).encode()
        self._answer(status, [("Content-Type", "application/json; charset=UTF-8")], body, len(body))

    def _reset(self) -> None:
        # Closed so, the client sees a reset instead of an end.
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what failed is in `failed`."""


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if data else data


def _last_of_media(body: bytes) -> int:
    """Return where the last byte of the object is in an upload of one part."""
    return body.rindex(b"\r\n--") - 1
