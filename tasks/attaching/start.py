"""The weights with which the training of new layers begins."""

import numpy as np
from threadpoolctl import threadpool_limits

from diamond_cutter.model_inventory.attached import Attached
from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.graph.new_layers import initial_weights, standardising
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.attaching.checkpoints import State
from diamond_cutter.tasks.attaching.job import AttachJob
from diamond_cutter.tasks.cutting.dataset import stratified_folds
from diamond_cutter.tasks.cutting.probe import INNER_FOLDS, choose_penalty, location_and_scale
from diamond_cutter.tasks.features.stored import feature_set, features_folder
from diamond_cutter.tasks.training.heads import HeadData, Labels, regression

# Of the head behind new convolutions, as C of a logistic regression.
_PENALTY = 1.0


def begin(job: AttachJob, bundle: Bundle, attached: Attached) -> tuple[State, float]:
    """Return the state before training, and the factor of the head's squares in the loss.

    Without new convolutions, the head is the logistic regression of the training images, as in the
    probe of `cut`: its penalty is chosen by cross-validation.
    """
    layers = [bundle.card.layer(name) for name in attached.at]
    classes = len(job.dataset.classes)
    channels = [layer.channels for layer in layers]
    weights = initial_weights(attached, channels, classes, job.spec.seed)
    part, (train, held) = job.dataset.choosing, job.parts()
    if attached.convolutions:
        return State(weights, weights), _decay(_PENALTY, len(train), 1.0)
    folder = features_folder(job.dataset_name, job.model, job.spec.cut)
    found = feature_set(open_bucket(job.bucket), folder, len(job.images))
    numbers = part.numbers.tolist()
    features = np.concatenate([found.read(layer.name, numbers) for layer in layers], 1)
    labels, groups = part.labels[train], part.groups[train]
    inner = stratified_folds(labels, groups, INNER_FOLDS, job.spec.seed)
    with threadpool_limits(1):  # the same digits on machines with any number of cores
        penalty = choose_penalty(features[train], labels, inner)
    data = HeadData(features[train], features[held], penalty)
    kernel, bias = regression(data, Labels(labels, part.labels[held], classes))
    weights |= {f"{attached.head}/kernel": kernel, f"{attached.head}/bias": bias}
    weights |= standardising(attached, *location_and_scale(features[train]))
    # Two sets of opposite weights, each half as large, have half the squares of the one set.
    return State(weights, weights), _decay(penalty, len(train), 2.0 if classes == 2 else 1.0)


def _decay(penalty: float, images: int, stress: float) -> float:
    """Return the factor of the squares: scikit-learn's loss, divided by the number of images."""
    return stress / (2 * penalty * images)
