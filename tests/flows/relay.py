"""A relay on loopback that stands before the tests' Prefect server, so that a run can lose it while
other tests keep it.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

Loss = Literal["dead", "mute"]


class Relay:
    """Passes connections on, until the server is to be lost: dead refuses them all, mute takes them
    and says nothing.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = self._listener.getsockname()[1]
        self._flowing = threading.Event()
        self._sockets: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._port}{self._upstream.path}"
        self._serve()

    def lose(self, loss: Loss) -> None:
        """Stop to pass on."""
        self._flowing.clear()
        if loss == "dead":
            self.close()

    def revive(self) -> None:
        """Pass on again."""
        if self._listener.fileno() == -1:
            self._listener = socket.create_server(("127.0.0.1", self._port))
            self._serve()
        self._flowing.set()

    def close(self) -> None:
        """Refuse all connections, and end those that there are."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        while self._sockets:
            with suppress(OSError):
                self._sockets.pop().shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        self._flowing.set()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                theirs, _ = listener.accept()
                server = socket.create_connection((self._upstream.hostname, self._upstream.port))
                self._sockets += [theirs, server]
                for source, target in ((theirs, server), (server, theirs)):
                    threading.Thread(
                        target=self._pass_on, args=(source, target), daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError), source:
            while chunk := source.recv(65536):
                self._flowing.wait()
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)


@contextmanager
def relaying(upstream: str) -> Iterator[Relay]:
    """Run a relay; when it is left, what has waited for the server reaches it."""
    relay = Relay(upstream)
    try:
        yield relay
    finally:
        relay.revive()
