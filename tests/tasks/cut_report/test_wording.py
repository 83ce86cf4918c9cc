"""The command that goes on from a report can be run, and the answer is believed as it deserves."""

import shlex

import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.cut_report.contents import Lead
from diamond_cutter.tasks.cut_report.wording import belief, next_command
from tests.tasks.cut_report.made_up_comparison import made_up_contents


def test_new_layers_are_attached_where_the_best_cut_is(toy: Bundle) -> None:
    layers = [toy.card.layer("third"), toy.card.layer("first")]
    words = shlex.split(next_command("Toy", layers, "My scans@1a2b", "/my scans", "./bucket"))
    assert words[:4] == ["diamond-cutter", "attach", "Toy", "/my scans"]
    assert words[4:8] == ["--at", "third", "first", "--name"]
    assert words[8] == "my-scans-toy"


def test_a_vector_is_explained_instead(toy: Bundle) -> None:
    command = next_command("toy", [toy.card.layer("logits")], "scans@1", "scans", "./bucket")
    assert command == "diamond-cutter attribute toy scans --layers logits --bucket ./bucket"


@pytest.mark.parametrize(
    ("low", "verdict", "kind"),
    [
        (0.01, "early", "reliable"),
        (0.01, "unclear", "reliable"),
        (-0.01, "plateau", "order-only"),
        (-0.01, "unclear", "not-reliable"),
    ],
)
def test_the_answer_is_believed_as_far_as_its_interval_allows(
    low: float, verdict: str, kind: str
) -> None:
    contents = made_up_contents()
    models = tuple(model.model_copy(update={"verdict": verdict}) for model in contents.models)
    lead = Lead(mean=0.03, low=low, high=0.07)
    found = belief(contents.model_copy(update={"models": models, "lead": lead}))
    assert found is not None and found.kind == kind
    assert belief(contents.model_copy(update={"lead": None})) is None
