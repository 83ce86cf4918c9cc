"""A bucket is tried in place once it is in use; other folders stay as they are."""

from pathlib import Path

import pytest

from diamond_cutter.storage import LocalBucket, NotFound, StorageError
from diamond_cutter.storage.trial import trial_bucket


def test_a_bucket_in_use_is_tried_itself(tmp_path: Path) -> None:
    LocalBucket(tmp_path).put("kept", b"x")
    with trial_bucket(str(tmp_path)) as bucket:
        assert bucket.get("kept") == b"x"


@pytest.mark.parametrize("name", ["", "new", "new/below"])
def test_a_folder_not_in_use_stays_as_it_is(tmp_path: Path, name: str) -> None:
    with trial_bucket(str(tmp_path / name)) as bucket:
        bucket.put("tried", b"x")
        assert bucket.url.startswith(tmp_path.as_uri())
    assert not list(tmp_path.iterdir())


def test_what_is_not_a_bucket_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for url, error in (("", StorageError), ("s3://x", StorageError), ("file", NotFound)):
        given = str(tmp_path / url) if url == "file" else url
        with pytest.raises(error), trial_bucket(given):
            pass
