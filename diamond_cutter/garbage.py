"""How often the processes of this program look for garbage."""

import gc

_NEW_OBJECTS = 10_000


def collect_rarely() -> None:
    """Let Python look for cycles of garbage after 10,000 new objects instead of 700.

    The imports of Prefect and TensorFlow make hundreds of thousands of objects that stay. To look
    through them takes a fifth of the time until a process begins its work.
    """
    gc.set_threshold(_NEW_OBJECTS)
