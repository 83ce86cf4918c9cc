"""What is traced for one test serves others. It is in force once it is imported."""

import functools

from diamond_cutter.tasks.rendering import sprites

# All of a file are kept, unlike where networks are real: those of the tests are small, and to trace
# one takes longer than to render with it.
sprites.layer_renderer = functools.lru_cache(maxsize=64)(sprites.layer_renderer.__wrapped__)
