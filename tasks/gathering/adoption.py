"""Copies shards from a model's other sets whose recipes draw a layer in the same way.

Tuning one layer names a new set, although the other layers do not change. Their sprites are adopted
instead of rendered again.
"""

from collections.abc import Iterator, Mapping, Sequence
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
) -> dict[str, list[Adoptable]]:
    """Return the shards that a set can adopt, by layer or name of mixes.

    Other sets are surveyed one after the other until nothing is missing. Of sets that cannot help
    only the recipe is read.

    Args:
        bucket: where.
        card: the model's.
        recipe: the set's.
        missing: the channels, or mixes, that the set lacks.
    """
    found: dict[str, list[Adoptable]] = {subjects.name: [] for subjects in missing}
    left = {subjects: set(numbers) for subjects, numbers in missing.items() if numbers}
    for other in _other_recipes(bucket, card.key, recipe) if left else ():
        wanted = [
            subjects
            for subjects in left
            if left[subjects] and recipe.draws_as(other, subjects.name)
        ]
        if not wanted:
            continue
        names = [subjects.name for subjects in wanted]
        survey = survey_set(
            bucket, card.key, other.key, indexed_shards(bucket, card.key, other.key), only=names
        )
        for subjects in wanted:
            for shard in _offers(
                survey.of(subjects.name), subjects.name, sha256_of(card, subjects)
            ):
                if not left[subjects].isdisjoint(shard.channels):
                    left[subjects] -= set(shard.channels)
                    found[subjects.name].append(shard)
    return found


def _offers(survey: LayerSurvey, layer: str, layer_sha256: str) -> Iterator[Adoptable]:
    """Yield all sound shards that another set has of a layer."""
    for record, shard in sorted(survey.shards.items()):
        channels = tuple(sorted({sprite.channel for sprite in shard.sprites}))
        yield Adoptable(layer, layer_sha256, channels, shard.file.size, record)


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
    key = shard_record_key(model, recipe.key, shard.layer, shard.channels)
    file = put_fingerprinted(bucket, key, picture, "webp", theirs.file.crc32c)
    # The record names the set that rendered the shard, not one that adopted it.
    changes = {
        "model": model,
        "recipe": recipe.key,
        "file": file,
        "adopted_from": theirs.adopted_from or shard.record,
    }
    commit(
        bucket,
        key,
        theirs.model_copy(update=changes),
        lambda present: is_whole(bucket, present.file),
    )
    return True


def _other_recipes(bucket: Bucket, model: str, recipe: RenderRecipe) -> Iterator[RenderRecipe]:
    """Yield the readable recipes of a model's other sets."""
    names = [name for name in recipe_names(bucket, model) if name != recipe.key]
    recipes = at_once(bucket, lambda name: read_settings(bucket, model, name), names)
    return (other for other in recipes if other is not None)


def _is_as_found(record: ShardRecord, recipe: RenderRecipe, shard: Adoptable) -> bool:
    """Tell whether a record describes the shard that was found; anybody may write to a bucket."""
    sprites = {(sprite.channel, sprite.variant) for sprite in record.sprites}
    return (
        (record.model, record.recipe) == set_of(shard.record)
        and (record.layer, record.layer_sha256, record.cell_px)
        == (shard.layer, shard.layer_sha256, recipe.size_px)
        and sprites
        == {(channel, variant) for channel in shard.channels for variant in range(recipe.variants)}
    )
