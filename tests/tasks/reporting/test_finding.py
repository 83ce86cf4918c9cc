"""The finding names channel, layer and class, never from a mean that mixes questions."""

import numpy as np
import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.totals import ALL, LayerTotals, SetName, Totals
from diamond_cutter.tasks.reporting.answers import leading_layer
from diamond_cutter.tasks.reporting.contents import DetailsRecord
from diamond_cutter.tasks.reporting.finding import finding
from diamond_cutter.tasks.reporting.layer_contents import Checks, Verdict
from diamond_cutter.tasks.reporting.verdicts import summarised_checks
from diamond_cutter.tasks.versions import software_versions

TWO = SetName("class", number=2)
ERRORS: dict[Verdict, tuple[float, float]] = {
    "reliable": (0.1, 1.0),
    "order only": (0.5, 1.0),
    "not reliable": (0.1, 0.0),
}


def totals_of(means: dict[SetName, list[float]], explained: dict[SetName, set[int]]) -> Totals:
    """Return totals in which the channels of each layer have these means over two images."""
    found = Totals(explained=explained)
    for name, mean in means.items():
        layers = {}
        for layer in ("first", "third", "logits"):
            layers[layer] = LayerTotals.of(len(mean))
            layers[layer].images = 2
            # The same channels decide less in the first layer.
            layers[layer].attribution += 2 * np.array(mean) * (0.5 if layer == "first" else 1)
        found.sets[name] = layers
    return found


def checks_of(verdict: Verdict) -> Checks:
    error, top = ERRORS[verdict]
    return summarised_checks(np.float32([[error], [top], [0.1]]), 8, "gradient", 1)


def details_of(**verdicts: Verdict) -> DetailsRecord:
    return DetailsRecord(
        shown=(0,),
        pages=(),
        classes=(),
        checks={layer: checks_of(verdict) for layer, verdict in verdicts.items()},
        groups={},
        flows=(),
        cells={},
        files=(),
        seconds=0,
        versions=software_versions(),
    )


@pytest.fixture
def card(toy: Bundle) -> ModelCard:
    return toy.card


def spec_of(**options: object) -> AttributionSpec:
    layers = ("first", "third", "logits")
    return AttributionSpec(layers=layers, sprites="none", **options)  # type: ignore[arg-type]


def test_the_finding_is_about_the_largest_set_of_one_class(card: ModelCard) -> None:
    means = {ALL: [9.0, 9, -9], TWO: [0.5, 1.25, -2]}
    totals = totals_of(means, {ALL: {1, 2}, TWO: {2}})
    details = details_of(first="order only", third="reliable", logits="reliable")
    found = finding(card, spec_of(), totals, details)
    name = card.class_label(2).name
    assert found.said == (
        f"Channel 1 of third supports {name} most (+1.2 logits), and channel 2 opposes it most "
        "(−2 logits), on average over 2 images."
    )
    assert found.belief.startswith("The layer is reliable")


def test_one_question_for_all_images_is_answered_by_all(card: ModelCard) -> None:
    totals = totals_of({ALL: [0.0, 3, 1]}, {ALL: {0}})
    details = details_of(first="order only", third="order only", logits="order only")
    found = finding(card, spec_of(positive=0, negative=1), totals, details)
    names = [card.class_label(number).name for number in (0, 1)]
    assert f"supports {names[0]} over {names[1]} most (+3 logits), on average" in found.said
    assert "opposes" not in found.said and found.belief.endswith("can be believed, not the sizes.")


def test_no_mean_is_quoted_that_mixes_questions(card: ModelCard) -> None:
    totals = totals_of({ALL: [9.0, 9, -9]}, {ALL: {1, 2}})
    details = details_of(first="not reliable", third="not reliable", logits="not reliable")
    found = finding(card, spec_of(), totals, details)
    assert "9" not in found.said and found.said.startswith(
        "Each image asks its own question, so look at single images"
    )
    assert "a hint at most" in found.belief


def test_the_leading_layer_is_the_most_reliable_one_with_a_map(card: ModelCard) -> None:
    totals = totals_of({ALL: [0.0, 3, 1]}, {ALL: {0}})

    def leading(first: Verdict, third: Verdict, logits: Verdict) -> str:
        details = details_of(first=first, third=third, logits=logits)
        return leading_layer(card, spec_of(), totals, details)

    assert leading("reliable", "reliable", "reliable") == "third"
    assert leading("reliable", "order only", "reliable") == "first"
    assert leading("order only", "not reliable", "reliable") == "logits"
