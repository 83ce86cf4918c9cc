"""Metrics of runs: what is counted, and when they are sent."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)

from diamond_cutter.flows.events import metrics
from diamond_cutter.flows.events.observers import observed
from diamond_cutter.flows.events.stream import (
    Part,
    PartFailed,
    PartStarted,
    ShardDone,
    TaskFailed,
    heard_by,
    publish,
)
from diamond_cutter.tasks.rendering.work import ShardOutcome, ShardWork
from tests.storage.shard_records import VERSIONS

VARIABLES = (
    "OTEL_METRICS_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_SDK_DISABLED",
)
HOSTILE = "a\nb{}=,\x00"
SHARD = Part(kind="shard", title="t", items=64, model="m@0", layer=HOSTILE, channels="0-31")
WORK = ShardWork(
    host="h",
    device="gpu:0",
    tracing_s=2.0,
    rendering_s=31.0,
    writing_s=0.25,
    bytes=1000,
    picture="p.webp",
    versions=VERSIONS,
)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    """Return a reader of the metrics of all events."""
    found = InMemoryMetricReader()
    provider = metrics.provider_of(found)
    with heard_by(metrics.ShardMetrics(provider.get_meter("test"))):
        yield found
    provider.shutdown()


def points(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, Any], Any]]]:
    """Return the attributes and the value of each point by the name of the metric."""
    data = reader.get_metrics_data()
    (resource,) = data.resource_metrics if data else ()
    assert resource.resource.attributes["service.name"] == "diamond-cutter"
    (scope,) = resource.scope_metrics
    return {
        metric.name.removeprefix("diamond_cutter."): [
            (dict(point.attributes or {}), getattr(point, "value", getattr(point, "sum", None)))
            for point in metric.data.data_points
        ]
        for metric in scope.metrics
    }


def test_shards_are_counted_with_their_model_layer_and_device(reader: InMemoryMetricReader) -> None:
    publish(PartStarted(part=SHARD))
    for retries in (0, 2):
        outcome = ShardOutcome(how="rendered", work=WORK, waiting_s=4.0, retries=retries)
        publish(ShardDone(part=SHARD, outcome=outcome))
    publish(ShardDone(part=SHARD, outcome=ShardOutcome(how="there")))
    publish(PartFailed(part=SHARD, problem="its worker was lost", retries=2))
    publish(TaskFailed(problem="no spritemap"))
    layer = {"model": "m@0", "layer": HOSTILE}
    here = {**layer, "device": "gpu:0"}
    assert points(reader) == {
        "sprites": [({**here, "how": "rendered"}, 128), ({**layer, "how": "there"}, 64)],
        "shards": [({**here, "how": "rendered"}, 2), ({**layer, "how": "there"}, 1)],
        "retries": [(here, 2), (layer, 2)],
        "written": [(here, 2000)],
        "failures": [(layer, 1), ({}, 1)],
        "shard.duration": [
            ({**here, "phase": "waiting"}, 8.0),
            ({**here, "phase": "tracing"}, 4.0),
            ({**here, "phase": "rendering"}, 62.0),
            ({**here, "phase": "writing"}, 0.5),
        ],
    }


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:4318/v1/metrics"}, True),
        ({"OTEL_METRICS_EXPORTER": "console"}, True),
        ({"OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
        ({"OTEL_METRICS_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_environment_turns_metrics_on(
    variables: dict[str, str], on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert metrics.metrics_are_on() is on
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    assert not metrics.metrics_are_on()  # nothing is imported without the extra


class Exporter(MetricExporter):
    """Keeps what it is given, of all exporters."""

    exported: ClassVar[list[str]] = []

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 0, **kwargs: Any
    ) -> MetricExportResult:
        for resource in metrics_data.resource_metrics:
            for scope in resource.scope_metrics:
                self.exported.extend(metric.name for metric in scope.metrics)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 0, **kwargs: Any) -> None:
        pass


def test_metrics_are_sent_once_for_a_command_and_its_inner_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    monkeypatch.setattr(metrics, "_exporter", Exporter)
    with observed("attribute"), observed("sprites"):
        publish(ShardDone(part=SHARD, outcome=ShardOutcome(how="rendered", work=WORK)))
    assert Exporter.exported.count("diamond_cutter.sprites") == 1


def test_an_unknown_exporter_sends_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "no-such-exporter")
    with observed("sprites"):
        publish(TaskFailed(problem="p"))
    assert capsys.readouterr() == ("", "")
