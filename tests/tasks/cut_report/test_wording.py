"""The command that goes on from a report can be run as it stands."""

import shlex

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.cut_report.wording import next_command


def test_new_layers_are_attached_where_the_best_cut_is(toy: Bundle) -> None:
    layers = [toy.card.layer("third"), toy.card.layer("first")]
    words = shlex.split(next_command("Toy", layers, "My scans@1a2b", "/my scans", "./bucket"))
    assert words[:4] == ["diamond-cutter", "attach", "Toy", "/my scans"]
    assert words[4:8] == ["--at", "third", "first", "--name"]
    assert words[8] == "my-scans-toy"


def test_a_vector_is_explained_instead(toy: Bundle) -> None:
    command = next_command("toy", [toy.card.layer("logits")], "scans@1", "scans", "./bucket")
    assert command == "diamond-cutter attribute toy scans --layers logits --bucket ./bucket"
