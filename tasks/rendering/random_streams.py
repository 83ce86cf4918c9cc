"""A random stream for each sprite, so that its picture does not depend on its company.

The numbers are drawn by NumPy on the host, whatever device renders: counter-based Philox, keyed by
what names the sprite.
"""

import hashlib

import numpy as np


def sprite_stream(
    seed: int, name: str, number: int, variant: int, purpose: str
) -> np.random.Generator:
    """Return the stream of one sprite for one purpose ('image', 'transforms', ...); streams are
    independent of each other.

    Args:
        seed: the recipe's.
        name: of the layer, or of the set of mixes.
        number: the channel, or the mix.
        variant: which picture of it.
        purpose: what the numbers are for.
    """
    digest = hashlib.sha256(f"{seed}\n{number}\n{variant}\n{purpose}\n{name}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
