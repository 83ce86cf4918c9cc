"""The time of a run follows from that of its shards, and the price from the time."""

import io
import logging

import pytest
from prefect.logging.handlers import PrefectConsoleHandler

from diamond_cutter.flows import task_runners
from diamond_cutter.flows.cli.bucket_requests import PER_SHARD, count_requests
from diamond_cutter.flows.cli.estimates import RunEstimate, _makespan, _workers_on
from diamond_cutter.flows.cli.run_output import print_estimates
from diamond_cutter.flows.planning import LayerPlan, RunPlan
from diamond_cutter.tasks.rendering.subjects import Channels
from tests.flows.made_up_set import made_up_card

ESTIMATE = RunEstimate(
    model="m",
    recipe="r",
    layers=(),
    sprites_done=0,
    sprites_adopted=0,
    sprites_to_do=9000,
    shards=300,
    bytes=5_000_000,
    requests=2345,
    seconds=18_000,
    devices=2,
    workers=4,
    worker_hours=20,
    price=50,
)


@pytest.mark.parametrize(
    ("slots", "seconds"),
    # A device traces each of the two layers once, in 3 and in 5 seconds.
    [(1, 3 + 4 * 10 + 5 + 2 * 20), (2, 3 + 2 * 10 + 5 + 20), (4, 3 + 10 + 5 + 20), (99, 5 + 20)],
)
def test_shards_go_to_the_device_that_is_free_first(slots: int, seconds: float) -> None:
    shards = [("one", 3.0, 10.0)] * 4 + [("two", 5.0, 20.0)] * 2
    assert _makespan(iter(shards), slots) == seconds


def test_without_shards_there_is_no_time() -> None:
    assert _makespan(iter(()), 3) == 0


def test_the_total_names_workers_requests_and_price(capsys: pytest.CaptureFixture[str]) -> None:
    print_estimates([ESTIMATE], as_json=False)
    total = capsys.readouterr().out.splitlines()[-1]
    assert "5.00 MB and 5 h 0 min on 4 workers with 2 devices each; about 2.35 k requests" in total
    assert "; about 50.0 for 20 worker hours, in the currency of" in total
    alone = ESTIMATE.model_copy(update={"workers": 1, "price": None})
    print_estimates([alone], as_json=False)
    assert "on 2 devices; about 2.35 k requests to the bucket\n" in capsys.readouterr().out


def test_long_runs_publish_their_index_several_times() -> None:
    def plan(shards: int) -> RunPlan:
        layers = (
            LayerPlan(Channels(layer=name), tuple(range(shards)), shards, 1, ((0,),) * shards, {})
            for name in ("stem", "block_0")
        )
        return RunPlan(made_up_card(), tuple(layers))

    # Each reads all records so far; the last one is that of every run.
    few, many = (count_requests(plan(count), 1) for count in (255, 256))
    assert many - few == 2 * PER_SHARD + 7 + 2 + 256


def test_prefect_prints_nothing_while_workers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = PrefectConsoleHandler(stream=io.StringIO())

    def places_on(runner: str) -> int:
        logging.getLogger("prefect.task_runner.dask").warning("connecting to %s", runner)
        return 3

    monkeypatch.setattr(task_runners, "places_on", places_on)
    logging.getLogger().addHandler(printed)
    try:
        assert _workers_on("dask://scheduler:8786") == 3
        assert printed.console.file.getvalue() == ""
    finally:
        logging.getLogger().removeHandler(printed)
