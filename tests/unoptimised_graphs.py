"""Whether TensorFlow optimises the graphs of this process."""


def run_as_they_are(as_they_are: bool = True) -> None:
    """Let TensorFlow run graphs without optimising them first, or optimise them as it does for
    users. To optimise a small network takes longer than all else.
    """
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": as_they_are})
