"""Examine the channels that a comparison shows, and publish its report."""

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.compare_keys import similar_layers_key
from diamond_cutter.storage.sets.cut_keys import features_record_key
from diamond_cutter.storage.sets.report_keys import report_key, report_page_key
from diamond_cutter.storage.sets.sprite_set import commit
from diamond_cutter.storage.sets.views import publish_view
from diamond_cutter.tasks.compare_report.building import build_contents
from diamond_cutter.tasks.compare_report.contents import CompareReportRecord
from diamond_cutter.tasks.compare_report.examining import ExaminingJob, examine
from diamond_cutter.tasks.compare_report.job import Choice, CompareJob, Examined
from diamond_cutter.tasks.compare_report.pages import COMPARE_REPORT, compare_page
from diamond_cutter.tasks.compare_report.results import Results
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.features.stored import batch_ranges, features_folder
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.reporting.stored import ReportFiles
from diamond_cutter.tasks.retrying import RETRIED


@task(
    name="examine channels",
    task_run_name="examine channels of {job.model}",
    **RETRIED,
)
def examine_channels(job: ExaminingJob, slots: DeviceSlots, timeout_s: float) -> Examined:
    """Return where channels respond and what they add to the classes, found on a device."""
    return slots.run(examine, job, timeout_s=timeout_s)


@task(name="publish comparison of models", cache_policy=NO_CACHE, persist_result=False)
def publish_compare(
    job: CompareJob,
    results: Results,
    choice: Choice,
    examined: tuple[Examined, Examined],
    lacks: Sequence[str],
) -> CompareReportRecord:
    """Write a report's files, its page and the record that commits them; return the record."""
    bucket = open_bucket(job.bucket)
    files = ReportFiles(bucket, job.folder)
    contents = build_contents(job, results, choice, examined, files)
    for key, data in asset_files(COMPARE_REPORT, job.folder).items():
        files.put(key, data)
    record = CompareReportRecord(
        contents=contents,
        records=tuple(_records(job)),
        files=tuple(files.refs.values()),
        lacks=tuple(lacks),
    )
    publish_view(bucket, report_page_key(job.folder), lambda: compare_page(contents))
    kept = commit(bucket, report_key(job.folder), record, lambda theirs: theirs == record)
    if kept != record:
        publish_view(bucket, report_page_key(job.folder), lambda: compare_page(kept.contents))
    return kept


def _records(job: CompareJob) -> list[str]:
    """Return the keys of all records that the report rests on."""
    folders = dict.fromkeys(
        features_folder(job.images.name, model.card.key, spec)
        for model in job.models
        for spec in (model.features, model.outputs)
        if spec is not None
    )
    return [
        *(
            features_record_key(folder, each.start, each.stop)
            for folder in folders
            for each in batch_ranges(len(job.numbered))
        ),
        similar_layers_key(job.folder),
    ]
