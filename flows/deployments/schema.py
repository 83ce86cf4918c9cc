"""The JSON schema of a deployment: Prefect's UI makes a form of it, and its server checks triggers.

The schema of the request class knows types, ranges and recipes. Here, names are added that are
known when the deployment is registered: models, and the layers of the models in the bucket.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from types import MappingProxyType
from typing import Any, Literal

from prefect import Flow
from prefect.utilities.callables import ParameterSchema

from diamond_cutter.flows.request_fields import AUTO
from diamond_cutter.model_inventory.card import ModelCard

_Schema = dict[str, Any]

_SEVERAL_MODELS = ("first", "second", "models")
# Fields with names of layers, and whether globs and words such as `main` are layers there.
_LAYER_FIELDS = {"layers": True, "show": True, "at": False, "unfreeze": False}
_PLACES = ("bucket", "images", "photos")
# A worker may run in any folder.
_ABSOLUTE = r"^(/|[A-Za-z]:[\\/]|[a-z][a-z0-9]*://)"
_UNITS = {"s": "seconds", "px": "pixels", "degrees": "degrees"}
# What the form calls the alternatives of a field.
_OPTION_TITLES = {
    "null": "omitted",
    "string": "text",
    "integer": "number",
    "number": "number",
    "boolean": "yes or no",
    "array": "list",
    "object": "JSON",
}
_GLOB = r"[*?\[]"


class CheckedParameters(ParameterSchema):
    """A schema that makes the server refuse unknown parameters."""

    additionalProperties: Literal[False] = False


def checked_parameters(
    flow: Flow[Any, Any], bucket_url: str, models: Iterable[str], cards: Sequence[ModelCard]
) -> CheckedParameters:
    """Return the schema of a flow's parameters with the models and layers that exist.

    Args:
        flow: with a parameter named `request`.
        bucket_url: the bucket of triggers that name none.
        models: the names of all models.
        cards: of the models whose layers are known.
    """
    schema = deepcopy(flow.parameters.model_dump())
    name = schema["properties"]["request"]["$ref"].rpartition("/")[2]
    request: _Schema = schema["definitions"][name]
    fields: dict[str, _Schema] = request["properties"]
    names = list(dict.fromkeys(models))
    for field in {"model", *_SEVERAL_MODELS} & fields.keys():
        _text_of(fields[field])["enum"] = names
    if "also" in fields:
        for described in (fields["model"], fields["also"]["items"]):
            _take_globs(described, names)
    for field in fields.keys() & _PLACES:
        _text_of(fields[field])["pattern"] = _ABSOLUTE
    fields["bucket"]["default"] = bucket_url
    _leave_recipe_fields_to_its_name(schema["definitions"])
    for definition in schema["definitions"].values():
        for field, described in definition.get("properties", {}).items():
            described["title"] = _title(field)
            for option in described.get("anyOf", ()):
                if option.get("type") in _OPTION_TITLES:
                    option.setdefault("title", _OPTION_TITLES[option["type"]])
    conditions = list(_layer_conditions(fields, cards))
    if conditions:
        request["allOf"] = conditions
    return CheckedParameters(**schema, additionalProperties=False)


def _take_globs(field: _Schema, names: Sequence[str]) -> None:
    """Let a field take the name of a model, or a glob for models of the bucket."""
    for key in ("type", "enum"):
        field.pop(key, None)
    field["anyOf"] = [
        {"type": "string", "enum": list(names), "title": "model"},
        {"type": "string", "pattern": _GLOB, "title": "models by a glob"},
    ]


def _leave_recipe_fields_to_its_name(definitions: dict[str, _Schema]) -> None:
    """Remove the defaults of the recipe's fields, which a form would send with every name."""
    recipe = definitions.get("RenderRecipe", {})
    recipe["title"] = "changes of a recipe"
    for field, described in recipe.get("properties", {}).items():
        if field != "name":
            described.pop("default", None)
        if described.get("type") == "boolean":
            # A switch would always send one of them.
            del described["type"]
            described |= {"anyOf": [{"type": "boolean"}, {"type": "null"}], "default": None}


def _title(field: str) -> str:
    """Return the name of a field for people: `shard_timeout_s` is `shard timeout (seconds)`."""
    words = field.split("_")
    unit = _UNITS.get(words[-1])
    return " ".join(words) if unit is None else f"{' '.join(words[:-1])} ({unit})"


def _text_of(field: _Schema) -> _Schema:
    """Return the part of a field's schema that describes its text, or the text of each item."""
    if field.get("type") == "array":
        return _text_of(field["items"])
    return next((option for option in field.get("anyOf", ()) if option["type"] == "string"), field)


def _layer_conditions(
    fields: Mapping[str, _Schema], cards: Sequence[ModelCard]
) -> Iterable[_Schema]:
    """Yield what must hold for the names of layers, given the models that are requested."""
    layer_fields = [field for field in _LAYER_FIELDS if field in fields]
    if "model" in fields:
        by_name: dict[str, list[ModelCard]] = {}
        for card in cards:
            by_name.setdefault(card.name, []).append(card)
        for same in by_name.values():  # a bucket may have several bundles of one name
            names = [name for card in same for name in _names(card)]
            # Further models may have other layers, and those without the layer are skipped.
            alone = {"also": {"maxItems": 0}} if "also" in fields else {}
            yield _condition(fields, {"model": _one_of(names)}, layer_fields, same, alone)
        return
    model_fields = [field for field in _SEVERAL_MODELS if field in fields]
    known = _one_of([name for card in cards for name in _names(card)])
    if cards:
        # A layer may be in one of the models only.
        models = {field: _for_each(fields[field], known) for field in model_fields}
        yield _condition(fields, models, layer_fields, cards)


def _names(card: ModelCard) -> list[str]:
    return [card.name, card.key]


def _one_of(names: Sequence[str]) -> _Schema:
    return {"enum": list(dict.fromkeys(names))}


def _for_each(field: _Schema, text: _Schema) -> _Schema:
    return {"items": text} if field.get("type") == "array" else text


def _condition(
    fields: Mapping[str, _Schema],
    models: Mapping[str, _Schema],
    layer_fields: Iterable[str],
    cards: Sequence[ModelCard],
    alone: Mapping[str, _Schema] = MappingProxyType({}),
) -> _Schema:
    names = [layer.name for card in cards for layer in card.layers]
    then = {}
    for field in layer_fields:
        known: _Schema = _one_of(names)
        if _LAYER_FIELDS[field]:
            words = [AUTO] if AUTO in fields[field].get("default", ()) else []
            known = {"if": {"pattern": _GLOB}, "else": _one_of(["main", "all", *words, *names])}
        elif field == "unfreeze":
            known = _one_of([None, *names])  # type: ignore[list-item]
        then[field] = _for_each(fields[field], known)
    return {
        "if": {"properties": {**models, **alone}, "required": list(models)},
        "then": {"properties": then},
    }
