"""Conversion of the errors of Google's libraries into ours, with a remedy.

The libraries raise `GoogleAPICallError` for JSON calls, `InvalidResponse` for media calls,
`RetryError` around either after the last attempt, and the errors of google-auth and requests.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diamond_cutter.storage.errors import (
    AccessDenied,
    CredentialsError,
    NotFound,
    StorageError,
    Unavailable,
)
from diamond_cutter.storage.gcs.client import USER_PROJECT

_LOG_IN = (
    "Run 'gcloud auth application-default login', or set GOOGLE_APPLICATION_CREDENTIALS to "
    "the path of a service account's key file."
)
_MISSING_BUCKET = "bucket does not exist"
_QUOTA_REASONS = {
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "quotaExceeded",
    "dailyLimitExceeded",
}
_SHOWN_CHARACTERS = 200


@contextmanager
def explained(doing: str, bucket: str) -> Iterator[None]:
    """Convert errors of the libraries into ours; `doing` completes "cannot ...".

    Raises:
        CredentialsError, AccessDenied, NotFound (of the bucket), Unavailable.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        explanation = _explanation(error, doing, bucket)
        if explanation is None:
            raise
        raise explanation from error


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an error of the libraries, or None."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.cloud.storage.exceptions import InvalidResponse

    if isinstance(error, GoogleAPICallError):
        return int(error.code) if error.code is not None else None
    return int(error.response.status_code) if isinstance(error, InvalidResponse) else None


def is_missing_bucket(error: BaseException) -> bool:
    """Tell whether a 404 is about the bucket, not an object."""
    return status_of(error) == 404 and _MISSING_BUCKET in _message(error)


def is_about_sums(error: BaseException) -> bool:
    """Tell whether the service refused bytes for their checksum."""
    return status_of(error) == 400 and "calculated crc32c" in _message(error).lower()


def _explanation(error: BaseException, doing: str, bucket: str) -> StorageError | None:
    import requests
    import urllib3
    from google.api_core.exceptions import RetryError
    from google.auth import exceptions as auth

    if isinstance(error, RetryError) and error.cause is not None:
        return _explanation(error.cause, doing, bucket)
    status = status_of(error)
    if status is not None:
        return _of_status(status, error, doing, bucket)
    if isinstance(error, auth.DefaultCredentialsError):
        return CredentialsError(
            f"cannot {doing}: no usable Google credentials found ({_shown(error)}). {_LOG_IN}"
        )
    if isinstance(error, auth.InvalidOperation):
        return CredentialsError(f"cannot {doing} without credentials. {_LOG_IN}")
    if isinstance(error, auth.RefreshError):
        return CredentialsError(
            f"cannot {doing}: the credentials are expired or revoked ({_shown(error)}). {_LOG_IN}"
        )
    if isinstance(
        error,
        auth.TransportError
        | requests.RequestException
        | urllib3.exceptions.HTTPError
        | ConnectionError
        | TimeoutError,
    ):
        return Unavailable(
            f"cannot {doing}: Google Cloud Storage does not respond ({_shown(error)}). Check the "
            "network, then run the same command again."
        )
    if isinstance(error, auth.GoogleAuthError):
        return CredentialsError(
            f"cannot {doing}: the credentials do not work ({_shown(error)}). {_LOG_IN}"
        )
    return None


def _of_status(status: int, error: BaseException, doing: str, bucket: str) -> StorageError | None:
    message, reasons = _message(error), _reasons(error)
    if status == 401:
        return CredentialsError(
            f"cannot {doing}: the credentials are not accepted ({_shown(error)}). {_LOG_IN}"
        )
    if status == 429 or (status == 403 and reasons & _QUOTA_REASONS):
        return Unavailable(
            f"cannot {doing}: a quota of Google Cloud Storage is exceeded ({_shown(error)}). Wait, "
            "run fewer workers or request a higher quota, then run the same command again."
        )
    if "requester pays" in message.lower() or "userProjectMissing" in reasons:
        return AccessDenied(
            f"cannot {doing}: gs://{bucket} is a requester-pays bucket. Set {USER_PROJECT} to the "
            "project that pays."
        )
    if status == 403:
        return AccessDenied(
            f"not allowed to {doing} ({_shown(error)}). Request the role roles/storage.objectUser "
            f"on gs://{bucket}, or roles/storage.objectViewer to read only."
        )
    if is_missing_bucket(error):
        return NotFound(
            f"cannot {doing}: the bucket gs://{bucket} does not exist. Correct its name, or create "
            f"it with 'gcloud storage buckets create gs://{bucket}'."
        )
    if status in (404, 412, 416) or is_about_sums(error):
        return None  # their meaning depends on the call
    return Unavailable(
        f"cannot {doing}: Google Cloud Storage returns HTTP {status} ({_shown(error)}). Wait, then "
        "run the same command again."
    )


def _message(error: BaseException) -> str:
    message = getattr(error, "message", None)
    body = _body(error).get("message")
    return " ".join(str(part) for part in (message, body) if part) or str(error)


def _reasons(error: BaseException) -> set[str]:
    errors = _body(error).get("errors")
    return (
        {str(each.get("reason")) for each in errors if isinstance(each, dict)}
        if isinstance(errors, list)
        else set()
    )


def _body(error: BaseException) -> dict[str, Any]:
    """Return the service's description of an error, empty if another server responded."""
    response = getattr(error, "response", None)
    try:
        found = response.json()["error"] if response is not None else {}
    except (ValueError, KeyError, TypeError, RuntimeError):
        return {}
    return found if isinstance(found, dict) else {}


def _shown(error: BaseException) -> str:
    text = str(_body(error).get("message") or _innermost(error))
    line = " ".join(text.split())
    printable = "".join(letter if letter.isprintable() else "?" for letter in line).rstrip(".")
    return (
        printable if len(printable) <= _SHOWN_CHARACTERS else printable[:_SHOWN_CHARACTERS] + "..."
    )


def _innermost(error: BaseException) -> BaseException:
    """Return the innermost error, which has the words of the system."""
    seen = error
    for _ in range(8):
        inner = (
            getattr(seen, "reason", None)
            or next((each for each in seen.args if isinstance(each, BaseException)), None)
            or seen.__cause__
        )
        if not isinstance(inner, BaseException):
            break
        seen = inner
    return seen
