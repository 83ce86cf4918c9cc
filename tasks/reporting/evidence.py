"""Collect the evidence for the line of text about a channel."""

import numpy as np
import numpy.typing as npt

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.attribution.label_classes import class_named
from diamond_cutter.tasks.attribution.spec import AttributionSpec, ablated_channels
from diamond_cutter.tasks.attribution.totals import ALL, LayerTotals, SetName, Totals
from diamond_cutter.tasks.attribution.words import CLASS_VERBS, ChannelEvidence, ClassEvidence

_NAMED_CLASSES = 3


class LayerEvidence:
    """Collects the evidence for each channel of a layer.

    Selectivity compares the user's labels, or the predicted classes if there are no labels. A
    channel supports a class if it is among the channels that add most to it.
    """

    def __init__(
        self,
        card: ModelCard,
        spec: AttributionSpec,
        totals: Totals,
        layer: str,
        highest: npt.NDArray[np.float32],
    ) -> None:
        """Prepare the evidence; `highest` are the highest activations, float32 `[channel]`."""
        self._card, self._images, self._highest = card, totals.images(), highest
        self._all = totals.sets[ALL][layer]
        names = list(totals.ordered())
        self._compared = [name for name in names if name.kind == "label"] or [
            name for name in names if name.kind == "class"
        ]
        sets = {name: totals.sets[name][layer] for name in names}
        self._wnids = {
            name: card.class_label(
                class_named(card, name.label) if name.kind == "label" else name.number
            ).wnid
            for name in self._compared
        }
        self._deviations = {name: _deviations(sets[name], self._all) for name in self._compared}
        self._counts = {name: found.images for name, found in sets.items()}
        explained = _explained(spec, names)
        self._means = {name: sets[name].mean for name in explained}
        self._titles = {name: explained[name] for name in explained}

    def of(self, channel: int) -> ChannelEvidence:
        """Return the evidence for a channel."""
        notable = [self._explained(name, channel) for name in self._means]
        return ChannelEvidence(
            selective=tuple(self._compared_with(name, channel) for name in self._compared),
            supports=tuple(found for found in notable if found and found.value > 0),
            opposes=tuple(found for found in notable if found and found.value < 0),
            dead=bool(self._highest[channel] <= 0),
            images=self._images,
            verbs=("raises", "lowers") if self._card.head_kind == "values" else CLASS_VERBS,
        )

    def selective(self, channel: int) -> tuple[tuple[str, float], ...]:
        """Return the classes with the highest means above 0, in deviations above the mean."""
        found = sorted(
            ((self._deviations[name][channel], name) for name in self._compared),
            key=lambda pair: -pair[0],
        )
        return tuple(
            (self._title(name), round(float(value), 3))
            for value, name in found[:_NAMED_CLASSES]
            if value > 0
        )

    def _compared_with(self, name: SetName, channel: int) -> ClassEvidence:
        return ClassEvidence(
            self._title(name),
            self._wnids[name],
            float(self._deviations[name][channel]),
            self._counts[name],
        )

    def _explained(self, name: SetName, channel: int) -> ClassEvidence | None:
        """Return the channel's attribution to a class, if it is among the strongest channels."""
        means, number = self._means[name], self._titles[name]
        rank = ablated_channels(len(means))
        value = means[channel]
        outdone = int((means > value).sum() if value > 0 else (means < value).sum())
        if value == 0 or outdone >= rank:
            return None
        label = self._card.class_label(number)
        return ClassEvidence(label.name, label.wnid, float(value), self._counts[name])

    def _title(self, name: SetName) -> str:
        return name.label if name.kind == "label" else self._card.class_label(name.number).name


def _explained(spec: AttributionSpec, names: list[SetName]) -> dict[SetName, int]:
    """Return the sets of images with one explained class, and the number of the class."""
    if spec.positive == "auto":
        # Images that show the negative class are explained by another class.
        return {
            name: name.number
            for name in names
            if name.kind == "class" and name.number != spec.negative
        }
    return {ALL: spec.positive} if isinstance(spec.positive, int) else {}


def _deviations(found: LayerTotals, every: LayerTotals) -> npt.NDArray[np.float64]:
    spread = every.highest_spread
    return (found.mean_highest - every.mean_highest) / np.where(spread > 0, spread, np.inf)
