"""A value has the gradient that is registered for it, in a graph and where all else runs eagerly;
the others keep theirs.
"""

import numpy as np
import tensorflow as tf

from diamond_cutter.tasks.rendering.gradients import with_gradient

NAME = "DiamondCutterTestOfNames"


@tf.RegisterGradient(NAME)
def _thrice(
    op: tf.Operation, upstream: tf.Tensor, *_unused: tf.Tensor
) -> tuple[None, tf.Tensor, None]:
    value, x, factor = op.inputs
    return None, 3.0 * upstream * factor + 0.0 * (value + x), None


@tf.function(autograph=False)
def product(x: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    return with_gradient(NAME, x * factor, x, factor)


X, FACTOR = tf.constant([1.0, -2.0]), tf.constant([10.0, 100.0])


def test_the_registered_gradient_takes_the_place_of_the_true_one() -> None:
    with tf.GradientTape() as tape:
        tape.watch([X, FACTOR])
        value = product(X, FACTOR)
        total = tf.reduce_sum(2.0 * value)
    of_x, of_factor = tape.gradient(total, [X, FACTOR])
    np.testing.assert_array_equal(value, [10, -200])
    np.testing.assert_array_equal(of_x, [60, 600])
    assert of_factor is None


def test_in_a_graph_it_is_the_same_and_other_gradients_are_their_own() -> None:
    @tf.function(autograph=False)
    def gradients(x: tf.Tensor, factor: tf.Tensor) -> list[tf.Tensor]:
        value, plain = product(x, factor), tf.identity_n([x * factor, x])[0]
        return [tf.gradients(value, [x])[0], tf.gradients(plain, [x])[0]]

    ours, plain = gradients(X, FACTOR)
    np.testing.assert_array_equal(ours, [30, 300])
    np.testing.assert_array_equal(plain, FACTOR)
