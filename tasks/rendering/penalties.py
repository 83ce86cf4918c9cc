"""What a sprite is held back by: opacity that its channel does not need, and fine detail.

Each is a share, so that one weight fits every layer: the loop counts it in units of the sprite's
objective.
"""

import tensorflow as tf

# A sprite whose values vary less than this has no detail worth speaking of.
_LEAST_VARIANCE = 1e-3


def opacity(images: tf.Tensor) -> tf.Tensor:
    """Return the mean opacity of each image `[batch, height, width, plane]`, its last plane,
    float32 `[batch]` in [0, 1].
    """
    return tf.reduce_mean(images[..., -1], axis=[1, 2])


def fine_detail(images: tf.Tensor) -> tf.Tensor:
    """Return how much a blur over 3 x 3 pixels takes from each image, as a share of its variance,
    float32 `[batch]`.

    It is 0 for an even image and below 1 for a natural one; stripes one pixel wide have 16 / 9,
    because the blur inverts them. Stepping against its gradient blurs the image a little, as in
    Nguyen et al. 2015, "Deep neural networks are easily fooled", and lucid's
    `blur_input_each_step`.

    Args:
        images: `[batch, height, width, plane]` with values in [0, 1].
    """
    blurred = tf.stop_gradient(tf.nn.avg_pool2d(images, 3, 1, "SAME"))
    variance = tf.stop_gradient(tf.math.reduce_variance(images, axis=[1, 2, 3]))
    return tf.reduce_mean((images - blurred) ** 2, axis=[1, 2, 3]) / (variance + _LEAST_VARIANCE)
