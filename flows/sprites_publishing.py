"""Publishes one model of a run of `sprites`: its index and gallery, its record, and its summary."""

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime

from diamond_cutter.flows.events.executions import RunExecutions
from diamond_cutter.flows.events.progress import doing
from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.flows.planning import RunPlan
from diamond_cutter.flows.quantities import rounded
from diamond_cutter.flows.sprites_summary import RunSummary, photo_warnings, without_sprite
from diamond_cutter.storage import Bucket, Token
from diamond_cutter.storage.sets.claims import claim
from diamond_cutter.storage.sets.executions import End
from diamond_cutter.storage.sets.records import RunRecord, SpritemapRecord
from diamond_cutter.storage.sets.sprite_set import commit, read_record
from diamond_cutter.storage.sets.survey import survey_set
from diamond_cutter.tasks.gallery.task import publish_gallery
from diamond_cutter.tasks.gathering.index import indexed_shards
from diamond_cutter.tasks.gathering.spritemap import commit_spritemap


def publish_model(bucket: Bucket, run: ModelRun, lost: Token | None) -> bool:
    """Publish the sprites of a model, and commit them if they are complete.

    Returns:
        False if another run is at work on this, and the sprites are complete.
    """
    if run.committed is not None:
        return True
    # A run that has nothing to do also works on a bucket that it may only read.
    claimed = claim(bucket, run.key, lost) if run.plan.to_do else nullcontext(True)
    with claimed as is_ours:
        if not is_ours:
            return not run.is_complete
        if _is_published_meanwhile(bucket, run):
            return True
        _read_spritemaps(bucket, run)
        # The gallery shows what has failed, which only the record says. Nobody adopts such a run.
        has_failed = run.is_complete and bool(run.outcome.failures)
        if has_failed:
            _commit_run(bucket, run)
        with doing("publishing the index and the gallery"):
            run.publish_index()
            publish_gallery(run.request.bucket, run.plan.card, run.request.recipe.key)
        if run.is_complete and not has_failed:
            _commit_run(bucket, run)
    return True


def _is_published_meanwhile(bucket: Bucket, run: ModelRun) -> bool:
    """Tell whether another run of the request has published the model, and adopt its record.

    It may have done so since this run has looked, and ended its claim.
    """
    if not (run.may_adopt_run and run.plan.to_do) or run.key in run.plan.gathered:
        return False
    record = read_record(bucket, run.key, RunRecord)
    if record is not None and record.is_complete:
        run.committed = record
    return run.committed is not None


def _read_spritemaps(bucket: Bucket, run: ModelRun) -> None:
    """Read the records of the spritemaps that other runs have gathered."""
    for name in run.gathered_elsewhere:
        layer, request = run.layers[name], run.request
        record = read_record(bucket, run.spritemap_key(layer), SpritemapRecord)
        if record is None or not record.file.key.endswith(f".{request.spritemap_format}"):
            record = commit_spritemap(
                bucket,
                run.plan.card.key,
                request.recipe.key,
                name,
                layer.channels,
                request.spritemap_format,
                run.highest(name),
                layer.out_of,
            )
        if record is not None:
            run.outcome.spritemaps[name] = record
    run.gathered_elsewhere.clear()


def finished(bucket: Bucket, run: ModelRun, executions: RunExecutions) -> RunSummary:
    """Keep the record of the execution of a model, and return the summary."""
    if run.committed is None:
        _read_spritemaps(bucket, run)
    ended: End = "complete" if run.is_complete else "stopped"
    executions.keep(run, "failed" if run.outcome.failures else ended)
    summary = _summary(bucket, run)
    run.artifacts.publish_summary(summary)
    return summary


def _commit_run(bucket: Bucket, run: ModelRun) -> None:
    """Write the run's record, unless the one that is there says the same."""
    plan, outcome = run.plan, run.outcome
    model, recipe = plan.card.key, run.request.recipe.key
    record = RunRecord(
        model=model,
        recipe=recipe,
        selection={layer.layer: layer.channels for layer in plan.layers},
        shards=tuple(sorted(_shards_of(bucket, plan, recipe))),
        spritemaps=tuple(
            run.spritemap_key(layer) for layer in plan.layers if layer.layer in outcome.spritemaps
        ),
        sprites=plan.done + outcome.found + outcome.rendered,
        flagged=outcome.flagged,
        rungs=outcome.rungs,
        failures=outcome.sentences,
        failed={layer: tuple(sorted(of)) for layer, of in sorted(outcome.failed_channels.items())},
        pictures=_pictures(run),
        unrendered=without_sprite(_spritemaps_of(run), {})[1],
        finished=datetime.now(UTC).replace(microsecond=0),
    )
    commit(bucket, run.key, record, lambda theirs: _says_the_same(theirs, record))


def _says_the_same(theirs: RunRecord, ours: RunRecord) -> bool:
    """Tell whether a record differs only in its time, or lacks fields of this version."""
    newer = {} if theirs.pictures else {"pictures": ours.pictures, "unrendered": ours.unrendered}
    return theirs.model_copy(update={"finished": ours.finished, **newer}) == ours


def _pictures(run: ModelRun) -> dict[str, str]:
    """Return the keys of the spritemaps by layer, in forward order."""
    if run.committed is not None:
        return run.committed.pictures
    return {layer: record.file.key for layer, record in _spritemaps_of(run).items()}


def _spritemaps_of(run: ModelRun) -> dict[str, SpritemapRecord]:
    """Return the gathered spritemaps by layer, in forward order: they are gathered in any order."""
    found = run.outcome.spritemaps
    return {layer.layer: found[layer.layer] for layer in run.plan.layers if layer.layer in found}


def _shards_of(bucket: Bucket, plan: RunPlan, recipe: str) -> Iterator[str]:
    survey = survey_set(
        bucket, plan.card.key, recipe, indexed_shards(bucket, plan.card.key, recipe)
    )
    for layer in plan.layers:
        owners, wanted = survey.of(layer.layer).owners(), set(layer.channels)
        yield from {record for channel, record in owners.items() if channel in wanted}


def _summary(bucket: Bucket, run: ModelRun) -> RunSummary:
    plan, outcome, theirs = run.plan, run.outcome, run.committed
    dead, unrendered = without_sprite(outcome.spritemaps, run.photos)
    return RunSummary(
        model=plan.card.key,
        recipe=run.request.recipe.key,
        bucket=bucket.url,
        run=run.key,
        spritemaps=_pictures(run),
        rendered=outcome.rendered,
        reused=plan.done + outcome.found,
        failed=outcome.failed,
        left=run.left,
        retried=plan.to_do if run.request.retry_failed else None,
        flagged=theirs.flagged if theirs else outcome.flagged,
        rungs=theirs.rungs if theirs else outcome.rungs,
        dead=dead,
        unrendered=theirs.unrendered if theirs else unrendered,
        photos=next((record.images for record in run.photos.values()), None),
        sprites_per_second=rounded(outcome.rendered / outcome.render_seconds)
        if outcome.rendered
        else None,
        warnings=photo_warnings(run.request.photos, run.photos),
        failures=outcome.sentences,
    )
