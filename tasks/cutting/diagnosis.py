"""Say in words what the accuracy over depth means; derived from the numbers by rules."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from diamond_cutter.tasks.cutting.scores import Probe, difference

Verdict = Literal["early", "late", "flat", "unclear"]

# Half of the interval that is narrow enough to tell cuts apart.
_NARROW = 0.03


class Layer(NamedTuple):
    """A layer of a model, in forward order."""

    name: str
    probe: Probe


class Diagnosis(NamedTuple):
    """What the curve of a model looks like, and a sentence on what follows."""

    verdict: Verdict
    words: str


def diagnose(layers: Sequence[Layer], images: int, folds: int) -> Diagnosis:
    """Return what the accuracies of a model's layers say, from its first to its last layer.

    A difference counts if its 95 % interval does not include 0.

    Args:
        layers: in forward order.
        images: number of images that were scored.
        folds: of one repeat of the cross-validation.
    """
    best = max(layers, key=lambda layer: layer.probe.accuracy)
    from_first, from_last = (
        difference(best.probe, layer.probe, folds) for layer in (layers[0], layers[-1])
    )
    if from_last.low <= 0 and (from_first.low <= 0 or from_last.mean > _NARROW):
        if _half(best.probe) > _NARROW:
            return Diagnosis(
                "unclear",
                f"Too few images to tell the cuts apart: with {images} images, the accuracy of "
                f"{best.name} is known to ±{100 * _half(best.probe):.0f} points. About "
                f"{_needed(images, best.probe):,} images would narrow this to "
                f"±{100 * _NARROW:.0f} points.",
            )
        return Diagnosis(
            "flat",
            "The accuracy hardly depends on the cut, so the cheapest one will do. The classes "
            "differ in simple features, or the network does not help with them.",
        )
    if from_last.low > 0:
        return Diagnosis(
            "early",
            f"The accuracy peaks at {best.name}, before the last layer: the images are unlike "
            "those that the network was trained on. Cut there, and consider training the layers "
            f"from {best.name} on with your images.",
        )
    return Diagnosis(
        "late",
        f"The accuracy rises towards the end, to {best.name}: the images resemble those that the "
        "network was trained on, so its last layers help.",
    )


def _half(probe: Probe) -> float:
    return max((probe.high - probe.low) / 2, 1e-9)


def _needed(images: int, probe: Probe) -> int:
    """Return how many images would narrow the interval: its width falls with their square root."""
    needed = images * (_half(probe) / _NARROW) ** 2
    digits = 10 ** max(0, int(math.log10(needed)) - 1)
    return int(math.ceil(needed / digits) * digits)
