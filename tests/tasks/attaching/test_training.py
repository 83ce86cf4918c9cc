"""New layers learn, go on from the last epoch bit for bit, and say what went wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, activation_function, parse_graph
from diamond_cutter.model_inventory.graph.graph_def import tensor_hashes
from diamond_cutter.storage import LocalBucket, open_bucket
from diamond_cutter.tasks.attaching import checkpoints, loop, training
from diamond_cutter.tasks.attaching.bundling import attached_bundle
from diamond_cutter.tasks.attaching.checkpoints import (
    AttachedRecord,
    EpochRecord,
    read_weights,
    stored_result,
    unseen_images,
)
from diamond_cutter.tasks.attaching.job import AttachJob
from diamond_cutter.tasks.attaching.spec import AttachSpec
from diamond_cutter.tasks.cutting.dataset import make_dataset
from diamond_cutter.tasks.importing.stored import keep_bundle, read_bundle
from diamond_cutter.tasks.photos.finding import find_images
from diamond_cutter.tasks.photos.reading import as_model_pixels, decode
from tests.flows.labelled_digits import write_digits

pytestmark = pytest.mark.slow

QUICK = AttachSpec(at=("first",), convolutions=(6,), unfreeze="first", epochs=2, batch=8)


class Killed(BaseException):
    """Ends a training where a kill would."""


@pytest.fixture(scope="module")
def job(toy: Bundle, tmp_path_factory: pytest.TempPathFactory) -> AttachJob:
    """Return a training of the toy network on three digits."""
    place = tmp_path_factory.mktemp("attach")
    found = find_images(str(write_digits(place / "images", (1, 4, 7), 16)))
    card = keep_bundle(str(place / "bucket"), toy)
    digests = {number: image.name for number, image in enumerate(found.images)}
    dataset = make_dataset(found.images, digests, QUICK.cut)
    return AttachJob(str(place / "bucket"), card.key, found.name, dataset, found.images, QUICK)


def trained(job: AttachJob) -> AttachedRecord:
    record = stored_result(open_bucket(job.bucket), job.folder)
    assert record is not None
    return record


def weights_of(job: AttachJob) -> dict[str, bytes]:
    weights = read_weights(open_bucket(job.bucket), trained(job))
    return {name: value.tobytes() for name, value in weights.items()}


def in_bucket(job: AttachJob, place: Path | str, **changes: object) -> AttachJob:
    """Return the job for another bucket with the same network."""
    keep_bundle(str(place), read_bundle(job.bucket, job.model))
    spec = AttachSpec.model_validate({**job.spec.model_dump(), **changes})
    return replace(job, bucket=str(place), spec=spec)


def test_a_head_learns_and_the_bundle_is_what_was_trained(job: AttachJob, toy: Bundle) -> None:
    learning = replace(job, spec=AttachSpec(at=("third", "second"), epochs=6, batch=8))
    training.train_and_commit(learning)
    record = trained(learning)
    assert record.test_accuracy >= 0.5 and record.test_low < record.test_accuracy
    assert sum(record.images) == 48 and record.classes == ("digit 1", "digit 4", "digit 7")
    first, best = record.history[0], record.history[record.best]
    assert (first.epoch, first.loss) == (0, None)
    assert best.validation_accuracy >= first.validation_accuracy
    bundle = attached_bundle(
        open_bucket(job.bucket), learning.folder, record, toy, "mine", learning.spec
    )
    keep_bundle(job.bucket, bundle)
    bucket, names = open_bucket(job.bucket), frozenset(record.test_images)
    assert unseen_images(bucket, bundle.card, job.dataset_name) == names
    assert names == {job.images[number].name for number in job.dataset.test.numbers}
    assert unseen_images(bucket, bundle.card, "others@0") is None
    assert unseen_images(bucket, toy.card, job.dataset_name) is None
    assert bundle.card.class_names == record.classes and bundle.card.attached is not None
    assert [layer.name for layer in bundle.card.layers] == ["first", "second", "third", "logits"]
    for layer in ("first", "second", "third"):
        assert bundle.card.layer(layer).sha256 == toy.card.layer(layer).sha256
    test = job.dataset.test
    pixels = [as_model_pixels(decode(job.images[n], 64), (32, 32, 3)) for n in test.numbers]
    logits = activation_function(bundle, "logits")(
        tf.constant(np.stack(pixels).astype(np.float32) / 255)
    )
    assert float((np.argmax(logits, 1) == test.labels).mean()) == record.test_accuracy


def test_unfrozen_layers_change_and_those_before_keep_their_hashes(
    job: AttachJob, toy: Bundle
) -> None:
    unfrozen = replace(
        job, spec=AttachSpec(at=("third",), unfreeze="third", epochs=3, batch=8, rate=0.3)
    )
    training.train_and_commit(unfrozen)
    record = trained(unfrozen)
    phases = {each.phase for each in record.history}
    assert phases == {0, 1}
    hashes = tensor_hashes(parse_graph(toy))
    bundle = attached_bundle(
        open_bucket(job.bucket), unfrozen.folder, record, toy, "mine", unfrozen.spec
    )
    changed = tensor_hashes(parse_graph(bundle))
    assert changed["first"] == hashes["first"]
    best = record.history[record.best]
    assert (changed["third"] != hashes["third"]) == (best.phase == 1 and best.epoch > 0)
    # Those of the second phase are kept if they are about as good.
    first = max(each.validation_accuracy for each in record.history if each.phase == 0)
    second = max(
        each.validation_accuracy for each in record.history if each.phase == 1 and each.epoch
    )
    deviation = (first * (1 - first) / record.images[1]) ** 0.5
    assert (best.phase == 1 and best.epoch > 0) == (second >= first - deviation)


@pytest.mark.parametrize("after", [2, 4])
def test_a_killed_training_ends_with_the_same_weights(
    job: AttachJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    training.train_and_commit(job)
    other = in_bucket(job, tmp_path / "bucket")
    kept, keep = [0], checkpoints.keep_epoch

    def keep_and_die(*arguments: object, **options: object) -> None:
        keep(*arguments, **options)  # type: ignore[arg-type]
        kept[0] += 1
        if kept[0] == after:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training, "keep_epoch", keep_and_die)
        training.train_and_commit(other)
    bucket = LocalBucket(tmp_path / "bucket")
    assert stored_result(bucket, other.folder) is None
    # A torn file, as after a crash of the machine, costs one epoch more.
    (*_, newest) = sorted((tmp_path / "bucket").glob("reports/*/*/*/epochs/*.json"))
    record = EpochRecord.from_bytes(newest.read_bytes(), str(newest))
    if after == 4:
        (tmp_path / "bucket" / record.file.key).write_bytes(b"torn")
    training.train_and_commit(other)
    assert weights_of(other) == weights_of(job)
    assert trained(other).history == trained(job).history
    assert not list((tmp_path / "bucket").glob("reports/*/*/*/epochs/*"))


def test_another_seed_gives_other_weights(job: AttachJob, tmp_path: Path) -> None:
    """The same seed gives the same ones; see the killed trainings above."""
    first, other = (
        in_bucket(job, tmp_path / str(seed), seed=seed, unfreeze=None, epochs=1) for seed in (0, 1)
    )
    for each in (first, other):
        training.train_and_commit(each)
    assert weights_of(first) != weights_of(other)


def test_a_loss_that_is_not_finite_is_said_and_the_best_epoch_is_kept(
    job: AttachJob, tmp_path: Path
) -> None:
    wild = in_bucket(job, tmp_path, rate=1e30, epochs=4)
    training.train_and_commit(wild)
    record = trained(wild)
    assert record.problems and "was not finite" in record.problems[0]
    assert "Choose a smaller --rate" in record.problems[0]
    weights = read_weights(open_bucket(wild.bucket), record)
    assert all(np.isfinite(value).all() for value in weights.values())


def test_too_little_memory_halves_the_steps_once_and_says_so(
    job: AttachJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = in_bucket(job, tmp_path, epochs=1)
    train = loop.train

    def only_small(training: loop.Training, state: checkpoints.State) -> checkpoints.State:
        if training.batch > 4:
            raise tf.errors.ResourceExhaustedError(None, None, "no memory")
        return train(training, state)

    monkeypatch.setattr(loop, "train", only_small)
    training.train_and_commit(small)
    record = trained(small)
    assert record.batch == 4
    assert record.problems == ("the memory was too small for 8 images in a step: 4 were taken",)


@pytest.mark.usefixtures("gcs_place")
def test_a_training_in_the_cloud_is_the_same(job: AttachJob) -> None:
    training.train_and_commit(job)
    cloud = in_bucket(job, "gs://place")
    training.train_and_commit(cloud)
    assert weights_of(cloud) == weights_of(job)
    names = [info.key for info in open_bucket("gs://place").list("reports/")]
    assert len(names) == 3 and not any("/epochs/" in name for name in names)


def test_without_an_epoch_the_new_layers_stay_as_they_were_drawn(
    job: AttachJob, tmp_path: Path
) -> None:
    untrained = in_bucket(job, tmp_path, epochs=0, unfreeze=None)
    training.train_and_commit(untrained)
    assert len(trained(untrained).history) == 1
