"""Describe a set and its model: for the map of the network, and for the end of the page."""

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.gallery.commands import sprites_command
from diamond_cutter.tasks.gallery.contents import AboutSet, NetworkLayer
from diamond_cutter.tasks.gallery.sources import SetSource


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
    card, settings = source.card, source.settings
    if card is None:
        return None
    layers = [layer.layer for layer in source.layers if layer.known]
    return AboutSet(
        origin=card.source.origin,
        height=card.image.height,
        width=card.image.width,
        planes=card.image.channels,
        classes=len(card.labels),
        versions=source.versions,
        command=sprites_command(source.name, layers, settings) if settings and layers else "",
    )
