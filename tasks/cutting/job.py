"""Score the layers of a model in a process without a device, and commit the scores."""

import time
from dataclasses import dataclass

import numpy as np

from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.cut_keys import scores_key, together_key
from diamond_cutter.storage.sets.sprite_set import commit
from diamond_cutter.tasks.cutting.dataset import Dataset
from diamond_cutter.tasks.cutting.scores import ScoresRecord
from diamond_cutter.tasks.cutting.together import JoinRecord
from diamond_cutter.tasks.devices import report_progress
from diamond_cutter.tasks.features.spec import CutSpec
from diamond_cutter.tasks.features.stored import feature_set, features_folder, scores_folder


@dataclass(frozen=True)
class ScoringJob:
    """A model whose layers are scored on a dataset.

    images: number of images in the dataset, with the unreadable ones.
    """

    bucket: str
    model: str
    name: str
    dataset: Dataset
    images: int
    spec: CutSpec

    @property
    def features(self) -> str:
        """Return the folder of the features."""
        return features_folder(self.name, self.model, self.spec)

    @property
    def folder(self) -> str:
        """Return the folder of the scores."""
        return scores_folder(self.name, self.model, self.spec)


def score_and_commit(job: ScoringJob, layer: LayerCard) -> None:
    """Score a layer in this process, and commit the record."""
    from diamond_cutter.tasks.cutting.probe import divisions, one_thread
    from diamond_cutter.tasks.cutting.scores import score_layer as scores_of

    clock, bucket = time.perf_counter(), open_bucket(job.bucket)
    part = job.dataset.choosing
    found = feature_set(bucket, job.features, job.images)
    report_progress("scoring")
    features = found.read(layer.name, part.numbers.tolist())
    bad = int((~np.isfinite(features)).any(1).sum())
    # A head on this layer would guess at the test images without features.
    tested = found.read(layer.name, job.dataset.test.numbers.tolist())
    bad += int((~np.isfinite(tested)).any(1).sum())
    del tested
    problem = (
        f"its features of {bad} images are not finite numbers, so it has no scores" if bad else None
    )
    scores = None
    if problem is None:
        with one_thread():
            folds = divisions(part, job.spec.folds, job.spec.seed)
            scores = scores_of(features, part, folds, layer, job.spec.seed)
    record = ScoresRecord(
        model=job.model,
        layer=layer.name,
        division=job.dataset.division,
        images=len(part),
        folds=job.spec.folds,
        scores=scores,
        problem=problem,
        seconds=round(time.perf_counter() - clock, 3),
    )
    report_progress(1)
    key = scores_key(job.folder, layer.name)
    commit(bucket, key, record, lambda theirs: theirs.division == record.division)


def join_and_commit(job: ScoringJob) -> None:
    """Join layers in this process, and commit the record."""
    from diamond_cutter.tasks.cutting.probe import divisions, one_thread
    from diamond_cutter.tasks.cutting.together import join_layers as join

    clock, bucket = time.perf_counter(), open_bucket(job.bucket)
    part, found = job.dataset.choosing, feature_set(bucket, job.features, job.images)
    accuracies = {}
    for layer in job.spec.layers:
        key = scores_key(job.folder, layer)
        scores = ScoresRecord.from_bytes(bucket.get(key), key).scores
        if scores is not None:
            accuracies[layer] = scores.probe.folds
    with one_thread():
        best, tried = join(
            accuracies,
            lambda layer: found.read(layer, part.numbers.tolist()),
            part,
            divisions(part, job.spec.folds, job.spec.seed),
            report_progress,
        )
    record = JoinRecord(
        model=job.model,
        division=job.dataset.division,
        best=best,
        tried=tried,
        seconds=round(time.perf_counter() - clock, 3),
    )
    key = together_key(job.folder)
    commit(bucket, key, record, lambda theirs: theirs.division == record.division)
