"""Train linear heads on the features of several cuts of one network at once.

A head begins as the logistic regression of the training images as they are, and goes on with
augmented images. These pass the network once an epoch, however many cuts have a head.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.tasks.cutting.probe import (
    fit,
    location_and_scale,
    one_thread,
    standardised,
)
from diamond_cutter.tasks.features.extraction import BATCH
from diamond_cutter.tasks.photos.reading import Pixels
from diamond_cutter.tasks.training.augmentation import Augment

MOST_EPOCHS = 20
# Epochs without a lower loss on the validation images, after which a head is finished.
_PATIENCE = 4
_RATE = 1e-3
_BATCH = 32

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class HeadData:
    """What a head at one cut is trained with.

    train, validation: features of images as they are, float32 `[image, feature]`.
    penalty: inverse strength of the L2 penalty, C of scikit-learn's logistic regression.
    """

    train: Values
    validation: Values
    penalty: float


@dataclass(frozen=True)
class Labels:
    """The classes of the training and the validation images, int64 `[image]`."""

    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    classes: int


@dataclass
class Head:
    """A linear head: logits are `(features - mean) / deviation @ weights + bias`.

    weights: float32 `[feature, class]`.
    epochs: how many epochs it was trained for, up to the lowest loss on the validation images; 0
        is the logistic regression.
    """

    mean: Values
    deviation: Values
    weights: Values
    bias: Values
    loss: float = np.inf
    epochs: int = 0

    def logits(self, features: Values) -> Values:
        """Return the logits of images, float32 `[image, class]`."""
        scaled = (features - self.mean) / self.deviation
        return np.asarray(scaled @ self.weights + self.bias, np.float32)


@dataclass
class _Training:
    """A head while it is trained, with Adam's state; `stress` multiplies the penalty."""

    head: Head
    data: HeadData
    weights: tf.Variable
    bias: tf.Variable
    optimizer: object
    stress: float
    waited: int = 0
    finished: bool = field(default=False)


def train_heads(
    features: Callable[[tf.Tensor], list[tf.Tensor]],
    pixels: Callable[[npt.NDArray[np.int64]], Pixels],
    augment: Augment,
    data: Mapping[str, HeadData],
    labels: Labels,
    seed: int,
    on_progress: Callable[[int], None],
) -> dict[str, Head]:
    """Return the heads of the cuts, each from its epoch with the lowest validation loss.

    Args:
        features: returns the features of images at each cut, in the order of `data`.
        pixels: returns training images by their places, `[batch, height, width, channel]` in
            [0, 255].
        augment: varies images.
        data: by layer, what its head is trained with.
        labels: of the images.
        seed: of the order of the images.
        on_progress: receives the number of images of each step.
    """
    order = np.random.default_rng(seed)
    trainings = {layer: _begin(each, labels) for layer, each in data.items()}
    for epoch in range(1, MOST_EPOCHS + 1):
        shuffled = order.permutation(len(labels.train))
        for first in range(0, len(shuffled), _BATCH):
            places = shuffled[first : first + _BATCH]
            varied = augment(_padded(pixels(places)))
            found = features(tf.constant(varied))
            for training, values in zip(trainings.values(), found, strict=True):
                if not training.finished:
                    _step(training, values[: len(places)], labels.train[places], len(shuffled))
            on_progress(len(places))
        for training in trainings.values():
            _end_epoch(training, labels.validation, epoch)
        if all(training.finished for training in trainings.values()):
            break
    return {layer: training.head for layer, training in trainings.items()}


def _padded(pixels: Pixels) -> Pixels:
    """Return images padded to a whole batch, for which the network is traced once."""
    padded = np.zeros((BATCH, *pixels.shape[1:]), pixels.dtype)
    padded[: len(pixels)] = pixels
    return padded


def _begin(data: HeadData, labels: Labels) -> _Training:
    import keras

    mean, deviation = (each.astype(np.float32) for each in location_and_scale(data.train))
    (scaled,) = standardised(data.train)
    weights, bias = regression(scaled, labels.train, labels.classes, data.penalty)
    head = Head(mean, deviation, weights, bias)
    head.loss = cross_entropy(head.logits(data.validation), labels.validation)
    return _Training(
        head,
        data,
        tf.Variable(weights),
        tf.Variable(bias),
        keras.optimizers.Adam(_RATE),
        # Two sets of opposite weights, each half as large, have half the squares of the one set.
        stress=2.0 if labels.classes == 2 else 1.0,
    )


def regression(
    features: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
    classes: int,
    penalty: float,
) -> tuple[Values, Values]:
    """Return the weights `[feature, class]` and the bias `[class]` of the logistic regression.

    Args:
        features: standardised, float64 `[image, feature]`.
        labels: int64 `[image]`.
        classes: number of classes.
        penalty: inverse strength of the L2 penalty.
    """
    with one_thread():
        fitted = fit(features, labels, penalty)
    weights, bias = fitted.coef_.T, fitted.intercept_
    if classes == 2:
        # One set of weights tells the second class from the first.
        weights, bias = np.concatenate([-weights, weights], 1) / 2, np.array([-1, 1]) * bias / 2
    return weights.astype(np.float32), bias.astype(np.float32)


def _step(
    training: _Training, features: tf.Tensor, labels: npt.NDArray[np.int64], images: int
) -> None:
    """Move the weights along the gradient of the loss of the logistic regression.

    The loss is scikit-learn's, divided by the number of training images: the mean cross-entropy,
    plus the squares of the weights over twice C times the number of images.
    """
    scaled = (features - training.head.mean) / training.head.deviation
    with tf.GradientTape() as tape:
        logits = scaled @ training.weights + training.bias
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        ) + tf.reduce_sum(training.weights**2) * training.stress / (
            2 * training.data.penalty * images
        )
    variables = [training.weights, training.bias]
    training.optimizer.apply_gradients(  # type: ignore[attr-defined]
        zip(tape.gradient(loss, variables), variables, strict=True)
    )


def _end_epoch(training: _Training, labels: npt.NDArray[np.int64], epoch: int) -> None:
    """Keep the weights if the validation loss is the lowest so far; otherwise lose patience."""
    if training.finished:
        return
    head = training.head
    now = Head(
        head.mean, head.deviation, training.weights.numpy(), training.bias.numpy(), epochs=epoch
    )
    now.loss = cross_entropy(now.logits(training.data.validation), labels)
    if now.loss < head.loss:
        training.head, training.waited = now, 0
    else:
        training.waited += 1
    training.finished = training.waited >= _PATIENCE


def cross_entropy(logits: Values, labels: npt.NDArray[np.int64]) -> float:
    """Return the mean cross-entropy of logits, `[image, class]`, with the labels."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(1))
    return float(np.mean(log_sums - shifted[np.arange(len(labels)), labels]))
