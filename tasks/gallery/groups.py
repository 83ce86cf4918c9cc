"""Find the reports whose neuron groups some mixes are."""

import math
from collections.abc import Sequence

from diamond_cutter.tasks.gallery.sources import LayerSource
from diamond_cutter.tasks.rendering.subjects import Mix, group_label
from diamond_cutter.tasks.reporting.contents import ReportContents
from diamond_cutter.tasks.reporting.layer_contents import Group

# Reports round weights.
_TOLERANCE = 1e-2


def reports_of(source: LayerSource, reports: Sequence[ReportContents]) -> tuple[int, ...]:
    """Return the places of the reports that show mixes as the neuron groups of a layer."""
    if source.mixes is None or not source.mixes.are_groups:
        return ()
    mixes = {mix.label: mix for mix in source.mixes.mixes}
    return tuple(place for place, report in enumerate(reports) if any(_shown_groups(report, mixes)))


def _shown_groups(report: ReportContents, mixes: dict[str, Mix]) -> list[Group]:
    return [
        group
        for layer in report.layers
        for group in layer.groups
        if (mix := mixes.get(group_label(layer.name, group.number))) and _is(mix, group)
    ]


def _is(mix: Mix, group: Group) -> bool:
    """Tell whether a mix has the weights of a group, as far as the report names them."""
    weights = dict(zip(mix.terms[0].channels, mix.terms[0].weights, strict=True))
    return bool(group.channels) and all(
        math.isclose(weights.get(channel, 0.0), weight, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
        for channel, weight in zip(group.channels, group.weights, strict=True)
    )
