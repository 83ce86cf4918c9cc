"""The contents of a bucket's sprite sets: recipes, layers, mixes, spritemaps, channel labels."""

from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.storage import Bucket, NotFound
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.layout import (
    escape,
    is_mixes,
    is_spritemap_record,
    layer_folder,
    mixes_key,
    recipe_key,
    set_folder,
    sets_folder,
    unescape,
)
from diamond_cutter.storage.sets.records import SpritemapRecord
from diamond_cutter.storage.sets.sprite_set import read_record
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Mixes


def set_names(bucket: Bucket) -> Iterator[tuple[str, str]]:
    """Yield the model and the recipe of each sprite set in a bucket."""
    for model in models_with_sets(bucket):
        for recipe in recipe_names(bucket, model):
            yield model, recipe


def models_with_sets(bucket: Bucket) -> list[str]:
    """Return the names and hashes of the models that have sprite sets in a bucket."""
    return [folder.split("/")[1] for folder in bucket.folders("sprites/")]


def recipe_names(bucket: Bucket, model: str) -> list[str]:
    """Return the names and hashes of the recipes of a model's sprite sets."""
    return [folder.split("/")[2] for folder in bucket.folders(sets_folder(model))]


def read_settings(bucket: Bucket, model: str, recipe: str) -> RenderRecipe | None:
    """Return the recipe of a set, or None if it is missing or does not match the set's name."""
    try:
        settings = RenderRecipe.model_validate_json(bucket.get(recipe_key(model, recipe)))
    except (NotFound, ValidationError):
        return None
    return settings if settings.key == recipe else None


def layer_names(bucket: Bucket, model: str, recipe: str, card: ModelCard | None) -> list[str]:
    """Return the names of a set's layers in forward order, then unknown layers and mixes."""
    return in_forward_order(
        (folder.split("/")[3] for folder in bucket.folders(set_folder(model, recipe))), card
    )


def in_forward_order(folders: Iterable[str], card: ModelCard | None) -> list[str]:
    """Return the layers that folders of a set belong to, in forward order, then unknown layers."""
    names = map(_layer_of, folders)
    order = {layer.name: place for place, layer in enumerate(card.layers)} if card else {}
    return sorted(
        (name for name in names if name is not None),
        key=lambda name: (order.get(name, len(order)), name),
    )


def known_layer(card: ModelCard | None, layer: str) -> LayerCard | None:
    """Return a layer's card, or None if there is no model card or it lacks the layer."""
    return next((known for known in card.layers if known.name == layer), None) if card else None


def read_mixes(bucket: Bucket, model: str, recipe: str, name: str) -> Mixes | None:
    """Return the mixes of a name, or None if they are missing or do not match its hash."""
    try:
        mixes = Mixes.model_validate_json(bucket.get(mixes_key(model, recipe, name)))
    except (NotFound, ValidationError):
        return None
    return mixes if mixes.name == name else None


def spritemap_records(
    bucket: Bucket, model: str, recipe: str, layer: str
) -> Iterator[SpritemapRecord]:
    """Yield the readable records of a layer's spritemaps."""
    keys = [
        info.key
        for info in bucket.list(layer_folder(model, recipe, layer) + "spritemap.")
        if is_spritemap_record(info.key)
    ]
    records = at_once(bucket, lambda key: read_record(bucket, key, SpritemapRecord), keys)
    return (record for record in records if record is not None)


def channel_labels(
    bucket: Bucket, model: str, recipe: str, layer: str, card: ModelCard | None
) -> tuple[str, ...]:
    """Return the labels of a layer's channels: of mixes, or classes of the logits; else none."""
    known = known_layer(card, layer)
    if card and known:
        return card.channel_names(known)
    mixes = read_mixes(bucket, model, recipe, layer) if is_mixes(layer) else None
    return tuple(mix.label for mix in mixes.mixes) if mixes else ()


def _layer_of(folder: str) -> str | None:
    """Return the layer of a set's folder, or None for other folders, such as that of the runs."""
    try:
        name = unescape(folder)
    except UnicodeDecodeError:
        return None
    return name if escape(name) == folder else None
