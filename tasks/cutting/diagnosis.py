"""Say in words what the accuracy over depth means; derived from the numbers by rules."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from diamond_cutter.tasks.cutting.scores import Probe, difference

Verdict = Literal["early", "plateau", "late", "flat", "unclear", "single"]

# Half of an interval that is narrow enough to tell cuts apart.
_NARROW = 0.035
# What more images are recommended for.
_GOAL = 0.03


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
    if len(layers) == 1:
        return Diagnosis("single", "One layer only, so there is nothing to compare.")
    best = max(layers, key=lambda layer: layer.probe.accuracy)
    place, narrow = layers.index(best), _half(best.probe) <= _NARROW

    def beats(layer: Layer) -> bool:
        return difference(best.probe, layer.probe, folds).low > 0

    if beats(layers[-1]):
        return Diagnosis(
            "early",
            f"The accuracy peaks at {best.name}, before the last layer: the images are unlike "
            "those that the network was trained on. Cut there, and consider training the layers "
            f"from {best.name} on with your images.",
        )
    as_good = next(layer for layer in layers if layer is best or not beats(layer))
    if not beats(layers[0]) and narrow:
        return Diagnosis(
            "flat",
            "The accuracy hardly depends on the cut, so the cheapest one will do. The classes "
            "differ in simple features, or the network does not help with them.",
        )
    if not narrow:
        return Diagnosis("unclear", _too_few(best, images))
    if as_good is not best or place < len(layers) - 1:
        return Diagnosis(
            "plateau",
            f"The accuracy rises up to {as_good.name} and stays about the same from there on, so "
            "later layers only add cost.",
        )
    return Diagnosis(
        "late",
        f"The accuracy rises up to the last layer, {best.name}: the images resemble those that "
        "the network was trained on.",
    )


def _too_few(best: Layer, images: int) -> str:
    return (
        f"Too few images to tell the cuts apart: with {images} images, the accuracy of "
        f"{best.name} is known to ±{100 * _half(best.probe):.0f} points. About "
        f"{_needed(images, best.probe):,} images would narrow this to ±{100 * _GOAL:.0f} points."
    )


def _half(probe: Probe) -> float:
    return max((probe.high - probe.low) / 2, 1e-9)


def _needed(images: int, probe: Probe) -> int:
    """Return how many images would narrow the interval: its width falls with their square root."""
    needed = images * (_half(probe) / _GOAL) ** 2
    digits = 10 ** max(0, int(math.log10(needed)) - 1)
    return int(math.ceil(needed / digits) * digits)
