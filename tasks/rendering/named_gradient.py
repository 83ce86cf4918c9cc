"""Gives a value a gradient of our own, by the name that it is registered under.

Not `tf.custom_gradient`: it keeps what it is traced into, weights and all, until the process ends.
"""

import tensorflow as tf


def with_gradient(name: str, value: tf.Tensor, *inputs: tf.Tensor) -> tf.Tensor:
    """Return the value, made of the inputs, with the gradient that `tf.RegisterGradient(name)`
    knows.

    What is registered is called with an operation, whose inputs are the value and these inputs, and
    with the upstream gradient first. It returns None for the value, and for each input its gradient
    or None. Call this in a `tf.function`: a graph of its own, in which the gradient has its name
    also where all else runs eagerly.
    """
    with tf.compat.v1.get_default_graph().gradient_override_map({"IdentityN": name}):
        return tf.identity_n([value, *inputs])[0]
