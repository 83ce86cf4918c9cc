"""Publish the report on where to cut."""

import importlib.metadata
import shlex
from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.cut_keys import (
    costs_key,
    features_record_key,
    scores_key,
    together_key,
    trained_key,
)
from diamond_cutter.storage.sets.report_keys import report_key, report_page_key
from diamond_cutter.storage.sets.sprite_set import commit
from diamond_cutter.storage.sets.views import publish_view
from diamond_cutter.tasks.cut_report.building import (
    cut_rows,
    data_facts,
    figures,
    model_cards,
    regrets,
    rows_table,
    trained_cuts,
)
from diamond_cutter.tasks.cut_report.class_cards import ClassChannels, class_cards
from diamond_cutter.tasks.cut_report.contents import (
    CutContents,
    CutName,
    CutReportRecord,
)
from diamond_cutter.tasks.cut_report.image_results import (
    differing_images,
    images_table,
    most_confused,
    shown_confusion,
    shown_images,
)
from diamond_cutter.tasks.cut_report.job import ComparisonJob
from diamond_cutter.tasks.cut_report.pages import CUT_REPORT, cut_page
from diamond_cutter.tasks.cut_report.separating import separate
from diamond_cutter.tasks.cut_report.wording import (
    answer,
    lead_over_last,
    next_command,
    remarks,
)
from diamond_cutter.tasks.cutting.dataset import NO_LABEL
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.features.stored import (
    batch_ranges,
    features_folder,
    scores_folder,
)
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.photos.bands import preview_in_words
from diamond_cutter.tasks.reporting.contents import RefusedImage
from diamond_cutter.tasks.reporting.stored import ReportFiles
from diamond_cutter.tasks.retrying import RETRIED


@task(name="find separating channels", **RETRIED)
def find_separating_channels(
    job: ComparisonJob, slots: DeviceSlots, timeout_s: float
) -> ClassChannels:
    """Return the channels that tell the classes apart at the best cut, found on a device."""
    return slots.run(separate, job, timeout_s=timeout_s)


@task(name="publish comparison", cache_policy=NO_CACHE, persist_result=False)
def publish_comparison(
    job: ComparisonJob, channels: ClassChannels, lacks: Sequence[str]
) -> CutReportRecord:
    """Write a report's files, its page and the record that commits them; return the record."""
    bucket = open_bucket(job.bucket)
    files = ReportFiles(bucket, job.folder)
    contents = _contents(job, channels, files)
    for key, data in asset_files(CUT_REPORT, job.folder).items():
        files.put(key, data)
    record = CutReportRecord(
        contents=contents,
        records=tuple(_records(job)),
        files=tuple(files.refs.values()),
        lacks=tuple(lacks),
    )
    publish_view(bucket, report_page_key(job.folder), lambda: cut_page(contents))
    kept = commit(bucket, report_key(job.folder), record, lambda theirs: theirs == record)
    if kept != record:
        publish_view(bucket, report_page_key(job.folder), lambda: cut_page(kept.contents))
    return kept


def _contents(job: ComparisonJob, channels: ClassChannels, files: ReportFiles) -> CutContents:
    comparison, dataset, spec = job.comparison, job.dataset, job.models[0].spec
    best, last = comparison.best, comparison.last
    rows = cut_rows(comparison)
    models = model_cards(comparison, job.models, job.joins, len(dataset.choosing), spec.folds)
    name = CutName(model=best.model, layer=best.layer)
    shape = job.best_card.image.shape
    only_best = differing_images(dataset, best, last)
    only_last = differing_images(dataset, last, best)
    return CutContents(
        dataset=job.images.name,
        report=job.spec.key,
        sprites=job.recipe,
        answer=answer(comparison, spec.folds),
        remarks=(
            *remarks(comparison, dataset, job.joins, job.trained, job.models, spec.folds),
            *([pictures] if (pictures := preview_in_words(shape[2])) else []),
        ),
        command=next_command(
            best.model, job.layers_to_attach, job.images.name, job.place, job.bucket
        ),
        repeat=_repeat(job),
        best=name,
        last=CutName(model=last.model, layer=last.layer),
        lead=lead_over_last(comparison, spec.folds),
        models=models,
        rows=rows,
        trained=trained_cuts(comparison, job.models, job.trained),
        regret=regrets(comparison, job.models, job.trained, dataset, spec.seed),
        facts=data_facts(dataset, spec, job.images.labels),
        classes=class_cards(job, channels, files),
        confusion_best=shown_confusion(dataset, best.scores.probe.predictions),
        confusion_last=shown_confusion(dataset, last.scores.probe.predictions),
        confused=most_confused(dataset, best, last),
        only_best=shown_images(dataset, only_best, last, job.labelled, shape[2], files),
        only_best_count=len(only_best),
        only_last=shown_images(dataset, only_last, best, job.labelled, shape[2], files),
        only_last_count=len(only_last),
        refused=_refused(job),
        problems=job.problems,
        figures=figures(models, rows, name, files),
        table=rows_table(rows, files),
        images_table=images_table(dataset, job.labelled, best, last, spec, files),
        version=importlib.metadata.version("diamond-cutter"),
    )


def _repeat(job: ComparisonJob) -> str:
    spec = job.models[0].spec
    words = ["diamond-cutter", "cut", job.place, "--models", *(model.name for model in job.models)]
    words += ["--layers", *job.layers]
    words += ["--pooling", spec.pooling, "--folds", str(spec.folds), "--seed", str(spec.seed)]
    words += ["--train", str(job.spec.train), "--channels", str(job.spec.channels)]
    words += ["--recipe", job.recipe_name] if job.recipe_name else []
    return shlex.join([*words, "--bucket", job.bucket])


def _refused(job: ComparisonJob) -> tuple[RefusedImage, ...]:
    listed = {bad.name: bad.reason for bad in job.images.refused} | dict(job.refused)
    listed |= {image.name: NO_LABEL for image in job.images.images if not image.label}
    return tuple(RefusedImage(name=name, reason=reason) for name, reason in sorted(listed.items()))


def _records(job: ComparisonJob) -> list[str]:
    """Return the keys of all records that the report rests on."""
    keys = []
    for model in job.models:
        card, spec = model.card, model.spec
        features = features_folder(job.images.name, card.key, spec)
        folder = scores_folder(job.images.name, card.key, spec)
        keys += [
            features_record_key(features, each.start, each.stop)
            for each in batch_ranges(len(job.labelled))
        ]
        keys += [costs_key(features), *(scores_key(folder, layer) for layer in spec.layers)]
        if card.key in job.joins:
            keys.append(together_key(folder))
        if card.key in job.trained:
            layers = [head.layer for head in job.trained[card.key].heads]
            keys.append(trained_key(folder, layers))
    return keys
