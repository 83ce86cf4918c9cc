"""Futures of Prefect tasks: a queue with a limit, and the errors of failed tasks."""

import itertools
import queue
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from prefect.futures import PrefectFuture

from diamond_cutter.tasks.retrying import FINAL_ERRORS

Job = TypeVar("Job")


class FutureQueue(Generic[Job]):
    """Runs jobs as tasks, at most `limit` at a time, and yields each job when its task ends.

    The other jobs wait here instead of in Prefect's queue, so that an added job does not wait
    behind all of them.
    """

    def __init__(
        self, jobs: Iterable[Job], submit: Callable[[Job], PrefectFuture[Any]], limit: int
    ) -> None:
        self._waiting, self._submit, self._limit = iter(jobs), submit, limit
        self._limited, self._added = (
            dict[PrefectFuture[Any], Job](),
            dict[PrefectFuture[Any], Job](),
        )
        self._ended: queue.SimpleQueue[PrefectFuture[Any]] = queue.SimpleQueue()

    def add(self, job: Job) -> None:
        """Start a job at once, beyond the limit."""
        self._start(job, self._added)

    @property
    def is_empty(self) -> bool:
        """Tell whether no task is running."""
        return not self._limited and not self._added

    def __iter__(self) -> Iterator[tuple[Job, PrefectFuture[Any]]]:
        """Yield each job with its future until no job is left; jobs may be added meanwhile."""
        for job in itertools.islice(self._waiting, self._limit):
            self._start(job, self._limited)
        while not self.is_empty:
            future = self._ended.get()
            if future in self._added:
                yield self._added.pop(future), future
                continue
            # The caller may raise the error of this task, so the next one starts afterwards.
            yield self._limited.pop(future), future
            for job in itertools.islice(self._waiting, 1):
                self._start(job, self._limited)

    def _start(self, job: Job, running: dict[PrefectFuture[Any], Job]) -> None:
        future = self._submit(job)
        running[future] = job
        future.add_done_callback(self._ended.put)


def error_of(future: PrefectFuture[Any]) -> BaseException | None:
    """Return the error of a task that has ended, or None.

    Raises:
        Exception: the error, if no other task of the run can succeed either (`FINAL_ERRORS`).
    """
    future.wait()  # the future has ended, but reads its state only when it is waited for
    if future.state.is_completed():
        return None
    error = future.result(raise_on_failure=False)
    if isinstance(error, FINAL_ERRORS):
        raise error
    return (
        error
        if isinstance(error, BaseException)
        else RuntimeError(future.state.message or future.state.name)
    )
