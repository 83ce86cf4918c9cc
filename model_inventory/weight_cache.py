"""Where weights that are fetched lie on this machine. Nothing here imports TensorFlow."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder of our cache: `DIAMOND_CUTTER_CACHE`, or `diamond-cutter` in the user's
    cache.
    """
    own = os.environ.get("DIAMOND_CUTTER_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "diamond-cutter"


def keras_folder() -> Path:
    """Return the folder that Keras fetches weights into."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"
