"""The flow that attaches new layers: features, training, bundle.

Each step is planned from the records in the bucket. After any kind of end, the same request
therefore goes on from the last epoch.
"""

from typing import Any

from prefect import flow

from diamond_cutter.flows.artifacts import AttachArtifacts
from diamond_cutter.flows.attach_request import AttachRequest, attach_spec
from diamond_cutter.flows.attach_summary import AttachSummary, summary_of_training
from diamond_cutter.flows.deployments.triggers import in_deployed_bucket
from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.events.observers import observed
from diamond_cutter.flows.events.progress import Progress, doing
from diamond_cutter.flows.expected_seconds import expect_training
from diamond_cutter.flows.feature_steps import features_of_images
from diamond_cutter.flows.request_fields import LOCAL
from diamond_cutter.flows.run_scope import resolve_images, workplace
from diamond_cutter.flows.server.crashed_runs import name_process
from diamond_cutter.flows.server.loss import outlive_the_server
from diamond_cutter.flows.sprites import ensure_card
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.user_models import check_name
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.tasks.attaching.checkpoints import stored_result
from diamond_cutter.tasks.attaching.job import AttachJob, images_in_step, training_folder
from diamond_cutter.tasks.attaching.spec import VALIDATION_PARTS
from diamond_cutter.tasks.attaching.task import make_bundle, train_layers
from diamond_cutter.tasks.cutting.dataset import (
    Dataset,
    check_class_sizes,
    labelled_images,
    make_dataset,
)
from diamond_cutter.tasks.devices import DeviceSlots, devices_of
from diamond_cutter.tasks.importing.stored import bundles_named, graph_is_whole


@flow(name="attach", persist_result=False)
def attach(request: AttachRequest) -> AttachSummary:
    """Cut a network, train new layers on it, and add the result to the inventory.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
    """
    outlive_the_server()
    name_process()
    request = in_deployed_bucket(request)
    bucket = open_bucket(request.bucket)
    with (
        observed("attach"),
        workplace(LOCAL, devices_of(request.devices), request.grace_s) as slots,
    ):
        with doing(f"looking for {request.model} in the bucket"):
            card = ensure_card(request.bucket, request.model, slots)
        spec, images = attach_spec(card, request), resolve_images(request.images)
        folder = training_folder(images.name, card.key, spec)
        taken = check_new_name(bucket, request.name, folder)
        labelled, _ = labelled_images(images, request.images)
        check_class_sizes(labelled, VALIDATION_PARTS)
        bucket.check()
        expect_training(len(labelled), len(labelled) * spec.epochs * len(spec.phases))
        (found,) = features_of_images(
            request.bucket, images.name, labelled, [(card, spec.cut)], slots, request.timeout_s
        )
        check_class_sizes(labelled, VALIDATION_PARTS, found.refused)
        dataset = make_dataset(labelled, found.digests, spec.cut)
        record = stored_result(bucket, folder)
        reused = record is not None and record.division == dataset.division
        if record is None or not reused:
            job = AttachJob(request.bucket, card.key, images.name, dataset, tuple(labelled), spec)
            record, taken = _train(job, slots, request.timeout_s), None
        with doing(f"storing {request.name}"):
            made = taken or make_bundle(
                request.bucket, folder, request.name, spec, slots, request.timeout_s
            )
        summary = summary_of_training(
            bucket, made, record, found.refused, _remarks(card, dataset), reused=reused
        )
        AttachArtifacts(made.key).publish(summary)
        return summary


def check_new_name(bucket: Bucket, name: str, folder: str) -> ModelCard | None:
    """Check that a trained model can have a name; return its card if it is stored already.

    Args:
        bucket: of the models.
        name: wanted.
        folder: of the training.

    Raises:
        BadModel: the name is not valid, or is that of a known model.
        RequestError: another model has it.
    """
    check_name(name)
    for key, card in bundles_named(bucket, name).items():
        if card is None or card.attached is None or card.attached.training != folder:
            raise RequestError(
                f"the name {name!r} is taken by {key}: expected a new name, or that of this very "
                "training. Choose another --name, or remove that model with `diamond-cutter "
                f"models remove {key}`."
            )
        if graph_is_whole(bucket, card):
            return card
    return None


def _train(job: AttachJob, slots: DeviceSlots, timeout_s: float) -> Any:
    train, _ = job.parts()
    batch = images_in_step(len(train), job.spec.batch)
    total = len(job.spec.phases) * job.spec.epochs * (len(train) // batch) * batch
    if not total:
        with doing("preparing the new layers"):
            return train_layers(job, slots, timeout_s, None)
    with Progress("images trained on, at most", total) as progress:
        return train_layers(job, slots, timeout_s, progress.described())


def _remarks(card: ModelCard, dataset: Dataset) -> tuple[str, ...]:
    if not set(dataset.classes) <= set(card.class_names):
        return ()
    return (
        f"{card.name} knows all of these classes already: `diamond-cutter attribute` explains it "
        "without new layers",
    )
