"""Futures of Prefect tasks: a queue with a limit, and the errors of failed tasks."""

import queue
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from prefect.futures import PrefectFuture

from diamond_cutter.errors import DiamondCutterError, first_line
from diamond_cutter.flows.stops import Stop, current_stop
from diamond_cutter.tasks.devices import SlotsClosed
from diamond_cutter.tasks.retrying import FINAL_ERRORS

Job = TypeVar("Job")

_ASK_AGAIN_S = 1.0


class FutureQueue(Generic[Job]):
    """Runs jobs as tasks, at most `limit()` at a time, and yields each job when its task ends.

    The other jobs wait here instead of in Prefect's queue, so that an added job does not wait
    behind all of them. Jobs are asked for whenever a task ends, also after their last one. A job
    of None means that there is none at present, and that the queue should ask again soon.

    SIGTERM or Ctrl-C ends the queue as soon as the tasks in flight have ended, or their grace time
    is over (see `stops.py`). Then the exception of the signal is raised.
    """

    def __init__(
        self,
        jobs: Iterable[Job | None],
        submit: Callable[[Job], PrefectFuture[Any]],
        limit: Callable[[], int],
        watch: Callable[[], None] = lambda: None,
        may_start: Callable[[], bool] = lambda: True,
        done: Callable[[], str] = str,
    ) -> None:
        """Prepare to run jobs.

        Args:
            jobs: the jobs, in their order.
            submit: starts the task of a job.
            limit: returns how many tasks may run.
            watch: is called at least once a second.
            may_start: tells whether jobs may start; if not, the queue ends when no task runs.
            done: returns what is done so far, such as `3 of 9 layers`, for the message of a stop.
        """
        self._jobs, self._submit, self._limit = iter(jobs), submit, limit
        self._watch, self._may_start, self._done = watch, may_start, done
        self._limited, self._added = (
            dict[PrefectFuture[Any], Job](),
            dict[PrefectFuture[Any], Job](),
        )
        self._ended: queue.SimpleQueue[PrefectFuture[Any]] = queue.SimpleQueue()

    def add(self, job: Job) -> None:
        """Start a job at once, beyond the limit."""
        self._start(job, self._added)

    def abandon(self, job: Job) -> None:
        """Stop waiting for the task of a job, which is lost; another one may then start."""
        for future in [future for future, running in self._limited.items() if running is job]:
            del self._limited[future]

    @property
    def is_empty(self) -> bool:
        """Tell whether no task is running."""
        return not self._limited and not self._added

    def __iter__(self) -> Iterator[tuple[Job, PrefectFuture[Any]]]:
        """Yield each job with its future until no job is left; jobs may be added meanwhile."""
        stop, closes = current_stop(), False
        with stop.held(self._done):
            while (self._fill(stop) or not self.is_empty) and not stop.is_over:
                stop.obey()
                if not closes and not self._may_start():
                    closes = True
                    stop.admit(more=False)
                self._watch()
                try:
                    future = self._ended.get(timeout=_ASK_AGAIN_S)
                except queue.Empty:
                    continue
                # The caller may raise the error of this task, so the next one starts afterwards.
                for running in (self._limited, self._added):
                    if future in running:
                        job = running.pop(future)
                        if not ((closes or stop.is_requested) and _was_refused(future)):
                            yield job, future
            if closes and not stop.is_requested:
                stop.admit(more=True)

    def _fill(self, stop: Stop) -> bool:
        """Start jobs up to the limit, and tell whether there may be more of them."""
        missing = object()
        while len(self._limited) < self._limit():
            if stop.is_requested or not self._may_start():
                return False
            job = next(self._jobs, missing)
            if job is missing:
                return False
            if job is None:
                break
            self._start(job, self._limited)  # type: ignore[arg-type]
        return True

    def _start(self, job: Job, running: dict[PrefectFuture[Any], Job]) -> None:
        future = self._submit(job)
        running[future] = job
        future.add_done_callback(self._ended.put)


def _was_refused(future: PrefectFuture[Any]) -> bool:
    """Tell whether a task has ended because it got no device any more."""
    future.wait()
    return future.state.is_failed() and isinstance(
        future.result(raise_on_failure=False), SlotsClosed
    )


class TaskLost(DiamondCutterError):
    """The process that ran a task is gone, so the task has no outcome."""

    exit_code = 1


def error_of(future: PrefectFuture[Any]) -> BaseException | None:
    """Return the error of a task that has ended, or None; a TaskLost if its process is gone.

    Raises:
        Exception: the error, if no other task of the run can succeed either (`FINAL_ERRORS`).
    """
    future.wait()  # the future has ended, but reads its state only when it is waited for
    try:
        error = future.result(raise_on_failure=False)
    except Exception as raised:  # by the runner, of a class of its library
        return TaskLost(f"its worker was lost ({first_line(raised)})")
    if future.state.is_completed():
        return None
    if isinstance(error, FINAL_ERRORS):
        raise error
    if future.state.is_crashed():
        return TaskLost(f"its process ended ({future.state.message})")
    return (
        error
        if isinstance(error, BaseException)
        else RuntimeError(future.state.message or future.state.name)
    )
