"""A signal that arrives while Prefect creates a task run stops the run as at any other moment."""

import signal
from typing import Any

import pytest
from prefect import flow, task, task_engine
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from diamond_cutter.flows.exits import Stopped
from diamond_cutter.flows.stops import fresh_stop, handling, terminable
from tests.waiting import wait_for

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("server", "signals_restored")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_creation_of_a_task_run(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Any] = []
    create = task_engine._create_task_run_locally

    def interrupted(**arguments: Any) -> Any:
        signal.raise_signal(number)
        return create(**arguments)

    monkeypatch.setattr(task_engine, "_create_task_run_locally", interrupted)

    @task
    def endless() -> None:
        wait_for(lambda: False)

    @flow
    def with_a_task() -> None:
        runs.append(flow_run.id)
        with handling((signal.SIGTERM, signal.SIGINT)):
            endless()

    with pytest.raises(KeyboardInterrupt) as stopped, fresh_stop(), terminable():
        with_a_task()
    assert number == (stopped.value.number if isinstance(stopped.value, Stopped) else signal.SIGINT)
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(runs[0]).state
    assert state is not None and state.is_crashed()
