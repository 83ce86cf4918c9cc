"""Compare the cuts of all models: the best one, the ones to train, the ones worth their cost."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from diamond_cutter.tasks.cutting.scores import LayerScores, difference
from diamond_cutter.tasks.features.stored import LayerCost

# Differences up to this are of no use to anybody, whatever their interval.
_AS_GOOD = 0.02


class Cut(NamedTuple):
    """A layer of a model, with its scores.

    depth: the share of the model's compared layers up to this one.
    imagenet: top-1 accuracy of the model on ImageNet, if known.
    """

    model: str
    layer: str
    scores: LayerScores
    cost: LayerCost
    depth: float
    imagenet: float | None

    @property
    def accuracy(self) -> float:
        """Return the accuracy of the probe."""
        return self.scores.probe.accuracy


def best_cut(cuts: Sequence[Cut]) -> Cut:
    """Return the cut of the highest accuracy; of equals, the one with fewer multiplications."""
    return max(cuts, key=lambda cut: (cut.accuracy, -cut.cost.macs))


def last_cut(cuts: Sequence[Cut], model: str) -> Cut:
    """Return the last of the compared layers of a model."""
    return [cut for cut in cuts if cut.model == model][-1]


def cheapest_equal(cuts: Sequence[Cut], best: Cut, folds: int) -> Cut:
    """Return the cut with the fewest multiplications that is as good as the best one.

    It lags behind by at most two points, and the interval of the difference includes 0.
    """
    equal = []
    for cut in cuts:
        lag = difference(best.scores.probe, cut.scores.probe, folds)
        if lag.low <= 0 and lag.mean <= _AS_GOOD:
            equal.append(cut)
    return min([best, *equal], key=lambda cut: cut.cost.macs)


def cuts_to_train(cuts: Sequence[Cut], count: int, seed: int) -> list[Cut]:
    """Return the cuts whose heads are trained: the best ones, random ones and the last layer.

    Of six, three are the best, two are random and one is the last layer of the best model. With
    more, the best are half of them. Random ones show whether a score also knows what is bad.
    """
    if count >= len(cuts):
        return list(cuts)
    if not count:
        return []
    ranked = sorted(cuts, key=lambda cut: -cut.accuracy)
    last = last_cut(cuts, ranked[0].model)
    chosen = ranked[: max(1, count // 2)]
    if last not in chosen and len(chosen) < count:
        chosen.append(last)
    rest = [cut for cut in cuts if cut not in chosen]
    drawn = np.random.default_rng(seed).permutation(len(rest))[: count - len(chosen)]
    chosen += [rest[place] for place in sorted(drawn)]
    return sorted(chosen, key=cuts.index)


def pareto_front(cuts: Sequence[Cut]) -> list[Cut]:
    """Return the cuts that no other one beats in both accuracy and multiplications, by cost."""
    front: list[Cut] = []
    for cut in sorted(cuts, key=lambda cut: (cut.cost.macs, -cut.accuracy)):
        if not front or cut.accuracy > front[-1].accuracy:
            front.append(cut)
    return front
