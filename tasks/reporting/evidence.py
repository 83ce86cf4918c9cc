"""What speaks for the words about a channel."""

import numpy as np

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.attribution.label_classes import class_named
from diamond_cutter.tasks.attribution.spec import AttributionSpec, ablated_channels
from diamond_cutter.tasks.attribution.totals import ALL, LayerTotals, SetName, Totals
from diamond_cutter.tasks.attribution.words import ChannelEvidence, ClassEvidence

_NAMED_CLASSES = 3


class LayerEvidence:
    """The evidence for each channel of a layer, of which `highest` is the highest activation on any
    image, float32 `[channel]`.

    Channels are selective for what the user's labels say, or for what the model takes images for
    where there are no labels. A channel supports a class if it is among those that add most to it.
    """

    def __init__(
        self,
        card: ModelCard,
        spec: AttributionSpec,
        totals: Totals,
        layer: str,
        highest: np.ndarray,
    ) -> None:
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
        )

    def selective(self, channel: int) -> tuple[tuple[str, float], ...]:
        """Return the classes in which a channel is highest in the mean, the highest first, each
        with its deviations above all.
        """
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
        """Return what a channel adds to a class, if it is among the channels that add most to it,
        or take most from it.
        """
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
    """Return the sets of images that one class explains, with its number."""
    if spec.positive == "auto":
        # Images of the class that all are held against are explained by another one.
        return {
            name: name.number
            for name in names
            if name.kind == "class" and name.number != spec.negative
        }
    return {ALL: spec.positive} if isinstance(spec.positive, int) else {}


def _deviations(found: LayerTotals, every: LayerTotals) -> np.ndarray:
    spread = every.highest_spread
    return (found.mean_highest - every.mean_highest) / np.where(spread > 0, spread, np.inf)
