"""The client of Google Cloud Storage, one for each process, shared by its threads."""

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
    """Return the library's handle of a bucket, without a request.

    The library's environment variable STORAGE_EMULATOR_HOST names another server.
    DIAMOND_CUTTER_USER_PROJECT names the project that pays for requester-pays buckets.

    Raises:
        google.auth.exceptions.GoogleAuthError: the credentials are missing or unreadable.
    """
    # A client must not survive a fork, because two processes would share its connections.
    return _client(os.getpid(), os.environ.get("STORAGE_EMULATOR_HOST")).bucket(
        name, user_project=os.environ.get(USER_PROJECT) or None
    )


@cache
def _client(pid: int, server: str | None) -> "Client":
    from google.cloud.storage import Client
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        """Reads error responses at once, because the library leaves their connections open."""

        def send(self, *arguments: Any, **options: Any) -> "Response":
            answer = super().send(*arguments, **options)
            if not answer.ok:
                answer.content  # noqa: B018  (reads and caches the body)
            return answer

    disable_bucket_metadata()
    client = Client(project=None)
    # By default the session keeps ten connections, and opens one for each further call.
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, Adapter(pool_connections=4, pool_maxsize=TRANSFERS))
    return client


def disable_bucket_metadata() -> None:
    """Keep the library from requesting the metadata of the bucket with each call.

    It needs them for traces, which are not recorded here. The requests take threads, and a
    permission that writers of objects lack.
    """
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
