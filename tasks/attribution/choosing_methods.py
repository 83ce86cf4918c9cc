"""Try both methods on a few images in a device's process, and commit the method of each layer."""

from collections.abc import Sequence

import numpy as np

from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.report_keys import methods_key
from diamond_cutter.storage.sets.sprite_set import commit, read_record
from diamond_cutter.tasks.attribution.batches import batches
from diamond_cutter.tasks.attribution.job import ImagesJob
from diamond_cutter.tasks.attribution.method_choice import Candidate, MethodsRecord, work
from diamond_cutter.tasks.attribution.spec import LayerMethod
from diamond_cutter.tasks.importing.stored import read_bundle

_DIGITS = 4


def stored_methods(bucket: Bucket, folder: str) -> MethodsRecord | None:
    """Return the record of a report's methods, or None if it is missing or damaged."""
    return read_record(bucket, methods_key(folder), MethodsRecord)


def choose_and_commit(job: ImagesJob, images: int) -> None:
    """Choose the method of each layer in this process, and store the record that commits it.

    Args:
        job: with the images of the sample.
        images: number of images of the dataset.
    """
    from diamond_cutter.tasks.attribution.multiply_adds import tail_multiply_adds
    from diamond_cutter.tasks.attribution.network import network_of

    bundle = read_bundle(job.bucket, job.model)
    readable, errors = _errors(job, job.spec.layers, "gradient")
    costs = tail_multiply_adds(network_of(bundle, job.spec.layers))
    candidates = [
        Candidate(layer, error, work(job.spec, images, cost))
        for layer, error, cost in zip(job.spec.layers, errors, costs, strict=True)
    ]
    tried = [found.layer for found in candidates if found.is_worth_a_trial]
    _, integrated = _errors(job, tried, "integrated") if tried else (0, [])
    by_layer = dict(zip(tried, integrated, strict=True))
    record = MethodsRecord(
        images=readable,
        layers=tuple(found.chosen(by_layer.get(found.layer)) for found in candidates),
    )
    commit(open_bucket(job.bucket), methods_key(job.folder), record, lambda theirs: True)


def _errors(
    job: ImagesJob, layers: Sequence[str], method: LayerMethod
) -> tuple[int, list[float | None]]:
    """Return the number of readable images, and each layer's median completeness error."""
    from diamond_cutter.tasks.attribution.checks import completeness_function
    from diamond_cutter.tasks.attribution.network import network_of

    bundle = read_bundle(job.bucket, job.model)
    spec = job.spec.model_copy(update={"layers": tuple(layers), "method": method})
    function = completeness_function(network_of(bundle, layers), spec)
    found = [
        np.stack([values.numpy() for values in function(batch.pixels)])
        for batch in batches(job.images, bundle.card.image.shape, {})
    ]
    if not found:
        return 0, [None] * len(layers)
    together = np.concatenate(found, axis=1)
    medians = np.median(together, axis=1)
    return together.shape[1], [float(f"{value:.{_DIGITS}g}") for value in medians]
