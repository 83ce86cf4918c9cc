"""Summarise the sprite sets of a bucket, for the first page and for the pages of models."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from diamond_cutter.storage import Bucket, NotFound, StorageError
from diamond_cutter.storage.bucket import is_key
from diamond_cutter.storage.sets.layout import gallery_key, is_gallery_file, set_folder
from diamond_cutter.tasks.browsing.ages import age_of
from diamond_cutter.tasks.browsing.crops import Crop
from diamond_cutter.tasks.browsing.generated_galleries import GeneratedGalleries
from diamond_cutter.tasks.gallery.contents import ShownLayer, ShownSet
from diamond_cutter.tasks.gallery.pages import page_data
from diamond_cutter.tasks.gallery.pictures import PREVIEWED, THUMBNAIL_PX, best_first
from diamond_cutter.tasks.gathering.contents import models_with_sets, recipe_names
from diamond_cutter.tasks.reporting.choosing import evenly

_PREVIEWED_LAYERS = 4
_THUMBNAILS = 8
_MOST_PX = 1 << 20


class SetCard(NamedTuple):
    """A sprite set in a list.

    name: the recipe's name, with its hash if another recipe of the model has the same name.
    previews: thumbnails, from early to late layers.
    missing: the number of sprites that a run could not render.
    problem: why nothing is known of the set; empty if it could be read.
    """

    model: str
    recipe: str
    name: str
    folder: str
    layers: int = 0
    sprites: int = 0
    flagged: int = 0
    in_progress: int = 0
    missing: int = 0
    previews: tuple[Crop, ...] = ()
    updated: datetime | None = None
    problem: str = ""

    @property
    def age(self) -> str:
        """Return the age of the gallery in words; empty if it was never published."""
        return age_of(self.updated) if self.updated else ""


def set_cards(
    bucket: Bucket, galleries: GeneratedGalleries, only_model: str | None = None
) -> Iterator[SetCard]:
    """Yield the sets of a bucket, or of one model; damage costs only the set that has it."""
    for model in models_with_sets(bucket):
        recipes = recipe_names(bucket, model) if only_model in (None, model) else ()
        names = Counter(recipe.rpartition("@")[0] for recipe in recipes)
        for recipe in recipes:
            plain = recipe.rpartition("@")[0]
            name = plain if plain and names[plain] == 1 else recipe
            try:
                yield _card(bucket, galleries, model, recipe, name)
            except StorageError as error:
                folder = set_folder(model, recipe)
                yield SetCard(model, recipe, name, folder, problem=str(error))


def _card(
    bucket: Bucket, galleries: GeneratedGalleries, model: str, recipe: str, name: str
) -> SetCard:
    folder = set_folder(model, recipe)
    published = bucket.stat(gallery_key(model, recipe))
    shown = _published(bucket, model, recipe) or galleries.shown(model, recipe)
    layers = [layer for layer in shown.layers if not layer.groups]
    failed = {failure.layer for failure in shown.failures}
    return SetCard(
        model=model,
        recipe=recipe,
        name=name,
        folder=folder,
        layers=sum(not layer.mixes for layer in layers),
        sprites=sum(layer.sprites for layer in layers),
        flagged=sum(layer.flagged for layer in layers),
        in_progress=sum(layer.inline is not None for layer in layers if layer.name not in failed),
        missing=sum(failure.sprites for failure in shown.failures),
        previews=tuple(_previews(folder, layers) or _early(folder, layers)),
        updated=published.updated if published else None,
    )


def _published(bucket: Bucket, model: str, recipe: str) -> ShownSet | None:
    """Return the data of the published page, one read for a whole set; None if it is not valid."""
    try:
        shown = ShownSet.model_validate(page_data(bucket.get(gallery_key(model, recipe))))
    except (NotFound, ValueError, TypeError, RecursionError):
        return None
    return shown if (shown.model, shown.recipe) == (model, recipe) else None


def _previews(folder: str, layers: list[ShownLayer]) -> list[Crop]:
    """Return the first thumbnails of up to four layers, whose previews begin with the best."""
    own = [
        (f"{folder}{layer.preview}", min(layer.sprites - layer.flagged or layer.sprites, PREVIEWED))
        for layer in layers
        if is_gallery_file(layer.preview) and is_key(f"{folder}{layer.preview}")
    ]
    chosen = evenly(own, _PREVIEWED_LAYERS)
    ranked = sorted(
        (number, place)
        for place, (_, sprites) in enumerate(chosen)
        for number in range(min(max(sprites, 0), _THUMBNAILS))
    )
    shown = sorted((place, number) for number, place in ranked[:_THUMBNAILS])
    return [
        Crop(chosen[place][0], 0, number * THUMBNAIL_PX, 0, THUMBNAIL_PX) for place, number in shown
    ]


def _early(folder: str, layers: list[ShownLayer]) -> list[Crop]:
    """Return the best sprites of the first shard, if all layers are in progress.

    The page may be damaged, so its numbers are checked.
    """
    layer = next((layer for layer in layers if layer.inline and layer.spritemaps), None)
    if layer is None or layer.inline is None:
        return []
    sheet, columns = layer.spritemaps[0], layer.inline
    key, side = f"{folder}{sheet.file}", sheet.cell_px
    if not (0 < side < _MOST_PX and 0 < sheet.columns < _MOST_PX and is_key(key)):
        return []
    objectives = columns.scores.get("objective", ())
    known = list(zip(columns.spritemaps, columns.cells, objectives, columns.flags, strict=False))
    own = [found for found in known if found[0] == 0 and found[1] >= 0]
    best = best_first([found[2] for found in own], [found[3] for found in own])
    places = (divmod(own[place][1], sheet.columns) for place in best[:_THUMBNAILS])
    return [
        Crop(key, sheet.columns * side, column * side, row * side, side) for row, column in places
    ]
