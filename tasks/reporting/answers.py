"""Choose what a report says first: the images that answer one question, and the layer."""

from dataclasses import dataclass

import numpy as np

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.attribution.spec import AttributionSpec, cell_grid
from diamond_cutter.tasks.attribution.totals import ALL, SetName, Totals
from diamond_cutter.tasks.reporting.choosing import shown_sets
from diamond_cutter.tasks.reporting.contents import DetailsRecord
from diamond_cutter.tasks.reporting.verdicts import VERDICTS


@dataclass(frozen=True)
class Answer:
    """The set of images that answers one question, and the explained class in words."""

    images: SetName
    aim: str


def answer_of(card: ModelCard, spec: AttributionSpec, totals: Totals) -> Answer | None:
    """Return the largest set of images that are all explained by one class, if there is one."""
    if spec.positive == "all":
        return Answer(ALL, "all classes together")
    for name in (ALL, *shown_sets(totals)):
        if name.kind in ("all", "class") and not totals.mixes_questions(name):
            (number,) = totals.explained[name]
            over = f" over {_name(card, spec.negative)}" if isinstance(spec.negative, int) else ""
            return Answer(name, f"{_name(card, number)}{over}")
    return None


def leading_layer(
    card: ModelCard, spec: AttributionSpec, totals: Totals, details: DetailsRecord
) -> str:
    """Return the layer of the best verdict.

    Of equals, a layer with a map comes first, and then the layer in which a single channel decides
    most.
    """
    answer = answer_of(card, spec, totals)
    images = answer.images if answer else ALL

    def rank(layer: str) -> tuple[int, bool, float]:
        verdict = details.checks[layer].verdict
        # Records of earlier versions have no verdict.
        place = VERDICTS.index(verdict) if verdict else len(VERDICTS)
        strongest = float(np.abs(totals.sets[images][layer].mean).max())
        return place, not has_map(card, layer), -strongest

    return min(spec.layers, key=rank)


def has_map(card: ModelCard, layer: str) -> bool:
    """Tell whether a layer has more than one cell."""
    return cell_grid(card.layer(layer)) != (1, 1)


def _name(card: ModelCard, number: int) -> str:
    return card.class_label(number).name
