"""A bucket is opened by the text that a user gives."""

import subprocess
import sys
from pathlib import Path

import pytest

from diamond_cutter import storage
from diamond_cutter.storage import GcsBucket, LocalBucket, StorageError, open_bucket

REPOSITORY = Path(__file__).parents[2]


def test_paths_and_file_urls_are_the_same_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "a b#c?d%41"
    for url in (
        place,
        str(place),
        place.name,
        f"./{place.name}",
        place.as_uri(),
        place.as_uri().replace("file://", "FILE://localhost"),
    ):
        bucket = open_bucket(url)
        assert isinstance(bucket, LocalBucket)
        assert bucket.url == place.as_uri()
        assert open_bucket(bucket.url).url == bucket.url
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("gs://bucket", "gs://bucket"),
        ("gs://bucket/", "gs://bucket"),
        ("gs://bucket/team/run-1", "gs://bucket/team/run-1"),
        ("GS://bucket/team/", "gs://bucket/team"),
        (Path("gs://bucket/team"), "gs://bucket/team"),
    ],
)
def test_places_on_google_cloud_storage(given: str | Path, url: str) -> None:
    bucket = open_bucket(given)
    assert isinstance(bucket, GcsBucket)
    assert bucket.url == url and open_bucket(bucket.url).url == url


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert open_bucket("~/bucket").url == "file:///home/somebody/bucket"


def test_what_is_no_bucket() -> None:
    for url, message in [
        ("gs://", "'' is not a valid name of a bucket"),
        ("gs://b?x/a", "'b?x' is not a valid name of a bucket"),
        ("gs://bucket/a//b", "key 'a//b' is not valid"),
        ("gs://bucket/a?b", "key 'a?b' is not valid"),
        ("gs://bucket/a#b", "key 'a#b' is not valid"),
        ("gs://bucket/..", "key '..' is not valid"),
        ("s3://bucket", "unknown scheme 's3': expected file or gs"),
        ("https://example.com/a", "unknown scheme 'https'"),
        ("file://elsewhere/a", "names the host 'elsewhere': expected an absolute path"),
        ("file://bucket", "names the host 'bucket'"),
        ("", "empty text"),
    ]:
        with pytest.raises(StorageError) as raised:
            open_bucket(url)
        assert message in str(raised.value)


def test_what_callers_can_import() -> None:
    assert sorted(storage.__all__) == storage.__all__
    assert all(hasattr(storage, name) for name in storage.__all__)


def test_the_import_is_light() -> None:
    script = "import sys, storage; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=REPOSITORY
    ).stdout.split()
    assert not {"numpy", "pydantic", "prefect", "tensorflow", "requests"} & set(loaded)
