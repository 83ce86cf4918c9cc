"""The sentences of a report: the answer, what qualifies it, and the names of the scores."""

import re
import shlex
from collections.abc import Mapping, Sequence

from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.tasks.cut_report.contents import CutContents, Lead
from diamond_cutter.tasks.cut_report.cuts import ComparedModel, Comparison
from diamond_cutter.tasks.cutting.agreement import Agreement
from diamond_cutter.tasks.cutting.choosing import Cut, cheapest_equal
from diamond_cutter.tasks.cutting.dataset import Dataset
from diamond_cutter.tasks.cutting.scores import difference
from diamond_cutter.tasks.cutting.together import JoinRecord
from diamond_cutter.tasks.pages.belief import Belief
from diamond_cutter.tasks.training.job import TrainedRecord

SCORE_TITLES = {
    "probe": "probe",
    "knn_1": "1-NN",
    "knn": "10-NN",
    "knn_20": "20-NN",
    "logme": "LogME",
    "h_score": "H-score",
    "effective_rank": "effective rank",
    "dead": "few dead features",
    "total_activation": "total activation",
    "imagenet": "ImageNet top-1",
    "parameters": "parameters",
    "depth": "depth",
}
SCORES_EXPLAINED = {
    "probe": "accuracy of a logistic regression on the features, cross-validated",
    "knn_1": "accuracy of the nearest neighbour by cosine similarity",
    "knn": "accuracy of ten nearest neighbours by cosine similarity",
    "knn_20": "accuracy of twenty nearest neighbours by cosine similarity",
    "logme": "log evidence of a linear model of the classes, per image",
    "h_score": "spread of the class means relative to that of the features, shrunken",
    "effective_rank": "how many directions the features use",
    "dead": "share of features that differ between images",
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
        return f"{sentence}, its last {'' if comparison.is_last_main else 'compared '}layer."
    gain = difference(best.scores.probe, last.scores.probe, folds).mean
    cost = best.cost.macs / last.cost.macs if last.cost.macs else 1.0
    lead = "as many as" if f"{100 * gain:.1f}" == "0.0" else f"{points(gain)} above"
    return (
        f"{sentence}, {lead} {last_words(comparison)}, at {100 * cost:.0f} % of its "
        "multiplications."
    )


def lead_over_last(comparison: Comparison, folds: int) -> Lead | None:
    """Return the lead of the best cut over the last layer; None if they are the same."""
    best, last = comparison.best, comparison.last
    if best.layer == last.layer:
        return None
    gain = difference(best.scores.probe, last.scores.probe, folds)
    return Lead(mean=gain.mean, low=gain.low, high=gain.high)


def belief(contents: CutContents) -> Belief | None:
    """Return how far the answer can be believed; None for the last layer, which leads nothing."""
    verdict = next(one.verdict for one in contents.models if one.name == contents.best.model)
    if verdict == "unclear" and (contents.lead is None or contents.lead.low <= 0):
        return Belief("not-reliable", "too few images", "Add labelled images to tell cuts apart.")
    if contents.lead is None:
        return None
    ends = " to ".join(map(_signed, (contents.lead.low, contents.lead.high)))
    interval = f"95 % interval of the lead over {contents.last.layer}: {ends}"
    if contents.lead.low <= 0:
        return Belief("order-only", "lead may be chance", f"{interval} points, which includes 0.")
    return Belief("reliable", "clear lead", f"{interval} points, all above 0.")


def last_words(comparison: Comparison) -> str:
    """Return the name of the last compared layer, and whether it is the last one of its model."""
    name = comparison.last.layer
    return f"its last layer ({name})" if comparison.is_last_main else f"{name}, the last compared"


def remarks(
    comparison: Comparison,
    dataset: Dataset,
    joins: Mapping[str, JoinRecord],
    trained: Mapping[str, TrainedRecord],
    models: Sequence[ComparedModel],
    folds: int,
) -> list[str]:
    """Return the sentences that qualify the answer."""
    best, last, said = comparison.best, comparison.last, []
    if best.layer != last.layer:
        gain = difference(best.scores.probe, last.scores.probe, folds)
        if gain.low <= 0:
            said.append(
                f"The lead over {last.layer} may be chance: its 95 % interval is "
                f"{_signed(gain.low)} to {_signed(gain.high)} points."
            )
    cheaper = cheapest_equal(comparison.cuts, best, folds)
    if cheaper is not best and cheaper.cost.macs < best.cost.macs:
        said.append(
            f"{cheaper.layer} of {cheaper.model} is not measurably worse "
            f"({percent(cheaper.accuracy)} %) and takes "
            f"{100 * cheaper.cost.macs / max(best.cost.macs, 1):.0f} % of the multiplications."
        )
    names = {model.card.key: model.name for model in models}
    for key, record in joins.items():
        if record.best is not None and record.best.kept and names[key] == best.model:
            said.append(
                f"Joined features of {', '.join(record.best.layers)} reach "
                f"{percent(record.best.accuracy)} %, {points(record.best.gain)} above the best "
                "single layer."
            )
    return [*said, *_tested(best, dataset, trained, names), *_copies(dataset)]


def _copies(dataset: Dataset) -> list[str]:
    """Say how many images are copies of others."""
    said = []
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
                    f"A head trained at this cut is right about {percent(head.accuracy)} % of the "
                    f"{len(dataset.test):,} test images. No choice has seen these images."
                ]
    return []


def next_command(
    model: str, layers: Sequence[LayerCard], dataset: str, place: str, bucket: str
) -> str:
    """Return the command that goes on from the answer: `attach`.

    A network cannot be cut at a layer without rows and columns, so the command is `attribute` then.

    Args:
        model: name of the best model.
        layers: of the best cut; several if they are better together.
        dataset: name and hash of the images.
        place: of the images.
        bucket: of the report.
    """
    names = [layer.name for layer in layers]
    if any(layer.height is None for layer in layers):
        words = ["attribute", model, place, "--layers", *names]
    else:
        name = re.sub(r"[^a-z0-9]+", "-", f"{dataset.rpartition('@')[0]}-{model}".lower())
        words = ["attach", model, place, "--at", *names, "--name", name.strip("-")[:80]]
    return shlex.join(["diamond-cutter", *words, "--bucket", bucket])


def score_values(cut: Cut) -> dict[str, float | None]:
    """Return the scores of a cut that are compared with trained heads, by name."""
    scores = cut.scores
    return {
        "probe": scores.probe.accuracy,
        "knn_1": scores.knn_1,
        "knn": scores.knn_10,
        "knn_20": scores.knn_20,
        "logme": scores.logme,
        "h_score": scores.h_score,
        "effective_rank": scores.effective_rank,
        "dead": 1.0 - scores.dead,
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
    taus = {name: regret[name].tau for name in _MODEL_BASELINES if name in regret}
    better = [
        SCORE_TITLES[name]
        for name, tau in taus.items()
        if tau is not None and probe.tau is not None and tau >= probe.tau
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


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def points(gain: float) -> str:
    """Return a difference of accuracies in words: `9 points`."""
    count = f"{100 * gain:.0f}" if abs(gain) >= 0.02 else f"{100 * gain:.1f}"
    return f"{count} point{'' if count == '1' else 's'}"
