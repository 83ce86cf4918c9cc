"""Bring the scores of all models together."""

from collections import Counter
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
    """A model, and what is compared of it.

    name: its name; with its hash, if another model of the comparison has the same name.
    """

    card: ModelCard
    spec: CutSpec
    name: str


def compared_models(cards: Sequence[tuple[ModelCard, CutSpec]]) -> tuple[ComparedModel, ...]:
    """Return models under names that tell them apart."""
    names = Counter(card.name for card, _ in cards)
    return tuple(
        ComparedModel(card, spec, card.name if names[card.name] == 1 else card.key)
        for card, spec in cards
    )


@dataclass(frozen=True)
class Comparison:
    """All cuts of all models.

    cuts: model by model, in forward order.
    problems: a sentence for each layer without scores.
    best: the cut of the highest accuracy.
    last: the last compared layer of the same model.
    is_last_main: whether that is the last main layer of the model, or a layer behind it.
    """

    cuts: tuple[Cut, ...]
    problems: tuple[str, ...]
    best: Cut
    last: Cut
    is_last_main: bool


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
                problems.append(f"layer {name} of {model.name} was left out: {record.problem}")
                continue
            depth, cost = (place + 1) / len(names), costs[card.key].costs[name]
            imagenet = known_accuracy(card)
            top1 = imagenet.top1 if imagenet else None
            cuts.append(Cut(model.name, name, record.scores, cost, depth, top1))
    if not cuts:
        raise BadPhotos(f"no layer can be compared: {problems[0]}")
    best = best_cut(cuts)
    last = last_cut(cuts, best.model)
    card = next(model.card for model in models if model.name == best.model)
    order = {layer.name: place for place, layer in enumerate(card.layers)}
    final = max((order[each.name] for each in card.layers if each.main), default=-1)
    is_last_main = order[last.layer] >= final
    return Comparison(tuple(cuts), tuple(problems), best, last, is_last_main)
