"""The history of a training is drawn whatever its numbers are."""

from xml.etree import ElementTree

import pytest

from diamond_cutter.tasks.attaching.chart import history_chart
from diamond_cutter.tasks.attaching.checkpoints import Epoch


def history(losses: list[float], accuracies: list[float]) -> list[Epoch]:
    return [
        Epoch(
            phase=int(place > 1),
            epoch=place % 2,
            rate=0.1,
            loss=loss if place else None,
            accuracy=accuracy if place else None,
            validation_loss=loss,
            validation_accuracy=accuracy,
        )
        for place, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True))
    ]


@pytest.mark.parametrize(
    ("losses", "accuracies"),
    [
        ([1.2], [0.3]),
        ([0.0, 0.0], [1.0, 1.0]),
        ([0.5, 0.25, 0.3], [0.75, 0.8, 0.9]),
        ([1e8, 1.0], [0.0, 0.0]),
    ],
)
def test_every_point_lies_inside_the_drawing(losses: list[float], accuracies: list[float]) -> None:
    drawn = ElementTree.fromstring(history_chart(history(losses, accuracies), 0))
    width, height = map(float, drawn.attrib["viewBox"].split()[2:])
    lines = [node for node in drawn.iter() if node.tag.endswith("polyline")]
    points = [point.split(",") for line in lines for point in line.attrib["points"].split()]
    assert len(lines) == 4 and len(points) == 2 * (2 * len(losses) - 1)
    assert all(0 <= float(x) <= width and 30 <= float(y) <= height for x, y in points)


def test_ticks_are_round_and_the_kept_epoch_is_marked() -> None:
    drawn = history_chart(history([0.83, 0.41, 0.3], [0.72, 0.8, 0.9]), 2)
    texts = [node.text for node in ElementTree.fromstring(drawn).iter() if node.text]
    assert {"0", "0.2", "0.4", "0.6", "0.8", "1"} <= set(texts)
    assert {"70 %", "80 %", "90 %", "100 %", "unfrozen", "2"} <= set(texts)
