"""Judge from the checks of a layer how far its attributions can be believed.

A sum that misses the layer's effect by less than a fifth leaves the sizes of attributions useful. A
larger error does not touch their order, which the ablation tests alone: the channels of the highest
attribution must matter more than random ones. Both limits are a convention, not calibrated.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.attribution.method_choice import MOST_ERROR
from diamond_cutter.tasks.attribution.spec import LayerMethod, ablated_channels
from diamond_cutter.tasks.reporting.layer_contents import Checks, Spread, Verdict, short

LEAST_TIMES = 3.0
_MORE_STEPS = 4
VERDICTS: tuple[Verdict, ...] = ("reliable", "order only", "not reliable")


class Judgement(NamedTuple):
    """A verdict with a sentence why, and a sentence what to do, which is empty if reliable."""

    verdict: Verdict
    reason: str
    advice: str


def summarised_checks(
    values: npt.NDArray[np.float32], channels: int, method: LayerMethod, steps: int
) -> Checks:
    """Return the checks of a layer with their verdict.

    Args:
        values: float32 `[3, image]`: the completeness error, the drop of score without the top
            channels, and without random channels.
        channels: of the layer.
        method: by which the layer was measured.
        steps: of integrated gradients.
    """
    error, top, random = map(_spread, values)
    found = judge(error.median, top.median, random.median, method, steps)
    return Checks(
        images=values.shape[1],
        completeness_error=error,
        ablated=ablated_channels(channels),
        drop_of_top=top,
        drop_of_random=random,
        times=short(top.median / random.median) if random.median > 0 else None,
        **found._asdict(),
    )


def judge(error: float, top: float, random: float, method: LayerMethod, steps: int) -> Judgement:
    """Return the verdict on a layer.

    Args:
        error: the completeness error, 1 for 100 %.
        top: the loss of score without the channels of the highest attribution.
        random: the loss of score without as many random channels.
        method: by which the layer was measured.
        steps: of integrated gradients.
    """
    adds_up, matters = error <= MOST_ERROR, top > 0 and top >= LEAST_TIMES * random
    sums = f"to the layer's effect on the score, with an error of {percent(error)}"
    sums = f"The attributions {'add' if adds_up else 'do not add'} up {sums}"
    losses = f"the score {_change(top)} without the top channels, and {_change(random)} without "
    losses += "random ones"
    if matters:
        verdict: Verdict = "reliable" if adds_up else "order only"
        return Judgement(
            verdict,
            f"{sums}{', and' if adds_up else ', but'} {losses}.",
            "" if adds_up else _advice_on_sums(method, steps),
        )
    return Judgement("not reliable", f"{losses[0].upper()}{losses[1:]}.", _ADVICE_ON_LOSSES)


def _change(loss: float) -> str:
    """Return a loss of score in words."""
    return f"{'rises' if loss < 0 else 'falls'} by {abs(loss):.3g}"


_ADVICE_ON_LOSSES = (
    "Do not draw conclusions from this layer: choose a later layer, or give more images."
)


def _advice_on_sums(method: LayerMethod, steps: int) -> str:
    if method == "gradient":
        return "Compare channels, not sizes; --method integrated gives sizes that add up."
    return f"Compare channels, not sizes, or use more steps: --steps {_MORE_STEPS * steps}."


def percent(share: float) -> str:
    """Return a share in percent, with two digits below 100 %."""
    if share < 0.001:
        return "under 0.1 %"
    return f"{100 * share:.2g} %" if share < 1 else f"{100 * share:.0f} %"


def _spread(values: npt.NDArray[np.float32]) -> Spread:
    lower, median, upper = map(short, np.quantile(values, [0.25, 0.5, 0.75]))
    return Spread(lower_quartile=lower, median=median, upper_quartile=upper)
