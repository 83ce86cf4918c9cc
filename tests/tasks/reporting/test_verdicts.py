"""A layer is judged by whether its attributions add up, and whether its top channels matter."""

import numpy as np
import pytest

from diamond_cutter.tasks.attribution.spec import LayerMethod
from diamond_cutter.tasks.reporting.layer_contents import Verdict
from diamond_cutter.tasks.reporting.verdicts import judge, percent, summarised_checks


@pytest.mark.parametrize(
    ("error", "top", "random", "verdict"),
    [
        (0.2, 3.0, 1.0, "reliable"),
        (0.0, 1.0, -0.5, "reliable"),
        (0.21, 3.0, 1.0, "order only"),
        (5.0, 3.0, 0.0, "order only"),
        (0.0, 2.9, 1.0, "not reliable"),
        (0.0, 0.0, -1.0, "not reliable"),
        (5.0, -1.0, -2.0, "not reliable"),
    ],
)
def test_verdicts(error: float, top: float, random: float, verdict: Verdict) -> None:
    found = judge(error, top, random, "gradient", 1)
    assert found.verdict == verdict and (found.advice == "") == (verdict == "reliable")
    change = f"{'rises' if top < 0 else 'falls'} by {abs(top):.3g} without the top channels"
    assert change in found.reason and found.reason.endswith(".")


@pytest.mark.parametrize(
    ("method", "advice"), [("gradient", "--method integrated"), ("integrated", "--steps 128")]
)
def test_the_advice_is_what_has_not_been_tried(method: LayerMethod, advice: str) -> None:
    assert advice in judge(1.0, 3.0, 0.0, method, 32).advice


def test_the_median_image_is_judged() -> None:
    values = np.float32([[0.1, 0.1, 9], [3, 3, 0], [0.5, 0.5, 1]])
    found = summarised_checks(values, 40, "gradient", 1)
    assert (found.images, found.ablated, found.times, found.verdict) == (3, 2, 6, "reliable")
    assert "10 %" in found.reason


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "under 0.1 %"), (0.0123, "1.2 %"), (0.5, "50 %"), (1.771, "177 %"), (123, "12300 %")],
)
def test_percent(share: float, shown: str) -> None:
    assert percent(share) == shown
