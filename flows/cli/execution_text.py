"""Executions of runs as text: when, where and for how long."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from diamond_cutter.flows.cli.score_text import count_of
from diamond_cutter.flows.cli.tables import Part, Rows
from diamond_cutter.flows.quantities import lasting, share
from diamond_cutter.storage.sets.executions import DeviceUse, PhaseSeconds, RunExecution
from diamond_cutter.storage.sets.records import Versions

_ENDS = {"complete": "complete", "failed": "some shards failed", "stopped": "stopped"}
_DEVICES = ("device", "shards", "sprites", "busy", "versions")
_PHASES = ("waiting", "tracing", "rendering", "writing")


def executions_in_words(executions: Sequence[RunExecution]) -> list[Part]:
    """Return the executions of a run as a table, with the times of all of them together."""
    if not executions:
        return []
    rows = [
        (
            f"{each.started:%Y-%m-%d %H:%M:%S %Z}",
            lasting((each.ended - each.started).total_seconds()),
            each.host,
            str(each.rendered),
            str(each.failed),
            str(each.retries),
            _end(each),
        )
        for each in executions
    ]
    head = ("started", "took", "on", "rendered", "failed", "retries", "end")
    return [
        f"{count_of(len(rows), 'execution')} with something to do:",
        Rows(head, rows),
        *_times(executions),
    ]


def execution_in_words(execution: RunExecution) -> list[Part]:
    """Return one execution of a run as lines of text and tables."""
    took_s = (execution.ended - execution.started).total_seconds()
    return [
        f"execution of the run {execution.selection} of {execution.model} by {execution.recipe}: "
        f"{_end(execution)}",
        f"`{execution.command}` on {execution.host}, process {execution.process}, started "
        f"{execution.started:%Y-%m-%d %H:%M:%S %Z}, took {lasting(took_s)}",
        f"{count_of(execution.rendered, 'sprite')} rendered, {execution.found} found, "
        f"{execution.failed} failed; {execution.retries} retries of shards",
        *_times([execution]),
    ]


def _end(execution: RunExecution) -> str:
    end = _ENDS[execution.end]
    return f"{end}: {execution.problem}" if execution.problem else end


def _times(executions: Sequence[RunExecution]) -> list[Part]:
    """Return tables of the seconds in each phase by layer, and of the devices."""
    layers: dict[str, PhaseSeconds] = {}
    for layer, seconds in (item for each in executions for item in each.layers.items()):
        layers[layer] = layers.get(layer, PhaseSeconds()) + seconds
    whole = sum(layers.values(), PhaseSeconds())
    rows = [(layer, *_durations(seconds)) for layer, seconds in layers.items()]
    devices = list(_devices(executions))
    total = [("all layers", *_durations(whole))] if len(rows) > 1 else []
    return [
        "time of shards, added up:",
        Rows(("layer", *_PHASES), [*rows, *total]),
        *([f"tracing is {share(whole.tracing / whole.busy)} of the work"] if whole.busy else []),
        *([Rows(_DEVICES, devices)] if devices else []),
    ]


def _durations(seconds: PhaseSeconds) -> tuple[str, ...]:
    return tuple(lasting(getattr(seconds, phase)) for phase in _PHASES)


def _devices(executions: Iterable[RunExecution]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each device and version of the software."""
    uses: dict[tuple[str, str, Versions], list[DeviceUse]] = defaultdict(list)
    for used in (used for execution in executions for used in execution.devices):
        uses[used.host, used.device, used.versions].append(used)
    for (host, device, versions), found in uses.items():
        yield (
            f"{device} of {host} ({versions.device})",
            str(sum(used.shards for used in found)),
            str(sum(used.sprites for used in found)),
            lasting(sum(used.seconds for used in found)),
            f"TensorFlow {versions.tensorflow}, diamond-cutter {versions.diamond_cutter}",
        )
