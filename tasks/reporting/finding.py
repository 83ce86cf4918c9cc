"""Say in one or two sentences what a report found, and how far it can be believed.

A mean over images that are explained by different classes answers no question, so no sentence
rests on it.
"""

from collections.abc import Sequence

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.totals import Totals
from diamond_cutter.tasks.attribution.words import CLASS_VERBS
from diamond_cutter.tasks.reporting.answers import Answer, answer_of, leading_layer
from diamond_cutter.tasks.reporting.choosing import top_and_bottom
from diamond_cutter.tasks.reporting.contents import AnnotatedImage, DetailsRecord
from diamond_cutter.tasks.reporting.layer_contents import Checks
from diamond_cutter.tasks.reporting.verdicts import percent


def finding(
    card: ModelCard,
    spec: AttributionSpec,
    totals: Totals,
    details: DetailsRecord,
    annotated: Sequence[AnnotatedImage],
) -> str:
    """Return the finding of a report, in two sentences."""
    layer, answer = leading_layer(card, spec, totals, details), answer_of(card, spec, totals)
    said = None if answer is None else _of_channels(card, answer, layer, totals)
    if said is None:
        example = annotated[0].caption if annotated else "Look at the images one by one."
        said = f"The images ask different questions, so no mean answers them. {example}"
    return f"{said} {_belief(layer, details.checks[layer])}"


def _of_channels(card: ModelCard, answer: Answer, layer: str, totals: Totals) -> str | None:
    """Return a sentence on the strongest channels, or None if all attributions are 0."""
    mean, count = totals.sets[answer.images][layer].mean, totals.images(answer.images)
    raises, lowers = ("raises", "lowers") if card.head_kind == "values" else CLASS_VERBS
    sides = zip((raises, lowers), top_and_bottom(mean, 1), strict=True)
    found = [(channels[0], verb) for verb, channels in sides if channels]
    if not found:
        return None
    (channel, verb), *other = found
    said = f"Channel {channel} of {layer} {verb} {answer.aim} most ({mean[channel]:+.2g})"
    for channel, verb in other:
        said += f", and channel {channel} {verb} it most ({mean[channel]:+.2g})"
    images = f"{count:,} images" if count > 1 else "one image"
    return f"{said}, on average over {images}."


def _belief(layer: str, checks: Checks) -> str:
    if checks.verdict == "reliable":
        error = percent(checks.completeness_error.median)
        return f"The layer is reliable: its attributions add up, with an error of {error}."
    if checks.verdict == "order only":
        return f"Only the order of the channels of {layer} can be believed, not the sizes."
    return "No layer of this report is reliable, so take this as a hint at most."
