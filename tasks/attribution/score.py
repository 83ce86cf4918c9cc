"""What is explained: a logit, the difference of two, or the log-sum-exp of all; for each image of a
batch its own.
"""

from typing import NamedTuple

import tensorflow as tf

from diamond_cutter.tasks.attribution.spec import Negative, Positive

NONE = -1


class Chosen(NamedTuple):
    """The classes that explain the images of a batch, int32 `[batch]`; NONE where there is none, or
    all are.
    """

    positive: tf.Tensor
    negative: tf.Tensor


def choose(logits: tf.Tensor, positive: Positive, negative: Negative) -> Chosen:
    """Return the class of each image, and the one it is held against.

    Args:
        logits: float32 `[batch, class]`.
        positive: a class, `auto` for the highest logit, or `all`.
        negative: a class, `auto` for the highest logit but the positive one, or `none`.
    """
    classes = logits.shape[1]
    count = tf.shape(logits)[0]
    nobody = tf.fill([count], NONE)
    if isinstance(negative, int) and positive == "auto":
        # Held against itself a class would explain nothing.
        for_class = tf.argmax(
            _without(logits, tf.fill([count], negative)), axis=1, output_type=tf.int32
        )
    elif positive == "auto":
        for_class = tf.argmax(logits, axis=1, output_type=tf.int32)
    else:
        for_class = nobody if positive == "all" else tf.fill([count], positive)
    if isinstance(negative, int):
        return Chosen(for_class, tf.fill([count], negative))
    if negative == "none" or positive == "all" or classes == 1:
        return Chosen(for_class, nobody)
    return Chosen(for_class, tf.argmax(_without(logits, for_class), axis=1, output_type=tf.int32))


def score_of(logits: tf.Tensor, chosen: Chosen) -> tf.Tensor:
    """Return what is explained, float32 `[batch]`: the positive class's logit, or the log-sum-exp
    of all, less the negative class's.
    """
    every = tf.reduce_logsumexp(logits, axis=1)
    return tf.where(chosen.positive == NONE, every, _picked(logits, chosen.positive)) - _picked(
        logits, chosen.negative
    )


def _picked(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Return one logit of each image, 0 where the class is NONE. A product, because a gather's
    gradient is slow.
    """
    return tf.reduce_sum(logits * tf.one_hot(classes, logits.shape[1]), axis=1)


def _without(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.one_hot(classes, logits.shape[1]) > 0, logits.dtype.min, logits)
