"""Few tasks run at once, added jobs start immediately, and each job ends once."""

from collections.abc import Callable
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from prefect.states import Completed, Crashed, Failed, Running

from diamond_cutter.flows.task_futures import FutureQueue, TaskLost, error_of
from diamond_cutter.storage import AccessDenied


class Ended:
    """A task that ends as soon as it starts."""

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        callback(self)


def test_jobs_start_within_the_limit_and_added_ones_at_once() -> None:
    started, ended = list[str](), list[str]()

    def submit(job: str) -> Any:
        started.append(job)
        return Ended()

    queue = FutureQueue[str]("abcde", submit, lambda: 2)
    for job, _ in queue:
        ended.append(job)
        assert len(started) - len(ended) <= 2
        if job == "b":
            queue.add("added")
            assert started == ["a", "b", "c", "added"]
    assert ended == ["a", "b", "c", "added", "d", "e"] and queue.is_empty


def test_no_job_starts_after_the_caller_has_raised() -> None:
    started = list[str]()

    def submit(job: str) -> Any:
        started.append(job)
        return Ended()

    for _ in FutureQueue[str]("abcde", submit, lambda: 2):
        break
    assert started == ["a", "b"]


class Future:
    """A future of a cluster that has ended."""

    def __init__(self, state: State[Any], result: object) -> None:
        self.state, self._result = state, result

    def wait(self) -> None:
        """Return at once."""

    def result(self, raise_on_failure: bool) -> object:
        if isinstance(self._result, _Unreachable):
            raise self._result
        return self._result


class _Unreachable(Exception):
    pass


@pytest.mark.parametrize(
    ("state", "result", "kind"),
    [
        (Completed(), "a value", None),
        (Failed(), ValueError("bad"), ValueError),
        (Crashed(), RuntimeError("killed"), TaskLost),
        (Running(), _Unreachable("the worker died too often"), TaskLost),
        # Prefect knows that it completed, but the result is lost with the scheduler.
        (Completed(), _Unreachable("cancelled"), TaskLost),
        (Failed(message="no result"), None, RuntimeError),
    ],
)
def test_a_task_without_a_result_is_lost(
    state: State[Any], result: object, kind: type[BaseException] | None
) -> None:
    error = error_of(Future(state, result))  # type: ignore[arg-type]
    assert type(error) is (kind or type(None))


def test_an_error_that_no_other_task_survives_is_raised() -> None:
    with pytest.raises(AccessDenied):
        error_of(Future(Failed(), AccessDenied("no")))  # type: ignore[arg-type]
