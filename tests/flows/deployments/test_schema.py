"""What the server of Prefect refuses by the schema alone, before any worker starts."""

from typing import Any

import pytest
from prefect.utilities.schema_tools import is_valid_schema
from prefect.utilities.schema_tools.validation import ValidationError, validate

from diamond_cutter.flows.attaching import attach
from diamond_cutter.flows.attribution import attribute_dataset
from diamond_cutter.flows.comparing import compare_models
from diamond_cutter.flows.cutting import find_cut
from diamond_cutter.flows.deployments.schema import checked_parameters
from diamond_cutter.flows.request_fields import AUTO, recipe_as_given
from diamond_cutter.flows.sprites import sprites
from diamond_cutter.flows.sprites_request import TuneRequest
from diamond_cutter.flows.tuning_flow import tune
from diamond_cutter.tasks.rendering.presets import PRESETS
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from tests.flows.made_up_set import made_up_card

FLOWS = {
    flow.name: flow for flow in (sprites, attribute_dataset, find_cut, attach, compare_models, tune)
}
# The least that a trigger says. The layers of `other` are unknown.
LEAST: dict[str, dict[str, Any]] = {
    "sprites": {"model": "made-up"},
    "attribute-dataset": {"model": "made-up", "images": "/data/birds"},
    "find-cut": {"models": ["made-up"], "images": "gs://place/birds"},
    "attach": {"model": "made-up", "images": "/data/birds", "at": ["stem"], "name": "new"},
    "compare-models": {"first": "made-up", "second": "other", "images": "/data/birds"},
    "tune": {"model": "made-up"},
}


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    made = {
        name: checked_parameters(flow, "/data/bucket", ["made-up", "other"], [made_up_card()])
        for name, flow in FLOWS.items()
    }
    return {name: schema.model_dump() for name, schema in made.items()}


def refusal(schema: Any, request: dict[str, Any]) -> str:
    """Return how the server words it."""
    with pytest.raises(ValidationError) as refused:
        validate({"request": request}, schema, raise_on_error=True)
    return str(refused.value)


@pytest.mark.parametrize("flow", FLOWS)
def test_the_least_request_is_accepted(schemas: dict[str, Any], flow: str) -> None:
    is_valid_schema(schemas[flow])
    assert validate({"request": LEAST[flow]}, schemas[flow], raise_on_error=True) == []


@pytest.mark.parametrize(
    ("flow", "changed", "field"),
    [
        ("sprites", {"model": "bogus"}, "request.model"),
        ("sprites", {"also": ["bogus"]}, "request.also[0]"),
        ("sprites", {"layers": ["stem", "bogus"]}, "request.layers[1]"),
        ("sprites", {"layers": []}, "request.layers"),
        ("sprites", {"layers": ["auto"]}, "request.layers[0]"),
        ("sprites", {"recipe": "bogus"}, "request.recipe"),
        ("sprites", {"recipe": {"scale": [1.0, 9.0]}}, "request.recipe.scale[1]"),
        ("sprites", {"recipe": {"neuron_at": [0.5]}}, "request.recipe.neuron_at"),
        ("sprites", {"bucket": "bucket"}, "request.bucket"),
        ("sprites", {"photos": "birds"}, "request.photos"),
        ("sprites", {"batch_size": 0}, "request.batch_size"),
        ("sprites", {"shards": 3}, "request"),
        ("attribute-dataset", {"images": "birds"}, "request.images"),
        ("attribute-dataset", {"method": "bogus"}, "request.method"),
        ("find-cut", {"models": ["made-up", "bogus"]}, "request.models[1]"),
        ("find-cut", {"layers": ["bogus"]}, "request.layers[0]"),
        ("attach", {"at": ["bogus"]}, "request.at[0]"),
        ("attach", {"unfreeze": "bogus"}, "request.unfreeze"),
        ("compare-models", {"second": "bogus"}, "request.second"),
        ("compare-models", {"second": "made-up", "show": ["bogus"]}, "request.show[0]"),
        ("tune", {"layers": ["bogus"]}, "request.layers[0]"),
    ],
)
def test_what_cannot_be_met_is_refused_with_the_name_of_the_field(
    schemas: dict[str, Any], flow: str, changed: dict[str, Any], field: str
) -> None:
    refused = refusal(schemas[flow], LEAST[flow] | changed)
    assert refused.startswith(f"Validation failed for field '{field}'. Failure reason: ")


def test_unknown_parameters_are_refused(schemas: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="'reqest' was unexpected"):
        validate({"request": LEAST["tune"], "reqest": {}}, schemas["tune"], raise_on_error=True)


@pytest.mark.parametrize(
    ("flow", "changed"),
    [
        ("sprites", {"layers": ["main"]}),
        ("sprites", {"layers": ["bloc*", "stem"]}),
        ("sprites", {"model": made_up_card().key, "layers": ["all"]}),
        ("sprites", {"model": "other", "layers": ["of another model"]}),
        ("sprites", {"model": "*"}),
        ("sprites", {"also": ["other", "birds-?"], "layers": ["of another model"]}),
        ("sprites", {"recipe": {"name": "alpha", "alpha": None, "steps": 7}}),
        ("attribute-dataset", {"layers": ["auto"]}),
        ("attach", {"unfreeze": None}),
        ("compare-models", {"layers": ["of another model"]}),
    ],
)
def test_what_can_be_met_is_accepted(
    schemas: dict[str, Any], flow: str, changed: dict[str, Any]
) -> None:
    models = [made_up_card().key, "made-up", "other"]
    schema = checked_parameters(FLOWS[flow], "/data/bucket", models, [made_up_card()])
    request = {"request": LEAST[flow] | changed}
    assert validate(request, schema.model_dump(), raise_on_error=True) == []


def test_the_form_shows_choices_defaults_and_units(schemas: dict[str, Any]) -> None:
    definitions = schemas["sprites"]["definitions"]
    fields = definitions["SpritesRequest"]["properties"]
    assert fields["model"]["anyOf"][0]["enum"] == ["made-up", "other"]
    assert fields["bucket"]["default"] == "/data/bucket"
    assert fields["recipe"]["default"] == AUTO
    assert fields["recipe"]["anyOf"][0]["enum"] == [AUTO, *PRESETS]
    assert fields["shard_timeout_s"]["title"] == "shard timeout (seconds)"
    # A form would send these with any name of a recipe.
    assert "default" not in definitions["RenderRecipe"]["properties"]["steps"]
    assert all(field.get("description") for field in fields.values())


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"name": "auto"}, "auto"),
        ({"name": "maco"}, "maco"),
        ({"name": "fast"}, "fast"),
        # As in `fast`, and unlike `lucid`.
        ({"name": "lucid", "steps": 160}, {"name": "lucid", "steps": 160}),
        ({"name": "mine", "size_px": 64}, {"name": "mine", "size_px": 64}),
        ({"name": "mine"}, {"name": "mine"}),
    ],
)
def test_a_deployment_stores_a_recipe_by_its_name(given: dict[str, Any], stored: Any) -> None:
    recipe = RenderRecipe.model_validate(given)
    assert recipe_as_given(recipe) == stored
    assert TuneRequest.model_validate({"model": "any", "recipe": stored}).recipe == recipe


def test_none_means_as_in_the_recipe_of_that_name() -> None:
    recipe = RenderRecipe.model_validate({"name": "alpha", "alpha": None, "steps": None})
    assert recipe == RenderRecipe(name="alpha")
