"""The images of the first screen are of different classes, and one is a wrong prediction."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.totals import ALL, LayerTotals, SetName, Totals
from diamond_cutter.tasks.reporting.annotating import Annotator
from diamond_cutter.tasks.reporting.dataset_sums import DatasetSums, ImageLine
from diamond_cutter.tasks.reporting.page_data import HeatMap, ImageDetails, ImageLayer


def line(image: int, predicted: int, probability: float, label: int = -1) -> ImageLine:
    return ImageLine(image, f"{image}.png", None, label, predicted, probability, predicted, -1)


def totals_of(told: int) -> Totals:
    """Return totals in which the images of a class answer one question."""
    found, name = Totals(), SetName("class", number=told)
    for each in (ALL, name):
        layer = LayerTotals.of(6)
        layer.images = 2
        found.sets[each] = {"third": layer}
    found.explained = {ALL: {0, 1, 2}, name: {told}}
    return found


def shown(number: int) -> ImageDetails:
    """Return details in which the cell with the image's number is the strongest."""
    values = tuple(int(value) for value in np.eye(4, dtype=int)[number % 4] * 127)
    channels = tuple((cell, 5) for cell in range(4))
    seen = ImageLayer(
        maps=(HeatMap(values=values, scale=1, channels=channels),), activated=(), same_place=()
    )
    return ImageDetails.model_construct(number=number, layers=(seen,))


@pytest.fixture
def annotated(toy: Bundle, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function from lines and the class of the finding to what is annotated."""
    card = toy.card.layer("third").model_copy(update={"height": 2, "width": 2})
    cards = tuple(card if layer.name == "third" else layer for layer in toy.card.layers)
    model = toy.card.model_copy(update={"layers": cards})
    monkeypatch.setattr(Annotator, "_details", lambda self, number: shown(number))

    def annotate(lines: list[ImageLine], told: int = 0) -> list[tuple[int, int, str]]:
        details = SimpleNamespace(
            shown=tuple(one.image for one in lines),
            checks={"third": SimpleNamespace(verdict="reliable")},
        )
        sums = DatasetSums(totals=totals_of(told), images=[*lines, line(99, 3, 1.0)])
        spec = AttributionSpec(layers=("third",), sprites="none")
        found = Annotator(None, "", model, spec, sums, details).images()  # type: ignore[arg-type]
        return [(image.image, image.cell, image.caption) for image in found]

    return annotate


def test_the_surest_image_of_each_class_comes_first_of_the_finding_s(annotated: Any) -> None:
    lines = [line(0, 0, 0.5), line(1, 0, 0.9), line(2, 1, 0.4), line(3, 1, 0.4), line(4, 2, 0.3)]
    assert [image for image, _, _ in annotated(lines)] == [1, 2, 4]
    assert [image for image, _, _ in annotated(lines, told=2)] == [4, 1, 2]
    assert [image for image, _, _ in annotated(lines[:2])] == [1]


def test_the_surest_wrong_prediction_is_the_second(annotated: Any) -> None:
    lines = [line(0, 0, 0.5, 0), line(1, 0, 0.9, 1), line(2, 0, 0.95, 1), line(3, 1, 0.4, 1)]
    found = annotated(lines)
    assert [image for image, _, _ in found] == [0, 2, 3]
    assert "rightly" in found[0][2] and "wrongly" in found[1][2]
    assert [image for image, _, _ in annotated(lines[1:3])] == [2]


def test_the_cell_is_the_strongest_and_its_channel_is_named(annotated: Any) -> None:
    ((_, cell, caption),) = annotated([line(3, 1, 0.5)])
    assert cell == 3 and "channel 3 speaks most for it here" in caption
