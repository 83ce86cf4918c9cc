"""Which of the runs that Prefect takes for running are set to Crashed: those of this machine whose
processes are gone, and no others.
"""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from prefect import flow, task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.states import Running

from diamond_cutter.flows.server import crashed_runs
from diamond_cutter.process_identity import ProcessIdentity

pytestmark = pytest.mark.prefect


@pytest.fixture
def client(server: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


def running(client: SyncPrefectClient, name: str, **labels: Any) -> UUID:
    """Have Prefect take a run of a process for running."""
    run = client.create_flow_run(flow(lambda: None, name=name), state=Running())
    client.update_flow_run_labels(
        run.id, {f"diamond-cutter.{label}": value for label, value in labels.items()}
    )
    return run.id


def gone_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_runs_whose_processes_are_gone_are_set_to_crashed(client: SyncPrefectClient) -> None:
    this = ProcessIdentity.of_this_process()
    here, gone, mine, started = this.host, gone_pid(), this.pid, this.started
    killed = running(client, "sprites", host=here, pid=gone, started=started)
    under_way = client.create_task_run(
        task(lambda: None, name="render shard"), killed, "0", state=Running()
    )
    replaced = running(client, "attribute-dataset", host=here, pid=mine, started="another time")
    alive = running(client, "sprites", host=here, pid=mine, started=started)
    elsewhere = running(client, "sprites", host="another machine", pid=gone, started=started)
    unsigned = running(client, "sprites")
    strange = running(client, "somebody else's", host=here, pid=gone, started=started)

    crashed_runs.mark_crashed_runs()

    def state_of(run: UUID) -> str:
        return client.read_flow_run(run).state_type.value

    assert [state_of(run) for run in (killed, replaced)] == ["CRASHED", "CRASHED"]
    assert "Run it again to continue" in client.read_flow_run(killed).state.message
    assert client.read_task_run(under_way.id).state_type.value == "CRASHED"
    left = (alive, elsewhere, unsigned, strange)
    assert [state_of(run) for run in left] == ["RUNNING"] * 4
    for run in left:
        client.delete_flow_run(run)
