"""Calls that go at once keep their order, and hold no more than they need."""

import threading
import time
from pathlib import Path

import pytest

from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.parallel import at_once
from tests.waiting import AT_MOST_S


def bucket_of(transfers: int, folder: Path) -> LocalBucket:
    bucket = LocalBucket(folder)
    bucket.transfers = transfers
    return bucket


@pytest.mark.parametrize("transfers", [1, 2, 16])
def test_results_come_in_the_order_of_the_items(tmp_path: Path, transfers: int) -> None:
    def call(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item * item

    assert list(at_once(bucket_of(transfers, tmp_path), call, iter(range(100)))) == [
        item * item for item in range(100)
    ]
    assert list(at_once(bucket_of(transfers, tmp_path), call, [])) == []


def test_as_many_go_at_once_as_the_bucket_says(tmp_path: Path) -> None:
    barrier = threading.Barrier(8, timeout=AT_MOST_S)
    assert (
        list(at_once(bucket_of(8, tmp_path), lambda item: barrier.wait() >= 0, range(16)))
        == [True] * 16
    )


def test_no_more_is_begun_than_is_soon_wanted(tmp_path: Path) -> None:
    begun: list[int] = []
    results = at_once(bucket_of(4, tmp_path), begun.append, range(1000))
    for _ in range(3):
        next(results)
    time.sleep(0.1)
    assert len(begun) <= 3 + 2 * 4
    results.close()  # type: ignore[attr-defined]
    assert len(begun) <= 3 + 2 * 4


@pytest.mark.parametrize("transfers", [1, 4])
def test_an_error_comes_in_its_turn_and_ends_the_rest(tmp_path: Path, transfers: int) -> None:
    begun: list[int] = []

    def call(item: int) -> int:
        begun.append(item)
        if item == 5:
            raise KeyError(item)
        return item

    results = at_once(bucket_of(transfers, tmp_path), call, range(1000))
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError):
        next(results)
    assert len(begun) < 20
