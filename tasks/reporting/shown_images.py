"""The maps of single images, in compact arrays until all images are known."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.attribution.batches import Batch, NumberedImage
from diamond_cutter.tasks.attribution.details import BatchDetails, LayerDetails
from diamond_cutter.tasks.attribution.groups import Groups
from diamond_cutter.tasks.attribution.label_classes import label_class
from diamond_cutter.tasks.attribution.network import Network
from diamond_cutter.tasks.attribution.score import NONE
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.reporting.grouping import group_amounts, group_worth
from diamond_cutter.tasks.reporting.page_data import Explained


@dataclass(frozen=True)
class ShownLayer:
    """A layer's details of one image, in compact arrays until all images are known.

    values: the maps, int8 `[map, cell]`, and scales, float32 `[map]`.
    map_channels: uint16 `[map, cell, up to 4]`, and activated, uint16 `[cell, up to 4]`.
    amounts: the highest activation in each cell, uint8 `[cell]`, and highest, that of the layer.
    groups: uint8 `[group, cell]`, and group_attribution, float32 `[group]`.
    seen_from: uint8 `[cell, cell of the previous layer]`.
    """

    values: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    map_channels: npt.NDArray[np.uint16]
    activated: npt.NDArray[np.uint16]
    amounts: npt.NDArray[np.uint8]
    highest: float
    groups: npt.NDArray[np.uint8]
    group_attribution: npt.NDArray[np.floating]
    seen_from: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ShownImage:
    """The details of one image, in compact arrays until all images are known.

    classes, probabilities: int32 and float32, `[up to 5]`.
    """

    image: NumberedImage
    label_class: int
    classes: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.float32]
    explained: tuple[Explained, ...]
    layers: tuple[ShownLayer, ...]


class MeasuredBatch:
    """The details of a batch, from which single images are taken."""

    def __init__(
        self,
        network: Network,
        spec: AttributionSpec,
        batch: Batch,
        seen: BatchDetails,
        groups: dict[str, Groups],
    ) -> None:
        self._network, self._layers, self._batch, self._seen = network, spec.layers, batch, seen
        self.amounts = group_amounts(seen, spec, groups)
        self.worth = group_worth(seen, spec, groups)

    def image(self, place: int, sources: dict[str, npt.NDArray[np.float32]]) -> ShownImage:
        """Return one image; `sources` are the shares of the previous layer's cells, by layer."""
        image, seen = self._batch.images[place], self._seen
        return ShownImage(
            image=image,
            label_class=label_class(self._network.card, image.image),
            classes=seen.classes[place],
            probabilities=seen.probabilities[place],
            explained=tuple(
                Explained(
                    positive=_class(chosen.positive[place]), negative=_class(chosen.negative[place])
                )
                for chosen in seen.explained
            ),
            layers=tuple(
                self._layer(place, at, layer, sources.get(name, np.empty((0, 0), np.float32)))
                for at, (name, layer) in enumerate(zip(self._layers, seen.layers, strict=True))
            ),
        )

    def _layer(
        self, place: int, at: int, layer: LayerDetails, sources: npt.NDArray[np.float32]
    ) -> ShownLayer:
        amount, worth = self.amounts[at], self.worth[at]
        values = np.stack([found.values[place] for found in layer.maps])
        channels = np.stack([found.channels[place] for found in layer.maps])
        scales = np.maximum(np.abs(values).max(axis=1), 1e-12)
        activations = layer.highest[place].max(axis=1)
        return ShownLayer(
            values=np.round(values / scales[:, None] * 127).astype(np.int8),
            scales=scales,
            map_channels=channels.astype(np.uint16),
            activated=layer.channels[place].astype(np.uint16),
            amounts=_bytes(activations[None])[0],
            highest=float(activations.max()),
            groups=np.empty((0, 0), np.uint8) if amount is None else _bytes(amount[place].T),
            group_attribution=np.empty(0)
            if amount is None or worth is None
            else (amount[place] * worth[place]).sum(axis=0),
            seen_from=_bytes(sources),
        )


def _class(number: np.int32) -> int | None:
    return None if int(number) == NONE else int(number)


def _bytes(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return each row scaled to 0 to 255, with its maximum at 255 and negative values at 0."""
    above = np.maximum(rows, 0)
    return np.round(
        255 * above / np.maximum(above.max(axis=1, keepdims=True, initial=0), 1e-12)
    ).astype(np.uint8)
