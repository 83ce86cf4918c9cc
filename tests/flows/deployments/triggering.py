"""Triggers deployments of a Prefect server on a busy machine."""

from typing import Any

import httpx

from tests.waiting import wait_for


def trigger(api: httpx.Client, deployment: str, **parameters: Any) -> httpx.Response:
    """Trigger a deployment by its id, and return the answer of the server.

    SQLite may be locked by what the server still writes, so a server error is no answer yet.
    """

    def answered() -> list[httpx.Response]:
        create = f"/deployments/{deployment}/create_flow_run"
        answer = api.post(create, json={"parameters": parameters})
        return [] if answer.is_server_error else [answer]

    return wait_for(answered)[0]
