"""Describe a set and its model: for the map of the network, and for the end of the page."""

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.gallery.contents import AboutSet, NetworkLayer
from diamond_cutter.tasks.gallery.sources import SetSource
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

_RECIPE_FILE = "recipe.json"


def network(card: ModelCard | None) -> tuple[NetworkLayer, ...]:
    """Return all layers of a model in forward order; none without a card."""
    return tuple(
        NetworkLayer(
            name=layer.name,
            kind=layer.kind,
            main=layer.main,
            channels=layer.channels,
            height=layer.height,
            width=layer.width,
        )
        for layer in (card.layers if card else ())
    )


def about_set(source: SetSource) -> AboutSet | None:
    """Return what is said of a set at the end of its page; None without the model's card."""
    card = source.card
    if card is None:
        return None
    return AboutSet(
        origin=card.source.origin,
        height=card.image.height,
        width=card.image.width,
        planes=card.image.channels,
        classes=len(card.labels),
        versions=source.versions,
        name=card.name,
        options=recipe_options(source.settings) if source.settings else (),
    )


def recipe_options(recipe: RenderRecipe) -> tuple[str, ...]:
    """Return the options of the command line for a recipe: its name, and the fields that differ.

    If fields other than numbers and words differ, the recipe is named by the set's own file.
    """
    named = RenderRecipe(name=recipe.name)
    options = ["--recipe", recipe.name]
    for field in RenderRecipe.model_fields:
        value, option = getattr(recipe, field), f"--recipe.{field.replace('_', '-')}"
        if value == getattr(named, field):
            continue
        if value is True:
            options.append(option)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            options += [option, f"{value}"]
        else:
            return "--recipe", _RECIPE_FILE
    return tuple(options)
