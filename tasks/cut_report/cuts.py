"""Bring the scores of all models together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.imagenet_accuracy import known_accuracy
from diamond_cutter.tasks.cutting.choosing import Cut, best_cut, last_cut
from diamond_cutter.tasks.cutting.scores import ScoresRecord
from diamond_cutter.tasks.features.spec import CutSpec
from diamond_cutter.tasks.features.stored import CostsRecord
from diamond_cutter.tasks.photos.image_set import BadPhotos


@dataclass(frozen=True)
class ComparedModel:
    """A model, and what is compared of it."""

    card: ModelCard
    spec: CutSpec


@dataclass(frozen=True)
class Comparison:
    """All cuts of all models.

    cuts: model by model, in forward order.
    problems: a sentence for each layer without scores.
    best: the cut of the highest accuracy.
    last: the last layer of the same model.
    """

    cuts: tuple[Cut, ...]
    problems: tuple[str, ...]
    best: Cut
    last: Cut


def compare(
    models: Sequence[ComparedModel],
    scores: Mapping[str, Mapping[str, ScoresRecord]],
    costs: Mapping[str, CostsRecord],
) -> Comparison:
    """Return the cuts of all models.

    Args:
        models: the compared models.
        scores: by the key of the model and the name of the layer.
        costs: by the key of the model.

    Raises:
        BadPhotos: no layer of any model has scores.
    """
    cuts, problems = list[Cut](), list[str]()
    for model in models:
        card, names = model.card, model.spec.layers
        for place, name in enumerate(names):
            record = scores[card.key][name]
            if record.scores is None:
                problems.append(f"layer {name} of {card.name} was left out: {record.problem}")
                continue
            depth, cost = (place + 1) / len(names), costs[card.key].costs[name]
            imagenet = known_accuracy(card)
            top1 = imagenet.top1 if imagenet else None
            cuts.append(Cut(card.name, name, record.scores, cost, depth, top1))
    if not cuts:
        raise BadPhotos(f"no layer can be compared: {problems[0]}")
    best = best_cut(cuts)
    return Comparison(tuple(cuts), tuple(problems), best, last_cut(cuts, best.model))
