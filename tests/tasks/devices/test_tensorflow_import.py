import sys

import pytest

from diamond_cutter.tasks.devices import DeviceSlots
from tests.waiting import AT_MOST_S


def keras_before_and_after() -> tuple[bool, float]:
    """Tell whether TensorFlow imports Keras; return what Keras adds up afterwards."""
    import tensorflow as tf

    found = "keras" in sys.modules
    import keras

    return found, float(keras.ops.add(tf.constant(1.0), 2.0))


@pytest.mark.slow
def test_a_device_process_has_no_keras_until_it_is_imported() -> None:
    with DeviceSlots([""]) as slots:
        assert slots.run(keras_before_and_after, timeout_s=AT_MOST_S) == (False, 3.0)
