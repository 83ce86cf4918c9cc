"""Say in a sentence each what a report found, and how far it can be believed.

A mean over images that are explained by different classes answers no question, so no sentence
rests on it.
"""

from typing import NamedTuple

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.totals import Totals
from diamond_cutter.tasks.attribution.words import CLASS_VERBS
from diamond_cutter.tasks.reporting.answers import Answer, answer_of, leading_layer
from diamond_cutter.tasks.reporting.choosing import top_and_bottom
from diamond_cutter.tasks.reporting.contents import DetailsRecord
from diamond_cutter.tasks.reporting.layer_contents import Checks
from diamond_cutter.tasks.reporting.verdicts import percent


class Finding(NamedTuple):
    """What a report found, and how far it can be believed, a sentence each."""

    said: str
    belief: str


def finding(
    card: ModelCard,
    spec: AttributionSpec,
    totals: Totals,
    details: DetailsRecord,
) -> Finding:
    """Return the finding of a report."""
    layer, answer = leading_layer(card, spec, totals, details), answer_of(card, spec, totals)
    said = None if answer is None else _of_channels(card, answer, layer, totals)
    if said is None:
        said = "Each image asks its own question, so look at single images for what decides."
    return Finding(said, _belief(layer, details.checks[layer]))


def _of_channels(card: ModelCard, answer: Answer, layer: str, totals: Totals) -> str | None:
    """Return a sentence on the strongest channels, or None if all attributions are 0."""
    mean, count = totals.sets[answer.images][layer].mean, totals.images(answer.images)
    raises, lowers = ("raises", "lowers") if card.head_kind == "values" else CLASS_VERBS
    sides = zip((raises, lowers), top_and_bottom(mean, 1), strict=True)
    found = [(channels[0], verb) for verb, channels in sides if channels]
    if not found:
        return None
    (channel, verb), *other = found
    said = f"Channel {channel} of {layer} {verb} {answer.aim} most ({_logits(mean[channel], card)})"
    for channel, verb in other:
        said += f", and channel {channel} {verb} it most ({_logits(mean[channel], card)})"
    images = f"{count:,} images" if count > 1 else "one image"
    return f"{said}, on average over {images}."


def _logits(value: float, card: ModelCard) -> str:
    """Return a value with its sign and its unit; the unit of a regression is unknown."""
    unit = "" if card.head_kind == "values" else " logits"
    return f"{'−' if value < 0 else '+'}{abs(value):.2g}{unit}"


def _belief(layer: str, checks: Checks) -> str:
    if checks.verdict == "reliable":
        error = percent(checks.completeness_error.median)
        return f"The layer is reliable: its attributions add up, with an error of {error}."
    if checks.verdict == "order only":
        return f"Only the order of the channels of {layer} can be believed, not the sizes."
    return "No layer of this report is reliable, so take this as a hint at most."
