"""The sentences of a report: the answer, what qualifies it, and the names of the scores."""

import shlex
from collections.abc import Mapping, Sequence

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.cut_report.cuts import Comparison
from diamond_cutter.tasks.cutting.agreement import Agreement
from diamond_cutter.tasks.cutting.choosing import Cut, cheapest_equal
from diamond_cutter.tasks.cutting.dataset import Dataset
from diamond_cutter.tasks.cutting.scores import difference
from diamond_cutter.tasks.cutting.together import JoinRecord
from diamond_cutter.tasks.training.task import TrainedRecord

SCORE_TITLES = {
    "probe": "probe",
    "knn": "10-NN",
    "logme": "LogME",
    "h_score": "H-score",
    "total_activation": "total activation",
    "imagenet": "ImageNet top-1",
    "parameters": "parameters",
    "depth": "depth",
}
SCORES_EXPLAINED = {
    "probe": "accuracy of a logistic regression on the features, cross-validated",
    "knn": "accuracy of ten nearest neighbours by cosine similarity",
    "logme": "log evidence of a linear model of the classes, per image",
    "h_score": "spread of the class means relative to that of the features, shrunken",
    "total_activation": "mean sum of all activations of the layer",
    "imagenet": "accuracy of the model on ImageNet; knows nothing of these images",
    "parameters": "weights up to the layer; knows nothing of these images",
    "depth": "share of the layers up to this one; knows nothing of these images",
}
_MODEL_BASELINES = ("imagenet", "parameters", "depth")


def answer(comparison: Comparison, folds: int) -> str:
    """Return the answer in one sentence."""
    best, last = comparison.best, comparison.last
    probe = best.scores.probe
    half = 100 * (probe.high - probe.low) / 2
    sentence = f"Cut {best.model} at {best.layer}: {percent(best.accuracy)} % ± {half:.0f}"
    if best.layer == last.layer:
        return f"{sentence}, its last layer."
    gain = difference(best.scores.probe, last.scores.probe, folds).mean
    cost = best.cost.macs / last.cost.macs if last.cost.macs else 1.0
    return (
        f"{sentence}, {points(gain)} above its last layer ({last.layer}), at {100 * cost:.0f} % of "
        "its multiplications."
    )


def remarks(
    comparison: Comparison,
    dataset: Dataset,
    joins: Mapping[str, JoinRecord],
    trained: Mapping[str, TrainedRecord],
    cards: Sequence[ModelCard],
    folds: int,
) -> list[str]:
    """Return the sentences that qualify the answer."""
    best, last, said = comparison.best, comparison.last, []
    if best.layer != last.layer:
        gain = difference(best.scores.probe, last.scores.probe, folds)
        if gain.low <= 0:
            said.append(
                f"The lead over the last layer may be chance: its 95 % interval is "
                f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f} points."
            )
    cheaper = cheapest_equal(comparison.cuts, best, folds)
    if cheaper is not best and cheaper.cost.macs < best.cost.macs:
        said.append(
            f"{cheaper.layer} of {cheaper.model} is not measurably worse "
            f"({percent(cheaper.accuracy)} %) and takes "
            f"{100 * cheaper.cost.macs / max(best.cost.macs, 1):.0f} % of the multiplications."
        )
    names = {card.key: card.name for card in cards}
    for key, record in joins.items():
        if record.best is not None and record.best.kept and names[key] == best.model:
            said.append(
                f"Joined features of {', '.join(record.best.layers)} reach "
                f"{percent(record.best.accuracy)} %, {points(record.best.gain)} above the best "
                "single layer."
            )
    said += _tested(best, dataset, trained, names)
    if dataset.copies:
        copies = (
            "1 image is a copy" if dataset.copies == 1 else f"{dataset.copies} images are copies"
        )
        said.append(
            f"{copies} of another one, pixel for pixel. Copies are always in the same fold, so "
            "they do not inflate the accuracy."
        )
    if dataset.contradicting:
        said.append(f"{dataset.contradicting} images have a copy with another label.")
    return said


def _tested(
    best: Cut, dataset: Dataset, trained: Mapping[str, TrainedRecord], names: Mapping[str, str]
) -> list[str]:
    for key, record in trained.items():
        for head in record.heads:
            if (names[key], head.layer) == (best.model, best.layer):
                return [
                    f"A head that was trained there is right about {percent(head.accuracy)} % of "
                    f"the {len(dataset.test):,} test images, which no choice has seen."
                ]
    return []


def next_command(best: Cut, place: str, bucket: str) -> str:
    """Return the command that goes on from the answer."""
    words = ["diamond-cutter", "attribute", best.model, place, "--layers", best.layer]
    return shlex.join([*words, "--bucket", bucket])


def score_values(cut: Cut) -> dict[str, float | None]:
    """Return the scores of a cut that are compared with trained heads, by name."""
    scores = cut.scores
    return {
        "probe": scores.probe.accuracy,
        "knn": scores.knn_10,
        "logme": scores.logme,
        "h_score": scores.h_score,
        "total_activation": scores.total_activation,
        "imagenet": cut.imagenet,
        "parameters": float(cut.cost.parameters),
        "depth": cut.depth,
    }


def agreement_in_words(regret: Mapping[str, Agreement], heads: int) -> str:
    """Return what the trained heads say about the scores."""
    if not regret:
        return ""
    probe = regret["probe"]
    better = [
        SCORE_TITLES[name]
        for name in _MODEL_BASELINES
        if name in regret and (regret[name].tau or 0) >= (probe.tau or 0)
    ]
    words = (
        f"Over {heads} trained heads, the cut with the best probe loses {probe.regret_1:.1f} "
        "points to the head that tests best."
    )
    if better:
        words += (
            f" {' and '.join(better)} order the heads as well or better, without looking at the "
            "images."
        )
    return words


def percent(value: float) -> str:
    """Return a share in whole percent, without the sign."""
    return f"{100 * value:.0f}"


def points(gain: float) -> str:
    """Return a difference of accuracies in words: `9 points`."""
    count = f"{100 * gain:.0f}" if abs(gain) >= 0.02 else f"{100 * gain:.1f}"
    return f"{count} point{'' if count == '1' else 's'}"
