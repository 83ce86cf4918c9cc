"""Train new layers, and unfrozen layers after them, epoch by epoch.

The learning rate of a phase rises over a tenth of its epochs, then falls along a cosine (Loshchilov
and Hutter, "SGDR", 2017). After each epoch, the mean of its weights over all steps is tested and
can be kept: it is better than the last weights, which jump from step to step (Izmailov et al.,
"Averaging weights leads to wider optima", 2018). Those with the highest validation accuracy are
kept, and of equals the latest. The validation loss is no good judge: it rises as a network becomes
more confident, even if it is right more often. A phase ends early if its accuracy has been lower
for some epochs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.tasks.attaching.checkpoints import Arrays, Epoch, State
from diamond_cutter.tasks.attaching.inputs import VARIATIONS, Inputs, of_all, unvaried
from diamond_cutter.tasks.attaching.network import TrainedNetwork
from diamond_cutter.tasks.attaching.spec import AttachSpec
from diamond_cutter.tasks.training.augmentation import augmentation
from diamond_cutter.tasks.training.heads import cross_entropy
from diamond_cutter.tasks.training.pictures import Pictures

# Epochs with a lower validation accuracy than before, after which a phase ends.
_PATIENCE = 15
# The share of the epochs in which the learning rate rises.
_WARM_UP = 0.1
# Of the running mean and variance of new BatchNorms; small sets of images take few steps.
_MOMENTUM = 0.9
# The second phase moves weights that are good already.
_LATER_RATE = 0.1


MakeNetwork = Callable[[str | None, Arrays], TrainedNetwork]


@dataclass(frozen=True)
class Images:
    """The images of a training with their classes, int64 `[image]`; copies share a group."""

    train: Pictures
    train_labels: npt.NDArray[np.int64]
    train_groups: npt.NDArray[np.int64]
    validation: Pictures
    validation_labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Training:
    """What a training consists of.

    Attributes:
        spec: how to train.
        images: with their classes.
        class_weights: how much an image of each class counts, float32 `[class]`.
        decay: factor of the squares of the head's weights in the loss.
        batch: images in a step.
        network: makes the network of a phase from the first trained layer and weights.
        keep: stores the state after an epoch.
        on_progress: receives the number of images of a step and a line about the epoch.
    """

    spec: AttachSpec
    images: Images
    class_weights: npt.NDArray[np.float32]
    decay: float
    batch: int
    network: MakeNetwork
    keep: Callable[[State], None]
    on_progress: Callable[[int, str], None]


def train(training: Training, state: State) -> State:
    """Return the state after the last epoch of the last phase.

    Args:
        training: what to train.
        state: to begin with: untrained weights without a history, or a checkpoint.
    """
    first = state.history[-1].phase if state.history else 0
    for phase in range(first, len(training.spec.phases)):
        if state.diverged:
            return state
        state = _train_phase(training, phase, state)
    return state


def _train_phase(training: Training, phase: int, state: State) -> State:
    """Train one phase from its beginning, or from the last epoch in the state."""
    begun = bool(state.history) and state.history[-1].phase == phase
    # A phase begins with the best weights of the phase before.
    weights = state.weights if begun else state.best or state.weights
    network = training.network(training.spec.phases[phase], weights)
    runner = Phase(training, phase, network, state)
    if begun:
        runner.optimizer_state(state.optimizer)
    else:
        state.optimizer = []
        runner.end_epoch(0, None, None)
    while not runner.finished:
        runner.epoch(state.history[-1].epoch + 1)
    return state


@dataclass
class Phase:
    """One phase of a training under way."""

    training: Training
    number: int
    network: TrainedNetwork
    state: State
    optimizer: Any = field(init=False)

    def __post_init__(self) -> None:
        import keras

        self.optimizer = keras.optimizers.Adam(self.rate)
        self.optimizer.build(self._learned)
        # Of the weights after each step of an epoch.
        self._totals = [tf.Variable(tf.zeros_like(each)) for each in self._learned]
        self._taken = 0
        self._step = tf.function(self._one_step, autograph=False, reduce_retracing=True)
        self.begin_inputs()

    def begin_inputs(self) -> None:
        """Forget all inputs of the network, so that the next epoch computes them."""
        images, batch, spec = self.training.images, self.training.batch, self.training.spec
        self._validation = unvaried(self.network.prepare, images.validation, batch)
        self._train = Inputs(
            images.train,
            self.network.prepare,
            lambda number: augmentation([spec.seed, number], spec.augment, mirror=spec.mirror),
            1 if spec.augment == "none" else VARIATIONS,
            batch,
        )

    def _one_step(
        self, inputs: list[tf.Tensor], labels: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Move the weights along the gradient; return the loss and the number of right images."""
        found = self.network.gradients(inputs, labels, weights, self.training.decay)
        self.optimizer.apply(found.gradients, self._learned)
        for total, variable in zip(self._totals, self._learned, strict=True):
            total.assign_add(variable)
        for name, value in found.statistics.items():
            running = self.network.variables[name]
            running.assign(_MOMENTUM * running + (1 - _MOMENTUM) * value)
        return found.loss, found.right

    @property
    def rate(self) -> float:
        """Return the highest learning rate of the phase."""
        return self.training.spec.rate * (_LATER_RATE if self.number else 1.0)

    @property
    def _learned(self) -> list[tf.Variable]:
        return [self.network.variables[name] for name in self.network.learned]

    @property
    def _steps(self) -> int:
        return max(1, len(self.training.images.train_labels) // self.training.batch)

    @property
    def finished(self) -> bool:
        """Tell whether the phase ends: of its epochs, of patience, or of a loss without sense."""
        last = self.state.history[-1]
        if self.state.diverged or last.epoch >= self.training.spec.epochs:
            return True
        of_phase = [each for each in self.state.history if each.phase == self.number]
        best = max(of_phase, key=lambda each: (each.validation_accuracy, each.epoch))
        return last.epoch - best.epoch >= _PATIENCE

    def optimizer_state(self, values: list[npt.NDArray[Any]]) -> None:
        """Set the variables of the optimizer to those of a checkpoint."""
        for variable, value in zip(self.optimizer.variables, values, strict=True):
            variable.assign(value)

    def epoch(self, number: int) -> None:
        """Show all training images once, varied, test the network, and store the state."""
        loss, accuracy = self.steps(number)
        if self.state.diverged:
            self.training.keep(self.state)
        else:
            self.end_epoch(number, loss, accuracy)

    def steps(self, number: int) -> tuple[float, float]:
        """Take the steps of an epoch; return the mean loss and the accuracy.

        The order and the variations depend on the seed, the phase and the epoch only, so an epoch
        after a checkpoint is the same as without an interruption.
        """
        spec, images = self.training.spec, self.training.images
        random = np.random.default_rng([spec.seed, self.number, number])
        order = random.permutation(len(images.train_labels))
        self._taken = 0
        for total in self._totals:
            total.assign(tf.zeros_like(total))
        losses, right, size = list[float](), 0, min(self.training.batch, len(order))
        for step in range(self._steps):
            # The last images of the order, fewer than a batch, come in another epoch.
            places = order[step * size : (step + 1) * size]
            done = (number - 1) * self._steps + step + 1
            self.optimizer.learning_rate = self._rate_at(done)
            inputs = [tf.constant(each) for each in self._train.read(number, places)]
            labels = images.train_labels[places]
            weights = self.training.class_weights[labels]
            loss, correct = self._step(inputs, tf.constant(labels), tf.constant(weights))
            if not math.isfinite(float(loss)):
                self.state.diverged = True
                break
            losses.append(float(loss))
            self._taken += 1
            right += int(correct)
            line = f"epoch {number}: loss {np.mean(losses):.3f}, {right / (step + 1) / size:.1%}"
            self.training.on_progress(size, line)
        return float(np.mean(losses or [np.nan])), right / (self._steps * size)

    def _set_to_mean(self) -> None:
        """Set the learned weights to their mean over the steps of the epoch."""
        if self._taken:
            for total, variable in zip(self._totals, self._learned, strict=True):
                variable.assign(total / self._taken)

    def _rate_at(self, step: int) -> float:
        epochs = self.training.spec.epochs
        warm, last = max(1, round(_WARM_UP * epochs)) * self._steps, epochs * self._steps
        if step <= warm:
            return self.rate * step / warm
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(last - warm, 1)))

    def _accuracy_to_beat(self, images: int) -> float:
        """Return the validation accuracy from which on weights are kept.

        The second phase may begin one standard error lower, because that is as good as equal
        (Breiman et al., "Classification and regression trees", 1984), and it is asked for.
        """
        if not self.state.history[:-1]:
            return 0.0
        best = self.state.history[self.state.best_place]
        kept = best.validation_accuracy
        if best.phase == self.number:
            return kept
        return kept - math.sqrt(kept * (1 - kept) / images)

    def end_epoch(self, number: int, loss: float | None, accuracy: float | None) -> None:
        """Test the network on the validation images, and store the state."""
        images, state = self.training.images, self.state
        count, last = len(images.validation_labels), self.network.arrays()
        self._set_to_mean()
        tested = self.network.arrays()
        logits = of_all(self.network.logits, self._validation)
        validation_loss = cross_entropy(logits, images.validation_labels)
        if not math.isfinite(validation_loss):
            if not state.history:
                raise BadModel(
                    "the network cannot be trained: its logits of the validation images are not "
                    "finite. Cut at another layer."
                )
            state.diverged = True
            self.training.keep(state)
            return
        self.network.assign(last)
        state.weights = last
        state.optimizer = [each.numpy() for each in self.optimizer.variables]
        validation_accuracy = float((logits.argmax(1) == images.validation_labels).mean())
        state.history.append(
            Epoch(
                phase=self.number,
                epoch=number,
                rate=float(self.optimizer.learning_rate),
                loss=loss,
                accuracy=accuracy,
                validation_loss=validation_loss,
                validation_accuracy=validation_accuracy,
            )
        )
        begins = number == 0 and len(state.history) > 1  # with the weights that are kept already
        if not begins and validation_accuracy >= self._accuracy_to_beat(count):
            state.best, state.best_place = tested, len(state.history) - 1
        self.training.keep(state)
