"""Lets a run outlive its Prefect server, which only shows the run; results are in the bucket."""

import functools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.context import FlowRunContext

from diamond_cutter.flows.errors import print_error

# Waiting time for a server that no longer answers, once; and the time limit of each request.
LOST_AFTER_S = 20.0
_REQUEST_TIMEOUT_S = 10.0
# Requests to a lost server still go out, in case it is back, but with a short time limit.
_LOST_TIMEOUT_S = 2.0
_PAUSE_S = 1.0

_lost: set[str] = set()


class ServerLost(httpx.TransportError):
    """The Prefect server is lost. Prefect's client does not retry this error."""


def is_lost(url: str) -> bool:
    """Tell whether a run of this process has lost the server at an API URL."""
    return url.rstrip("/") in _lost


def outlive_the_server() -> None:
    """Make the current flow run continue if its server is lost; call this first in a flow."""
    context = FlowRunContext.get()
    if context is None or not isinstance(context.client, SyncPrefectClient):
        return
    http = context.client._client
    transport = http._transport_for_url(http.base_url)
    if isinstance(transport, _Outliving):
        return
    _outlive_the_lease()
    http.timeout = httpx.Timeout(_REQUEST_TIMEOUT_S)
    http._transport, http._mounts = _Outliving(transport, str(http.base_url).rstrip("/")), {}


def _outlive_the_lease() -> None:
    """Keep the slot of a deployment while the server answers, and continue without it otherwise.

    Prefect would end the run if its thread fails to renew the lease of the slot. That thread has
    a client of its own, so the method is replaced.
    """
    renew = SyncPrefectClient.renew_concurrency_lease
    if getattr(renew, "outlives", False):
        return

    @functools.wraps(renew)
    def renew_if_possible(client: SyncPrefectClient, *args: Any, **kwargs: Any) -> None:
        with only_shown():
            renew(client, *args, **kwargs)

    renew_if_possible.outlives = True  # type: ignore[attr-defined]
    SyncPrefectClient.renew_concurrency_lease = renew_if_possible  # type: ignore[method-assign, assignment]


def server_answers() -> bool:
    """Tell whether the server of the current flow run answers, after waiting for it if needed."""
    context = FlowRunContext.get()
    try:
        return (
            context is not None
            and isinstance(context.client, SyncPrefectClient)
            and context.client.hello().is_success
        )
    except httpx.HTTPError:
        return False


@contextmanager
def only_shown() -> Iterator[None]:
    """Ignore errors of the server in the block, which only changes what Prefect shows."""
    try:
        yield
    except httpx.HTTPError:
        pass


class _Outliving(httpx.BaseTransport):
    """Sends requests to a server; if it is lost, accepts state changes in its place."""

    def __init__(self, server: httpx.BaseTransport, url: str) -> None:
        self._server, self._url, self._said = server, url, False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response of the server, waiting for it if it has just been lost."""
        until = time.monotonic() + LOST_AFTER_S
        while True:
            lost = self._url in _lost
            if lost:
                request.extensions["timeout"] = httpx.Timeout(_LOST_TIMEOUT_S).as_dict()
            try:
                response = self._server.handle_request(request)
            except httpx.TransportError as error:
                if lost or time.monotonic() > until:
                    return self._without_server(request, error)
                time.sleep(_PAUSE_S)
            else:
                _lost.discard(self._url)
                return response

    def close(self) -> None:
        """Close the connections to the server."""
        self._server.close()

    def _without_server(
        self, request: httpx.Request, error: httpx.TransportError
    ) -> httpx.Response:
        _lost.add(self._url)
        if not self._said:
            self._said = True
            print_error(
                f"the Prefect server at {self._url} no longer answers "
                f"({str(error) or type(error).__name__}). "
                "The run continues without it, and Prefect may not show how it ends."
            )
        if not request.url.path.endswith("/set_state"):
            raise ServerLost(
                f"The Prefect server at {self._url} is lost.", request=request
            ) from error
        state = {"id": str(uuid4()), **json.loads(request.content)["state"]}
        return httpx.Response(
            201, json={"state": state, "status": "ACCEPT", "details": {}}, request=request
        )
