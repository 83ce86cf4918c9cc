"""Copies shards from other sets that draw a layer in the same way.

Tuning one layer names a new set, although the other layers do not change. Training the last layers
of a model makes a new model, although the first layers do not change. The sprites of unchanged
layers are adopted instead of rendered again.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import BadKey, Bucket, Corrupt, NotFound
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.layout import set_of, shard_record_key
from diamond_cutter.storage.sets.records import ShardRecord
from diamond_cutter.storage.sets.sprite_set import commit, is_whole, put_fingerprinted
from diamond_cutter.storage.sets.survey import LayerSurvey, survey_set
from diamond_cutter.tasks.gathering.contents import read_settings, recipe_names
from diamond_cutter.tasks.gathering.index import indexed_shards
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Channels, Mixes, sha256_of
from diamond_cutter.tasks.sheets import is_sheet


@dataclass(frozen=True)
class Adoptable:
    """A sound shard of another set that a set lacks.

    layer: the layer, or the name of the mixes.
    layer_sha256: the layer's hash on the model's card, which the shard's record must have.
    channels: all channels of the shard.
    size: of its picture, in bytes.
    record: the key of its record in the other set.
    """

    layer: str
    layer_sha256: str
    channels: tuple[int, ...]
    size: int
    record: str


def find_adoptable(
    bucket: Bucket,
    card: ModelCard,
    recipe: RenderRecipe,
    missing: Mapping[Channels | Mixes, Sequence[int]],
    others: Callable[[], Iterable[ModelCard | None]],
) -> dict[str, list[Adoptable]]:
    """Return the shards that a set can adopt, by layer or name of mixes.

    Other sets are surveyed one after the other until nothing is missing: those of the model first,
    then those of models with an equal layer. Of sets that cannot help only the recipe is read, and
    of models that cannot help only the card.

    Args:
        bucket: where.
        card: the model's.
        recipe: the set's.
        missing: the channels, or mixes, that the set lacks.
        others: returns the cards of the models that have sets; None for one that is unreadable.
    """
    found: dict[str, list[Adoptable]] = {subjects.name: [] for subjects in missing}
    left = {subjects: set(numbers) for subjects, numbers in missing.items() if numbers}
    for model, other, drawn in _other_sets(bucket, card, recipe, left, others):
        survey = survey_set(
            bucket,
            model,
            other,
            indexed_shards(bucket, model, other),
            only=[subjects.name for subjects in drawn],
        )
        for subjects in drawn:
            for shard in _offers(survey.of(subjects.name), card, recipe, subjects):
                if not left[subjects].isdisjoint(shard.channels):
                    left[subjects] -= set(shard.channels)
                    found[subjects.name].append(shard)
    return found


def _other_sets(
    bucket: Bucket,
    card: ModelCard,
    recipe: RenderRecipe,
    left: Mapping[Channels | Mixes, Collection[int]],
    others: Callable[[], Iterable[ModelCard | None]],
) -> Iterator[tuple[str, str, list[Channels | Mixes]]]:
    """Yield the model and the recipe of each other set, with the missing subjects that it draws
    alike.

    The caller removes from `left` what it finds in a set before it takes the next set.
    """
    for model, equal in _models(card, left, others):
        for other in _recipes(bucket, model, except_for=(card.key, recipe.key)):
            drawn = [
                subjects
                for subjects in equal
                if left[subjects] and recipe.draws_as(other, subjects.name)
            ]
            if drawn:
                yield model, other.key, drawn


def _models(
    card: ModelCard,
    left: Mapping[Channels | Mixes, Collection[int]],
    others: Callable[[], Iterable[ModelCard | None]],
) -> Iterator[tuple[str, list[Channels | Mixes]]]:
    """Yield the model, then each other model with equal layers; and the missing subjects in them.

    The cards of other models are read only if the model's own sets lack something.
    """
    if not any(left.values()):
        return
    yield card.key, list(left)
    if not any(left.values()):
        return
    ours = _computations(card)
    for other in others():
        if other is None or other.key == card.key or other.image != card.image:
            continue
        theirs = _computations(other)
        equal = [
            subjects
            for subjects in left
            if left[subjects] and all(ours[name] == theirs.get(name) for name in subjects.layers)
        ]
        if equal:
            yield other.key, equal


def _recipes(bucket: Bucket, model: str, except_for: tuple[str, str]) -> Iterator[RenderRecipe]:
    """Yield the readable recipes of a model's sets, except for one set."""
    names = [name for name in recipe_names(bucket, model) if (model, name) != except_for]
    recipes = at_once(bucket, lambda name: read_settings(bucket, model, name), names)
    return (recipe for recipe in recipes if recipe is not None)


