"""Compute the details of some images of a dataset, and publish the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.report_keys import (
    details_key,
    report_folder,
    report_key,
    report_page_key,
)
from diamond_cutter.storage.sets.sprite_set import commit
from diamond_cutter.storage.sets.views import publish_view
from diamond_cutter.tasks.attribution.job import ImagesJob
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.photos.image_set import ImageSet
from diamond_cutter.tasks.reporting.building import build_report
from diamond_cutter.tasks.reporting.contents import (
    DetailsRecord,
    PreprocessingNote,
    ReportRecord,
)
from diamond_cutter.tasks.reporting.dataset_sums import DatasetSums
from diamond_cutter.tasks.reporting.details import detail_and_commit, is_of
from diamond_cutter.tasks.reporting.layer_sprites import LayerSprites
from diamond_cutter.tasks.reporting.layers import Material
from diamond_cutter.tasks.reporting.pages import REPORT, report_page
from diamond_cutter.tasks.reporting.pictures import sprite_places
from diamond_cutter.tasks.reporting.stored import ReportFiles, is_current, stored_details
from diamond_cutter.tasks.retrying import RETRIED


@task(name="detail images", **RETRIED)
def detail_images(
    job: ImagesJob, slots: DeviceSlots, timeout_s: float, on_progress: Any
) -> DetailsRecord:
    """Compute details on the next free device, unless already stored, and return their record."""
    bucket = open_bucket(job.bucket)
    stored = stored_details(bucket, job.folder)
    if stored is None or not is_of(stored, job):
        slots.run(detail_and_commit, job, timeout_s=timeout_s, on_progress=on_progress)
        stored = stored_details(bucket, job.folder)
    if stored is None:
        raise RuntimeError(
            f"{details_key(job.folder)} disappeared after it was written. Run the same command "
            "again."
        )
    return stored


@dataclass(frozen=True)
class ReportJob:
    """The sources of a report.

    images: all images of the dataset.
    records: keys of the records of the measurements.
    refused: the reason for each image that was unreadable when measured, by name.
    mixes: by layer, the name and the numbers of the mixes that hold the sprites of its groups.
    lacks: a sentence for each part that could not be rendered.
    preprocessing: what the labels say of the model's preprocessing.
    command: makes the report again.
    """

    bucket: str
    card: ModelCard
    images: ImageSet
    spec: AttributionSpec
    records: tuple[str, ...]
    refused: Mapping[str, str]
    mixes: Mapping[str, tuple[str, tuple[int, ...]]]
    lacks: tuple[str, ...] = ()
    preprocessing: PreprocessingNote | None = None
    command: str = ""

    @property
    def folder(self) -> str:
        """Return the report's folder."""
        return report_folder(self.images.name, self.card.key, self.spec.key)


@task(name="publish report", cache_policy=NO_CACHE, persist_result=False)
def publish_report(job: ReportJob, sums: DatasetSums, details: DetailsRecord) -> ReportRecord:
    """Write a report's files, its page and the record that commits them; return the record."""
    bucket = open_bucket(job.bucket)
    files = ReportFiles(bucket, job.folder)
    names = {line.image: line.name for line in sums.images}
    material = Material(bucket, job.card, job.spec, sums, details, names)
    contents = build_report(
        material, job.images, job.refused, lambda layer: _sprites(bucket, job, layer), files
    ).model_copy(update={"preprocessing": job.preprocessing, "command": job.command})
    for key, data in asset_files(REPORT, job.folder).items():
        files.put(key, data)
    records, refs = (*job.records, details_key(job.folder)), tuple(files.refs.values())
    record = ReportRecord(contents=contents, records=records, files=refs, lacks=job.lacks)
    publish_view(bucket, report_page_key(job.folder), lambda: report_page(contents))
    # The record of another writer is equal, unless it is damaged, comes from another version, or
    # has sprites that failed here.
    kept = commit(
        bucket,
        report_key(job.folder),
        record,
        lambda theirs: theirs == record or _lacks_less(bucket, theirs, record, job.folder),
    )
    if kept != record:
        publish_view(bucket, report_page_key(job.folder), lambda: report_page(kept.contents))
    return kept


def _lacks_less(bucket: Bucket, theirs: ReportRecord, ours: ReportRecord, folder: str) -> bool:
    return bool(ours.lacks) and is_current(bucket, folder, theirs)


def _sprites(bucket: Bucket, job: ReportJob, layer: str) -> LayerSprites:
    name, numbers = job.mixes.get(layer, ("", ()))
    mixed = sprite_places(bucket, job.card.key, job.spec.sprites, name) if name else {}
    groups = {group: mixed[number] for group, number in enumerate(numbers) if number in mixed}
    return LayerSprites(sprite_places(bucket, job.card.key, job.spec.sprites, layer), groups)
