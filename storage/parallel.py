"""Concurrent calls, in the order of their items and with a bounded number in flight."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from diamond_cutter.storage.bucket import Bucket

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def at_once(
    bucket: Bucket, call: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
    """Yield the result of the call for each item, in their order, with the bucket's concurrency.

    Only the results in flight are held in memory. An error of a call is raised in its turn, and
    calls that have not started are cancelled.
    """
    return in_threads(bucket.transfers, call, items)


def in_threads(
    threads: int, call: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
    """Yield the result of the call for each item, as `at_once` does; one thread is the caller's."""
    if threads == 1:
        yield from map(call, items)
        return
    pending = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        under_way: deque[Future[_Result]] = deque(
            pool.submit(call, item) for item in islice(pending, 2 * threads)
        )
        try:
            while under_way:
                result = under_way.popleft().result()
                under_way.extend(pool.submit(call, item) for item in islice(pending, 1))
                yield result
        finally:
            for future in under_way:
                future.cancel()