def _computations(card: ModelCard) -> dict[str, tuple[str, str, int, bool]]:
    """Return what decides the values of each layer, beside the format of the images.

    That is all that rendering and scoring read of a model. The names of layers count as well,
    because they are part of the key of the random numbers.
    """
    # The hash is that of an operation, and some operations have several outputs.
    return {
        layer.name: (
            layer.sha256,
            layer.tensor.partition(":")[2] or "0",
            layer.channels,
            layer.any_size,
        )
        for layer in card.layers
    }


def drawing_of(card: ModelCard, recipe: RenderRecipe, subjects: Channels | Mixes) -> Hashable:
    """Return a value that is equal for all models and recipes that draw a layer or mixes alike.

    Their shards can be adopted from each other.
    """
    computations = _computations(card)
    drawn = recipe.drawing(subjects.name).model_dump_json(), recipe.pre_activation
    layers = tuple((name, computations[name]) for name in subjects.layers)
    return card.image.model_dump_json(), subjects.name, layers, drawn


def _offers(
    survey: LayerSurvey, card: ModelCard, recipe: RenderRecipe, subjects: Channels | Mixes
) -> Iterator[Adoptable]:
    """Yield all sound shards that another set has of a layer or mixes."""
    numbers = range(_count(card, subjects))
    for record, shard in sorted(survey.shards.items()):
        channels = tuple(sorted({sprite.channel for sprite in shard.sprites}))
        drawn = {(sprite.channel, sprite.variant) for sprite in shard.sprites}
        if channels[0] in numbers and channels[-1] in numbers and drawn == _whole(channels, recipe):
            yield Adoptable(
                subjects.name, sha256_of(card, subjects), channels, shard.file.size, record
            )


def _count(card: ModelCard, subjects: Channels | Mixes) -> int:
    """Return the number of channels of a layer, or of mixes."""
    if isinstance(subjects, Mixes):
        return len(subjects.mixes)
    return card.layer(subjects.layer).channels


def _whole(channels: Collection[int], recipe: RenderRecipe) -> set[tuple[int, int]]:
    """Return the channel and the variant of all sprites of some channels."""
    return {(channel, variant) for channel in channels for variant in range(recipe.variants)}


def adopt(bucket: Bucket, model: str, recipe: RenderRecipe, shard: Adoptable) -> bool:
    """Copy a shard into a set: its picture first, then the record that commits it.

    Returns:
        Whether the set has the shard now. False if the shard was removed or damaged since it was
        found, or its record describes another shard.
    """
    try:
        theirs = ShardRecord.from_bytes(bucket.get(shard.record), shard.record)
        if not _is_as_found(theirs, recipe, shard):
            return False
        picture = bucket.get(theirs.file.key, want_crc=theirs.file.crc32c)
    except (BadKey, Corrupt, NotFound):
        return False
    if not is_sheet(picture, len(theirs.sprites), theirs.columns, theirs.cell_px):
        return False
    key = shard_record_key(model, recipe.key, shard.layer, shard.channels)
    file = put_fingerprinted(bucket, key, picture, "webp", theirs.file.crc32c)
    # The record names the set that rendered the shard, not one that adopted it.
    changes = {
        "model": model,
        "recipe": recipe.key,
        "file": file,
        "adopted_from": theirs.adopted_from or shard.record,
    }
    ours = (theirs if theirs.model == model else _without_photos(theirs)).model_copy(update=changes)
    commit(bucket, key, ours, lambda present: is_whole(bucket, present.file))
    return True


def _without_photos(record: ShardRecord) -> ShardRecord:
    """Return a record without ratios to photos, which were measured for another model.

    Their key would be in the other model's folder. A run with photos measures its own.
    """
    sprites = (sprite.model_copy(update={"photo_ratio": None}) for sprite in record.sprites)
    return record.model_copy(update={"photos": None, "sprites": tuple(sprites)})


def _is_as_found(record: ShardRecord, recipe: RenderRecipe, shard: Adoptable) -> bool:
    """Tell whether a record describes the shard that was found; anybody may write to a bucket."""
    drawn = {(sprite.channel, sprite.variant) for sprite in record.sprites}
    return (
        (record.model, record.recipe) == set_of(shard.record)
        and (record.layer, record.layer_sha256, record.cell_px)
        == (shard.layer, shard.layer_sha256, recipe.size_px)
        and drawn == _whole(shard.channels, recipe)
    )
