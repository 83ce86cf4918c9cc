"""The weights with which the training of new layers begins."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.graph.new_layers import standardising
from diamond_cutter.tasks.attaching.checkpoints import Arrays, State
from diamond_cutter.tasks.attaching.inputs import Inputs, of_all, unvaried
from diamond_cutter.tasks.attaching.loop import Images
from diamond_cutter.tasks.attaching.network import TrainedNetwork
from diamond_cutter.tasks.cutting.dataset import stratified_folds
from diamond_cutter.tasks.cutting.probe import (
    INNER_FOLDS,
    choose_penalty,
    location_and_scale,
    one_thread,
)
from diamond_cutter.tasks.training.heads import regression


def begin(images: Images, made: TrainedNetwork, batch: int, seed: int) -> tuple[State, float]:
    """Return the state before training, and the factor of the head's squares in the loss.

    The head is the logistic regression of the training images as they are, on standardised
    features, as in the probe of `cut`; its penalty is chosen by cross-validation. New BatchNorms
    begin with the statistics of the training images.

    Args:
        images: with their classes.
        made: the network with untrained new layers; nothing of the old network is trained.
        batch: images at a time.
        seed: of the folds.
    """
    attached = made.attached
    inputs, labels = unvaried(made.prepare, images.train, batch), images.train_labels
    if attached.convolutions:
        made.assign(_statistics(made, inputs))
    features = of_all(made.features, inputs)
    classes = made.variables[f"{attached.head}/bias"].shape[0]
    inner = stratified_folds(labels, images.train_groups, INNER_FOLDS, seed)
    with one_thread():
        penalty = choose_penalty(features, labels, inner)
    mean, deviation = location_and_scale(features)
    kernel, bias = regression((features - mean) / deviation, labels, classes, penalty)
    start = made.arrays() | {f"{attached.head}/kernel": kernel, f"{attached.head}/bias": bias}
    start |= standardising(attached, mean, deviation)
    # Two sets of opposite weights, each half as large, have half the squares of the one set.
    stress = 2.0 if classes == 2 else 1.0
    # The loss is scikit-learn's, divided by the number of images.
    return State(start, start), stress / (2 * penalty * len(labels))


def _statistics(network: TrainedNetwork, inputs: Inputs) -> Arrays:
    """Return the mean statistics of all whole batches of the training images, by name."""
    found: dict[str, list[npt.NDArray[np.float32]]] = {}
    for first in range(0, len(inputs) - inputs.batch + 1, inputs.batch):
        read = inputs.read(0, np.arange(first, first + inputs.batch))
        for name, value in network.statistics([tf.constant(each) for each in read]).items():
            found.setdefault(name, []).append(value.numpy())
    return {name: np.mean(values, 0) for name, values in found.items()}
