"""Cuts with made-up scores."""

from collections.abc import Sequence

from diamond_cutter.tasks.cutting.choosing import Cut
from diamond_cutter.tasks.cutting.scores import LayerScores, Probe
from diamond_cutter.tasks.features.stored import LayerCost


def made_up_cut(
    model: str,
    layer: str,
    accuracy: float,
    macs: int = 1000,
    folds: Sequence[float] | None = None,
    half: float = 0.02,
    predictions: Sequence[int] = (),
) -> Cut:
    """Return a cut of some accuracy, by default the same in each fold."""
    probe = Probe(
        accuracy=accuracy,
        low=accuracy - half,
        high=accuracy + half,
        balanced=accuracy,
        folds=tuple(folds or [accuracy] * 5),
        predictions=tuple(predictions),
        penalty=0.1,
    )
    scores = LayerScores(
        probe=probe,
        knn_1=accuracy - 0.1,
        knn_10=accuracy - 0.05,
        knn_20=accuracy - 0.06,
        logme=accuracy,
        h_score=accuracy,
        total_activation=100.0,
        effective_rank=5.0,
        dead=0.0,
    )
    cost = LayerCost(parameters=macs // 2, macs=macs, ms=macs / 1000)
    return Cut(model, layer, scores, cost, 0.5, None)
