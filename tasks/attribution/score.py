"""Compute the explained score: a logit, the difference of two logits, or the log-sum-exp of all.

Each image of a batch can have classes of its own.
"""

from typing import NamedTuple

import tensorflow as tf

from diamond_cutter.tasks.attribution.spec import Negative, Positive

NONE = -1


class ChosenClasses(NamedTuple):
    """The explained classes of each image of a batch, int32 `[batch]` each.

    positive: NONE stands for the log-sum-exp of all logits.
    negative: NONE means that nothing is subtracted.
    """

    positive: tf.Tensor
    negative: tf.Tensor


def choose_classes(logits: tf.Tensor, positive: Positive, negative: Negative) -> ChosenClasses:
    """Return the explained classes of each image.

    Args:
        logits: float32 `[batch, class]`.
        positive: a class, `auto` for the highest logit, or `all`.
        negative: a class, `auto` for the highest logit except the positive class, or `none`.
    """
    classes = logits.shape[1]
    count = tf.shape(logits)[0]
    nobody = tf.fill([count], NONE)
    if isinstance(negative, int) and positive == "auto":
        # A class minus itself would explain nothing, so the negative class is left out.
        for_class = tf.argmax(
            _without(logits, tf.fill([count], negative)), axis=1, output_type=tf.int32
        )
    elif positive == "auto":
        for_class = tf.argmax(logits, axis=1, output_type=tf.int32)
    else:
        for_class = nobody if positive == "all" else tf.fill([count], positive)
    if isinstance(negative, int):
        return ChosenClasses(for_class, tf.fill([count], negative))
    if negative == "none" or positive == "all" or classes == 1:
        return ChosenClasses(for_class, nobody)
    return ChosenClasses(
        for_class, tf.argmax(_without(logits, for_class), axis=1, output_type=tf.int32)
    )


def score_of(logits: tf.Tensor, chosen: ChosenClasses) -> tf.Tensor:
    """Return the explained score of each image, float32 `[batch]`.

    The score is the positive class's logit, or the log-sum-exp of all logits, minus the negative
    class's logit.
    """
    every = tf.reduce_logsumexp(logits, axis=1)
    return tf.where(chosen.positive == NONE, every, _picked(logits, chosen.positive)) - _picked(
        logits, chosen.negative
    )


def _picked(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Return one logit of each image, or 0 for NONE.

    It multiplies, because the gradient of a gather is slow.
    """
    return tf.reduce_sum(logits * tf.one_hot(classes, logits.shape[1]), axis=1)


def _without(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.one_hot(classes, logits.shape[1]) > 0, logits.dtype.min, logits)
