"""A bucket to try out, without leaving anything in it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diamond_cutter.storage import Bucket, LocalBucket, open_bucket, staging
from diamond_cutter.storage.retries import CallRetries
from diamond_cutter.storage.url import GcsUrl, split_url

# A trial has to end soon.
_RETRIES = CallRetries(total_s=10.0, first_wait_s=0.5, longest_wait_s=2.0, silence_s=10.0)


@contextmanager
def trial_bucket(url: str) -> Iterator[Bucket]:
    """Provide the bucket at a URL with short retries.

    A local folder to which nobody has written yet is replaced by a temporary folder in it, or in
    the nearest folder above it. Otherwise the trial would leave the folder and its staging folder.

    Raises:
        StorageError: the URL is not valid, or a local folder is not writable.
    """
    bucket, place = open_bucket(url, _RETRIES), split_url(url, "bucket")
    if isinstance(place, GcsUrl) or (place / staging.FOLDER_NAME).is_dir():
        yield bucket
        return
    bucket.check()
    with staging.explained(f"write to {place}"):
        folder = tempfile.TemporaryDirectory(
            prefix=".diamond-cutter-trial-", dir=staging.nearest_folder(place)
        )
    with folder as name:
        yield LocalBucket(Path(name))
