"""OpenTelemetry metrics of runs, sent if the environment configures them and the SDK is installed.

The variables are those of the OpenTelemetry specification. Names of models and layers come from
users, so they are attributes, never names of metrics.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from diamond_cutter.flows.events.stream import Event, PartFailed, ShardDone, TaskFailed, heard_by

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.sdk.metrics import MeterProvider

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
# Seconds, from the writing of a small shard to the rendering of a large one.
_BOUNDARIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_LAST_EXPORT_MS = 5_000


def metrics_are_on() -> bool:
    """Tell whether the environment configures metrics and the extra `metrics` is installed."""
    exporter = os.environ.get("OTEL_METRICS_EXPORTER", "")
    wanted = exporter or any(map(os.environ.get, _ENDPOINTS))
    off = exporter == "none" or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return bool(wanted) and not off and find_spec("opentelemetry.sdk") is not None


@contextmanager
def sent_metrics() -> Iterator[None]:
    """Send the metrics of the events in the block, regularly and at its end."""
    exporter = _exporter()
    if exporter is None:
        yield
        return
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    provider = provider_of(PeriodicExportingMetricReader(exporter))
    try:
        with heard_by(ShardMetrics(provider.get_meter("diamond_cutter"))):
            yield
    finally:
        provider.shutdown(timeout_millis=_LAST_EXPORT_MS)


def provider_of(reader: Any) -> "MeterProvider":
    """Return what makes meters for a reader; machines and processes are told apart."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource

    resource = Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or "diamond-cutter",
            "service.instance.id": str(uuid4()),
            "host.name": socket.gethostname(),
        }
    )
    return MeterProvider([reader], resource, shutdown_on_exit=False)


class ShardMetrics:
    """Counts shards and their sprites, and measures their phases."""

    def __init__(self, meter: "Meter") -> None:
        def counter(name: str, unit: str, description: str) -> Any:
            return meter.create_counter(f"diamond_cutter.{name}", unit, description)

        self._sprites = counter("sprites", "{sprite}", "sprites that are done")
        self._shards = counter("shards", "{shard}", "shards that are done")
        self._failures = counter("failures", "{task}", "shards and other tasks that failed")
        self._retries = counter("retries", "{retry}", "retries of shards")
        self._bytes = counter("written", "By", "size of the pictures of shards")
        self._duration = meter.create_histogram(
            "diamond_cutter.shard.duration",
            "s",
            "time for a phase of a shard",
            explicit_bucket_boundaries_advisory=_BOUNDARIES,
        )

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case ShardDone():
                self._done(event)
            case PartFailed():
                attributes = _attributes(event.part.model, event.part.layer, None)
                self._failures.add(1, attributes)
                self._retries.add(event.retries, attributes)
            case TaskFailed():
                self._failures.add(1)

    def _done(self, event: ShardDone) -> None:
        outcome, work = event.outcome, event.outcome.work
        device = None if work is None else work.device
        attributes = _attributes(event.part.model, event.part.layer, device)
        self._sprites.add(event.part.items, {**attributes, "how": outcome.how})
        self._shards.add(1, {**attributes, "how": outcome.how})
        if outcome.retries:
            self._retries.add(outcome.retries, attributes)
        if work is not None:
            self._bytes.add(work.bytes, attributes)
        for phase, seconds in outcome.seconds_by_phase.items():
            self._duration.record(seconds, {**attributes, "phase": phase})


def _attributes(model: str | None, layer: str | None, device: str | None) -> dict[str, str]:
    given = {"model": model, "layer": layer, "device": device}
    return {name: value for name, value in given.items() if value is not None}


def _exporter() -> Any | None:
    """Return the exporter that the environment names, or None if it is not installed."""
    name = os.environ.get("OTEL_METRICS_EXPORTER") or "otlp"
    if name == "otlp":
        protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), "http/protobuf")
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    found = list(entry_points(group="opentelemetry_metrics_exporter", name=name))
    try:
        return found[0].load()() if found else None
    except ImportError:
        return None
