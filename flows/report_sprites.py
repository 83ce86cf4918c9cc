"""Renders the sprites that a report needs and the bucket lacks: of channels, and of groups."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from diamond_cutter.flows.attribution_request import AttributionRun
from diamond_cutter.flows.left_over import BudgetSpent
from diamond_cutter.flows.planning import selection_id
from diamond_cutter.flows.server.loss import server_answers
from diamond_cutter.flows.sprites import sprites
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.flows.sprites_summary import SpritesFailed
from diamond_cutter.flows.verification import check_recipe, check_runs
from diamond_cutter.storage.sets.layout import index_key, photo_activations_key, run_record_key
from diamond_cutter.storage.sets.records import PhotoActivations, RunRecord
from diamond_cutter.storage.sets.sprite_set import channels_missing, is_whole, read_record
from diamond_cutter.storage.sets.survey import SetSurvey, survey_set
from diamond_cutter.storage.sets.views import check_view
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.gathering.contents import read_mixes, spritemap_records
from diamond_cutter.tasks.gathering.index import indexed_shards
from diamond_cutter.tasks.photos.activations import keep_activations
from diamond_cutter.tasks.rendering.subjects import Mix, Mixes, Term, group_label
from diamond_cutter.tasks.reporting.annotating import Annotator
from diamond_cutter.tasks.reporting.choosing import channels_to_render
from diamond_cutter.tasks.reporting.contents import DetailsRecord
from diamond_cutter.tasks.reporting.dataset_sums import DatasetSums

# Only the channels with the largest weights in a group's direction are rendered. The others make
# up a few percent of its length.
_GROUP_CHANNELS = 64
# Prefect stores at most 512 kB of parameters for a run; a group takes two or three.
_MIXES_AT_ONCE = 128

# By layer: the name of the mixes that hold its groups, and the numbers of these groups.
GroupPlaces = dict[str, tuple[str, tuple[int, ...]]]


def render_report_sprites(
    run: AttributionRun, reduced: DatasetSums, details: DetailsRecord, refused: Collection[str]
) -> tuple[tuple[str, ...], GroupPlaces]:
    """Render the missing sprites of a report, and replace its damaged ones.

    Returns:
        a sentence for each failure; and where the groups of each layer are.
    """
    warnings = []
    _note_photos(run, reduced, tuple(refused))
    survey = survey_set(
        run.bucket,
        run.card.key,
        run.recipe.key,
        indexed_shards(run.bucket, run.card.key, run.recipe.key),
    )
    annotated = Annotator(run.bucket, run.folder, run.card, run.spec, reduced, details).images()
    channels = channels_to_render(reduced.totals, details.cells, run.spec, annotated)
    wanted = {layer: chosen for layer, chosen in channels.items() if chosen}
    damaged = damaged_sprites(run, details)
    asked = SpritesRequest(
        model=run.card.key,
        bucket=run.request.bucket,
        recipe=run.recipe,
        runner=run.request.runner,
        grace_s=run.request.grace_s,
    )
    photos = None if run.recipe.negative else run.request.images
    if wanted and _is_due(run, wanted, survey, damaged):
        warnings += render_sprites(asked.model_copy(update={"selection": wanted, "photos": photos}))
    places: GroupPlaces = {}
    for mixes, layers in _group_mixes(details, run.spec):
        places |= {layer: (mixes.name, numbers) for layer, numbers in layers.items()}
        if _is_due(run, {mixes.name: tuple(range(len(mixes.mixes)))}, survey, damaged):
            warnings += render_sprites(asked.model_copy(update={"mixes": mixes}))
    return tuple(warnings), places


def damaged_sprites(run: AttributionRun, details: DetailsRecord | None) -> set[str]:
    """Return the layers and mixes with damaged files that a run repairs without rendering."""
    if not run.spec.channels or details is None:
        return set()
    bucket, model, recipe = run.bucket, run.card.key, run.recipe.key
    mixes = {mixes.name for mixes, _ in _group_mixes(details, run.spec)}
    names = {*run.spec.layers, *mixes}
    problems = (check_recipe(bucket, model, recipe), *check_runs(bucket, model, recipe))
    index = index_key(model, recipe)
    if any(problems) or check_view(bucket, index, due=True, judge=lambda data: None):
        return names
    unread = {name for name in mixes if read_mixes(bucket, model, recipe, name) is None}
    spritemaps = (
        (name, record.file)
        for name in names
        for record in spritemap_records(bucket, model, recipe, name)
    )
    return unread | {name for name, file in spritemaps if not is_whole(bucket, file)}


def photos_are_noted(run: AttributionRun) -> bool:
    """Tell whether the bucket has the highest activations on the images for each layer."""
    keys = (
        photo_activations_key(run.card.key, run.images.name, layer, pre_activation=False)
        for layer in run.spec.layers
    )
    return all(read_record(run.bucket, key, PhotoActivations) is not None for key in keys)


def _is_due(
    run: AttributionRun,
    wanted: Mapping[str, Sequence[int]],
    survey: SetSurvey,
    damaged: Collection[str],
) -> bool:
    """Tell whether a run has to render, repair or commit some channels or mixes.

    Everything is requested, including what a killed run has finished, so that the bucket ends up
    the same as after an undisturbed run.
    """
    key = run_record_key(run.card.key, run.recipe.key, selection_id(wanted))
    missing = any(
        channels_missing(channels, survey.of(name).owners()) for name, channels in wanted.items()
    )
    return (
        missing
        or not wanted.keys().isdisjoint(damaged)
        or read_record(run.bucket, key, RunRecord) is None
    )


def render_sprites(request: SpritesRequest) -> list[str]:
    """Render sprites, and return a sentence if some failed; the report does without these.

    Raises:
        BudgetSpent: some sprites were not tried.
    """
    try:
        # Without its server, Prefect starts no flow run: the sprites become part of this one.
        summary, warnings = (sprites if server_answers() else sprites.fn)(request), list[str]()
    except SpritesFailed as failure:
        summary, warnings = failure.summary, [f"the report lacks sprites: {failure}"]
    if summary.left:
        raise BudgetSpent(summary.left, "sprites")
    return warnings


def _note_photos(run: AttributionRun, reduced: DatasetSums, refused: tuple[str, ...]) -> None:
    """Store the highest activation of each channel, which `sprites --photos` would measure."""
    for layer in run.spec.layers:
        record = PhotoActivations(
            model=run.card.key,
            layer=layer,
            photos=run.images.name,
            images=len(reduced.images),
            unreadable=refused,
            highest=tuple(float(f"{value:.6g}") for value in reduced.highest(layer)),
        )
        keep_activations(run.bucket, record)


def _group_mixes(
    details: DetailsRecord, spec: AttributionSpec
) -> Iterator[tuple[Mixes, dict[str, tuple[int, ...]]]]:
    """Yield the groups of some layers as mixes, as many as one run can render, and their numbers
    in the mixes by layer.
    """
    chosen: list[Mix] = []
    places: dict[str, tuple[int, ...]] = {}
    for layer in spec.layers if spec.channels else ():
        directions = details.groups[layer].directions if layer in details.groups else ()
        if chosen and len(chosen) + len(directions) > _MIXES_AT_ONCE:
            yield Mixes(mixes=tuple(chosen)), places
            chosen, places = [], {}
        places[layer] = tuple(range(len(chosen), len(chosen) + len(directions)))
        chosen += [
            Mix(label=group_label(layer, number), terms=(_term(layer, direction),))
            for number, direction in enumerate(directions)
        ]
    if chosen:
        yield Mixes(mixes=tuple(chosen)), places


def _term(layer: str, direction: Sequence[float]) -> Term:
    strongest = sorted(range(len(direction)), key=lambda channel: -abs(direction[channel]))[
        :_GROUP_CHANNELS
    ]
    channels = tuple(sorted(channel for channel in strongest if direction[channel]))
    return Term(
        layer=layer, channels=channels, weights=tuple(direction[channel] for channel in channels)
    )
