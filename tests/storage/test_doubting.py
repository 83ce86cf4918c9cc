"""A bucket that is not believed is the same bucket, without its sums."""

from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.storage import Bucket, LocalBucket
from diamond_cutter.storage.doubting import WithoutSums
from tests.storage.conformance import BucketContract


class TestContract(BucketContract):
    @pytest.fixture
    def bucket(self, tmp_path: Path) -> Bucket:
        return WithoutSums(LocalBucket(tmp_path / "bucket"))

    def raw_write(self, bucket: Any, key: str, data: bytes) -> None:
        bucket.put(key, data, mode="overwrite")
