"""The connection to Google Cloud Storage: one client for each process, shared by its threads."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from diamond_cutter.storage.retries import CallRetries

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud.storage import Bucket, Client
    from requests import Response

TRANSFERS = 32
USER_PROJECT = "DIAMOND_CUTTER_USER_PROJECT"


def retry_policy(retries: CallRetries) -> "Retry":
    """Return retries in the library's form; the library knows which calls it can repeat."""
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(retries.total_s).with_delay(
        initial=retries.first_wait_s, maximum=retries.longest_wait_s
    )


def connect(name: str) -> "Bucket":
    """Return the library's handle of a bucket, without asking the service anything.

    The environment variable STORAGE_EMULATOR_HOST, which is the library's, names another server;
    DIAMOND_CUTTER_USER_PROJECT names the project that pays where the reader has to.

    Raises:
        google.auth.exceptions.GoogleAuthError: there are no credentials, or they cannot be read.
    """
    # A client does not survive a fork: its connections would be two processes'.
    return _client(os.getpid(), os.environ.get("STORAGE_EMULATOR_HOST")).bucket(
        name, user_project=os.environ.get(USER_PROJECT) or None
    )


@cache
def _client(pid: int, server: str | None) -> "Client":
    from google.cloud.storage import Client
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        """Reads what refusals say at once: the library leaves the connections of those that it
        tries again open.
        """

        def send(self, *arguments: Any, **options: Any) -> "Response":
            answer = super().send(*arguments, **options)
            if not answer.ok:
                answer.content  # noqa: B018  (it is read when it is asked for, and kept)
            return answer

    leave_buckets_alone()
    client = Client(project=None)
    # The library's session keeps ten connections, and opens and closes one for each call beyond
    # them.
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, Adapter(pool_connections=4, pool_maxsize=TRANSFERS))
    return client


def leave_buckets_alone() -> None:
    """Keep the library from asking for a bucket's own metadata beside each call until it has them.

    It wants them for traces, which nobody takes here; asking takes a thread each time, and a
    permission that writers of objects lack.
    """
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
