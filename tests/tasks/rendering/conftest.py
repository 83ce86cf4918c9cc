"""What is traced for one test serves others, and what lasts as long as the process is not looked
through for garbage again and again.
"""

import functools
import gc

import keras  # noqa: F401
import tensorflow as tf  # noqa: F401

from diamond_cutter.tasks.rendering import sprites

# Each new renderer has all garbage collected if many are kept.
gc.collect()
gc.freeze()

# More are kept than where networks are real: those of the tests are small, and to trace one takes
# longer than to render with it.
sprites.layer_renderer = functools.lru_cache(maxsize=12)(sprites.layer_renderer.__wrapped__)
