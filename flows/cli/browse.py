"""Serves the site of a bucket on this machine."""

import socket
from collections.abc import Callable

import uvicorn

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.exits import Stopped, leave_at_once
from diamond_cutter.storage import Bucket
from diamond_cutter.tasks.browsing.bucket_site import bucket_site

_LAST_ANSWERS_S = 1
_MOST_PORT = 65_535


def serve(bucket: Bucket, port: int, on_start: Callable[[str], None]) -> None:
    """Serve a bucket on 127.0.0.1 until Ctrl-C.

    Args:
        bucket: the bucket to serve.
        port: 0 takes any free port.
        on_start: called with the URL as soon as a browser can open it.

    Raises:
        RequestError: the port cannot be opened.
    """
    with listen(port) as listener:
        on_start(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        try:
            site_server(bucket).run(sockets=[listener])
        except Stopped:
            raise
        except KeyboardInterrupt:
            return
        finally:
            leave_at_once()  # a thread may still be waiting for a bucket in the cloud


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a port of 127.0.0.1.

    Raises:
        RequestError: the port cannot be opened.
    """
    try:
        if not 0 <= port <= _MOST_PORT:
            raise OSError(f"expected 0 to {_MOST_PORT}")
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise RequestError(
            f"port {port} cannot be served: {error}. Give another port, or omit --port to use any "
            "free one."
        ) from error


def site_server(bucket: Bucket) -> uvicorn.Server:
    """Return a server of a bucket's site; it runs on a socket that listens."""
    config = uvicorn.Config(
        bucket_site(bucket),
        loop="asyncio",
        http="h11",  # the other parser rewrites some paths before we can refuse them
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
    )
    return uvicorn.Server(config)
