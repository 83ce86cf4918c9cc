"""Choose the images of a report's first screen, and the cell that decides in each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.reporting.answers import answer_of, has_map, leading_layer
from diamond_cutter.tasks.reporting.contents import AnnotatedImage, DetailsRecord
from diamond_cutter.tasks.reporting.dataset_sums import DatasetSums, ImageLine
from diamond_cutter.tasks.reporting.page_data import ImageDetails, ImagesPage
from diamond_cutter.tasks.reporting.pages import from_script

ANNOTATED = 3


@dataclass(frozen=True)
class Annotator:
    """Annotates images: the cell of the highest attribution in the leading layer.

    folder: of the report, whose details are in the bucket.
    """

    bucket: Bucket
    folder: str
    card: ModelCard
    spec: AttributionSpec
    sums: DatasetSums
    details: DetailsRecord

    def images(self) -> tuple[AnnotatedImage, ...]:
        """Return up to three images of different classes, with a wrong prediction if there is one.

        Raises:
            Corrupt, NotFound: the details are damaged.
        """
        layer = leading_layer(self.card, self.spec, self.sums.totals, self.details)
        if not has_map(self.card, layer):
            return ()
        chosen = list(islice(self._spread(self._shown()), ANNOTATED))
        return tuple(self._annotated(line, layer) for line in chosen)

    def _shown(self) -> list[ImageLine]:
        shown = set(self.details.shown)
        return [line for line in self.sums.images if line.image in shown]

    def _spread(self, lines: Sequence[ImageLine]) -> Iterator[ImageLine]:
        """Yield images, the most telling first.

        The first one is of the class of the finding, or of the most frequent class. A wrong
        prediction follows, if there is one, and then images of other classes.
        """
        if self.card.head_kind == "values":
            yield from _spread_over_values(lines)
            return
        wrong = [line for line in lines if 0 <= line.label_class != line.predicted]
        others = [line for line in lines if line not in wrong] or wrong
        found = answer_of(self.card, self.spec, self.sums.totals)
        told = found.images.number if found else None
        counts = Counter(line.predicted for line in others)
        order = sorted(counts, key=lambda number: (number != told, -counts[number], number))
        first, *more = (
            max((line for line in others if line.predicted == number), key=_confidence)
            for number in order
        )
        yield first
        if wrong and others is not wrong:
            yield max(wrong, key=_confidence)
        yield from more

    def _annotated(self, line: ImageLine, layer: str) -> AnnotatedImage:
        seen = self._details(line.image).layers[self.spec.layers.index(layer)].maps[0]
        cell = int(np.argmax(seen.values))
        channel = seen.channels[cell][0]
        return AnnotatedImage(
            image=line.image,
            layer=layer,
            cell=cell,
            channel=channel,
            caption=self._caption(line, channel),
        )

    def _details(self, number: int) -> ImageDetails:
        (file,) = (page.file for page in self.details.pages if number in page.images)
        _, page = from_script(self.bucket.get(self.folder + file))
        if not isinstance(page, ImagesPage):
            raise TypeError(f"{file} does not hold details of images")
        return next(image for image in page.images if image.number == number)

    def _caption(self, line: ImageLine, channel: int) -> str:
        if self.card.head_kind == "values":
            return f"Channel {channel} raises the value most here."
        if line.positive < 0:
            return f"Channel {channel} adds most to all classes together here."
        outcome = f"Predicted {self._name(line.predicted)}"
        if line.label_class >= 0:
            outcome += ", rightly" if line.label_class == line.predicted else ", wrongly"
        aim = "it" if line.positive == line.predicted else self._name(line.positive)
        return f"{outcome}: channel {channel} speaks most for {aim} here."

    def _name(self, number: int) -> str:
        return self.card.class_label(number).name


def _confidence(line: ImageLine) -> tuple[float, int]:
    return line.probability, -line.image


def _spread_over_values(lines: Sequence[ImageLine]) -> Iterator[ImageLine]:
    """Yield the images of the highest, the lowest and the middle value."""
    ordered = sorted(lines, key=lambda line: (line.probability, line.image))
    places = dict.fromkeys((len(ordered) - 1, 0, len(ordered) // 2))
    yield from (ordered[place] for place in places)
