"""Finds runs that Prefect shows as running although their processes are gone; sets them to Crashed.

A killed run cannot report its end. Each run therefore has labels with its process. The next command
that uses the same Prefect database checks whether that process still exists.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.context import FlowRunContext
from prefect.states import Crashed

from diamond_cutter.flows.server.loss import only_shown
from diamond_cutter.process_identity import ProcessIdentity

_HOST, _PID, _STARTED = (f"diamond-cutter.{name}" for name in ("host", "pid", "started"))
_UNDER_WAY = [StateType.RUNNING, StateType.PENDING]
_FLOWS = ["sprites", "attribute-dataset", "find-cut", "attach", "compare-models", "tune"]
_MESSAGE = (
    "The process of this run ended without reporting to Prefect. All finished work is in the "
    "bucket. Run it again to continue."
)


def name_process() -> None:
    """Label the current flow run with its process; mark crashed runs if it is of a deployment."""
    context = FlowRunContext.get()
    if (
        context is None
        or context.flow_run is None
        or not isinstance(context.client, SyncPrefectClient)
    ):
        return
    process = ProcessIdentity.of_this_process()
    with only_shown():
        context.client.update_flow_run_labels(
            context.flow_run.id,
            {_HOST: process.host, _PID: process.pid, _STARTED: process.started},
        )
    if context.flow_run.deployment_id is not None:
        mark_crashed_runs()  # a worker runs no command, which would do so


def mark_crashed_runs() -> None:
    """Set the runs of this machine with a missing process, and their tasks, to Crashed."""
    with _client() as client:
        _crash(client, [run.id for run in _orphans(client)])


def crash_runs(runs: Sequence[UUID]) -> None:
    """Set runs that Prefect shows as running, and their tasks, to Crashed."""
    if runs:
        with _client() as client:
            found = client.read_flow_runs(
                flow_run_filter=FlowRunFilter(
                    id=FlowRunFilterId(any_=list(runs)), state=_under_way()
                )
            )
            _crash(client, [run.id for run in found])


def pause_deployments(deployments: Iterable[UUID]) -> None:
    """Pause the schedules of deployments."""
    with _client() as client:
        for deployment in deployments:
            client.pause_deployment(deployment)


@contextmanager
def _client() -> Iterator[SyncPrefectClient]:
    try:
        with get_client(sync_client=True) as client:
            yield client
    except httpx.HTTPError:
        pass  # the state of old runs must not stop a new run


def _crash(client: SyncPrefectClient, runs: Iterable[UUID]) -> None:
    state: State[Any] = Crashed(message=_MESSAGE)
    for run in runs:
        tasks = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])),
            task_run_filter=TaskRunFilter(
                state=TaskRunFilterState(type=TaskRunFilterStateType(any_=_UNDER_WAY))
            ),
        )
        for task in tasks:
            client.set_task_run_state(task.id, state, force=True)
        client.set_flow_run_state(run, state, force=True)


def _under_way() -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY))


def _orphans(client: SyncPrefectClient) -> Iterator[FlowRun]:
    under_way = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=_FLOWS)),
        flow_run_filter=FlowRunFilter(state=_under_way()),
    )
    for run in under_way:
        host, pid, started = (run.labels.get(label) for label in (_HOST, _PID, _STARTED))
        if (
            isinstance(pid, int)
            and ProcessIdentity(host=str(host), pid=pid, started=str(started)).is_known_to_be_gone()
        ):
            yield run
