"""What Google's libraries raise, told in one sentence with its remedy.

One service fails in many classes: the JSON calls' `GoogleAPICallError`, the media calls'
`InvalidResponse`, `RetryError` around either when tries run out, google-auth's own, and those of
requests.
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
    "run 'gcloud auth application-default login', or set GOOGLE_APPLICATION_CREDENTIALS to "
    "the path of a service account's key file"
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
    """Turn the libraries' errors into ours; `doing` completes "Not able to ...", `bucket` is its
    name.

    Raises:
        CredentialsError, AccessDenied, NotFound (of the whole bucket), Unavailable.
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
    """Return the HTTP status that an error of the libraries stands for, or None."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.cloud.storage.exceptions import InvalidResponse

    if isinstance(error, GoogleAPICallError):
        return int(error.code) if error.code is not None else None
    return int(error.response.status_code) if isinstance(error, InvalidResponse) else None


def is_missing_bucket(error: BaseException) -> bool:
    """Tell whether a 404 is of the whole bucket, not of one object."""
    return status_of(error) == 404 and _MISSING_BUCKET in _message(error)


def is_about_sums(error: BaseException) -> bool:
    """Tell whether the service refused bytes because they do not have the sum that was sent with
    them.
    """
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
            f"Not able to {doing} because no usable credentials of Google were found "
            f"({_shown(error)}); {_LOG_IN}."
        )
    if isinstance(error, auth.InvalidOperation):
        return CredentialsError(f"Not able to {doing} without credentials; {_LOG_IN}.")
    if isinstance(error, auth.RefreshError):
        return CredentialsError(
            f"Not able to {doing} because the credentials are expired or revoked "
            f"({_shown(error)}); {_LOG_IN}."
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
            f"Not able to {doing} because Google Cloud Storage gives no answer ({_shown(error)}); "
            "look at the network, then run the same "
            "command again."
        )
    if isinstance(error, auth.GoogleAuthError):
        return CredentialsError(
            f"Not able to {doing} because the credentials do not work ({_shown(error)}); {_LOG_IN}."
        )
    return None


def _of_status(status: int, error: BaseException, doing: str, bucket: str) -> StorageError | None:
    message, reasons = _message(error), _reasons(error)
    if status == 401:
        return CredentialsError(
            f"Not able to {doing} because the credentials are not accepted ({_shown(error)}); "
            f"{_LOG_IN}."
        )
    if status == 429 or (status == 403 and reasons & _QUOTA_REASONS):
        return Unavailable(
            f"Not able to {doing} because a quota of Google Cloud Storage is used up "
            f"({_shown(error)}); wait, run fewer workers, or have "
            "it raised, then run the same command again."
        )
    if "requester pays" in message.lower() or "userProjectMissing" in reasons:
        return AccessDenied(
            f"Not able to {doing} because whoever reads gs://{bucket} has to pay for it; set "
            f"{USER_PROJECT} to the project that is to pay."
        )
    if status == 403:
        return AccessDenied(
            f"Not allowed to {doing} ({_shown(error)}); have the role roles/storage.objectUser on "
            f"gs://{bucket} granted, or "
            "roles/storage.objectViewer where nothing is written."
        )
    if is_missing_bucket(error):
        return NotFound(
            f"Not able to {doing} because there is no bucket gs://{bucket}; correct its name, or "
            "make it with "
            f"'gcloud storage buckets create gs://{bucket}'."
        )
    if status in (404, 412, 416) or is_about_sums(error):
        return None  # what they mean depends on the call
    return Unavailable(
        f"Not able to {doing} because Google Cloud Storage answers HTTP {status} "
        f"({_shown(error)}); wait, then run the same command again."
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
    """Return what the service says of an error, or nothing where it was not the service that
    answered.
    """
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
    """Return the error at the bottom, whose words are the system's: requests wraps urllib3's, which
    wraps those.
    """
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
