"""Checks Prefect: the server at PREFECT_API_URL, or the folder of private servers."""

import threading
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from diamond_cutter.errors import first_line
from diamond_cutter.flows.errors import PrefectServerError
from diamond_cutter.flows.health.clock import compare_clocks
from diamond_cutter.flows.health.findings import Finding, Findings
from diamond_cutter.storage import staging
from diamond_cutter.storage.downloads import without_secrets

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

_ANSWER_TIMEOUT_S = 10.0
_PRIVATE = "unset PREFECT_API_URL to use a private server"


def check_prefect(stop: threading.Event) -> Findings:
    """Yield the findings about Prefect and its server."""
    import prefect
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME

    url = PREFECT_API_URL.value()
    if url:
        yield from _check_server(without_secrets(url), prefect.__version__)
    else:
        yield _check_home(PREFECT_HOME.value(), prefect.__version__)


def _check_home(home: Path, version: str) -> Finding:
    from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL

    with staging.explained(f"write the database of a private Prefect server to {home}"):
        staging.check_writable(home)
    connection = PREFECT_SERVER_DATABASE_CONNECTION_URL.value()
    own = connection is None or str(home) in str(connection)
    where = f"in {home}, writable" if own else "at PREFECT_SERVER_DATABASE_CONNECTION_URL"
    return Finding(
        check="Prefect", state="ok", found=f"Prefect {version}; private server, database {where}"
    )


def _check_server(url: str, version: str) -> Findings:
    from prefect.client.orchestration import get_client
    from prefect.settings import (
        PREFECT_API_REQUEST_TIMEOUT,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    limits = {PREFECT_API_REQUEST_TIMEOUT: _ANSWER_TIMEOUT_S, PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(limits), get_client(sync_client=True) as client:
        before = datetime.now(UTC)
        date = _greet(url, client)
        after = datetime.now(UTC)
        yield _compare_versions(url, version, _version_of(url, client))
    if date is not None:
        # The header has whole seconds.
        theirs = date + timedelta(seconds=0.5)
        yield compare_clocks("the Prefect server", theirs, before, after)


def _greet(url: str, client: "SyncPrefectClient") -> datetime | None:
    """Return the time that the server tells.

    Raises:
        PrefectServerError: the server does not answer.
    """
    import httpx

    try:
        told = client.hello().headers.get("Date")
    except httpx.HTTPStatusError as error:
        raise PrefectServerError(
            f"PREFECT_API_URL={url} is refused: expected a Prefect server, found HTTP status "
            f"{error.response.status_code}. Correct the address, which ends in /api, or its key."
        ) from error
    except httpx.HTTPError as error:
        raise PrefectServerError(
            f"no Prefect server answers at PREFECT_API_URL={url} ({first_line(error)}). Start it, "
            f"or {_PRIVATE}."
        ) from error
    try:
        return parsedate_to_datetime(told).astimezone(UTC) if told else None
    except ValueError:
        return None


def _version_of(url: str, client: "SyncPrefectClient") -> str:
    import httpx

    try:
        found = client.api_version()
    except ValueError as error:
        raise PrefectServerError(_not_prefect(url, "its answer is not JSON")) from error
    except httpx.HTTPError as error:
        raise PrefectServerError(_not_prefect(url, first_line(error))) from error
    if not isinstance(found, str):
        raise PrefectServerError(_not_prefect(url, "its answer is not a version"))
    return found


def _not_prefect(url: str, why: str) -> str:
    return (
        f"the server at PREFECT_API_URL={url} is not a Prefect server ({why}). Correct the "
        f"address, which ends in /api, or {_PRIVATE}."
    )


def _compare_versions(url: str, ours: str, theirs: str) -> Finding:
    from packaging.version import InvalidVersion, Version

    try:
        server, here = Version(theirs), Version(ours)
    except InvalidVersion as error:
        raise PrefectServerError(_not_prefect(url, first_line(error))) from error
    found = f"Prefect {ours}; the server at {url} answers and has version {theirs}"
    if server.major != here.major:
        remedy = f"Versions must agree in their first number. Use a server of Prefect {here.major}."
        return Finding(check="Prefect", state="failed", found=f"{found}. {remedy}")
    if server < here:
        remedy = f"It is older than this installation. Update the server to {ours}."
        return Finding(check="Prefect", state="warning", found=f"{found}. {remedy}")
    return Finding(check="Prefect", state="ok", found=found)
