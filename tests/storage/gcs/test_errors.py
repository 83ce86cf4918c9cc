"""What Google's libraries say becomes an error of ours, whichever part of them says it."""

import json

import pytest
import requests

from diamond_cutter.storage import AccessDenied, NotFound, StorageError
from diamond_cutter.storage.gcs.errors import explained


def refused_media(status: int, message: str) -> Exception:
    """Return the error of a transfer, whose own text is the status only."""
    from google.cloud.storage.exceptions import InvalidResponse

    response = requests.Response()
    response.status_code = status
    response._content = json.dumps({"error": {"message": message}}).encode()
    return InvalidResponse(response, "Request failed with status code", status)


@pytest.mark.parametrize(
    ("status", "message", "error", "text"),
    [
        (400, "This is a requester pays bucket.", AccessDenied, "is a requester-pays bucket"),
        (404, "The specified bucket does not exist.", NotFound, "gs://zoo does not exist"),
    ],
)
def test_the_reason_is_read_in_the_body_of_a_response(
    status: int, message: str, error: type[StorageError], text: str
) -> None:
    with pytest.raises(error, match=text), explained("read gs://zoo/x", "zoo"):
        raise refused_media(status, message)
