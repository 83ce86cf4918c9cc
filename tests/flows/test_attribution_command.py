"""The command in a report makes the same report again."""

import shlex

import pytest

from diamond_cutter.flows.attribution_command import command_of
from diamond_cutter.flows.attribution_request import AttributionRequest


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, ""),
        ({"layers": ("block_1?", "head"), "groups": 0}, "--layers 'block_1?' head --groups 0"),
        ({"positive": "a b", "negative": "none", "bucket": "gs://secret"},
         "--class 'a b' --against none"),
        ({"method": "integrated", "steps": 50, "timeout_s": 5}, "--method integrated --steps 50"),
        ({"recipe": "lucid"}, "--recipe lucid"),
        ({"recipe": {"name": "alpha", "size_px": 64, "jitter_px": (2, 2), "negative": True}},
         "--recipe alpha --recipe.size-px 64 --recipe.jitter-px 2 2 --recipe.negative"),
    ],
)  # fmt: skip
def test_options_that_change_the_report(options: dict[str, object], wanted: str) -> None:
    request = AttributionRequest(model="lite0", images="/home/me/my pets", **options)  # type: ignore[arg-type]
    found = shlex.split(command_of(request, "my pets"))
    assert found[:4] == ["diamond-cutter", "attribute", "lite0", "my pets"]
    assert sorted(found[4:]) == sorted(shlex.split(wanted))
