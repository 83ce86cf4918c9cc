"""Define what a search for a cut computes for one model, and how the bucket names it.

This module does not import TensorFlow, so that the flow's process stays small.
"""

import hashlib
from typing import Literal

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel

Pooling = Literal["average", "average+deviation", "average+max"]

# Fits of the probe take time in proportion, and the intervals of 2,000 images are narrow.
MOST_IMAGES = 2000
TEST_SHARE = 0.2


class CutSpec(FrozenModel):
    """All that decides the features and the scores of a model, beside the model and the images."""

    layers: tuple[str, ...] = Field(min_length=1, description="names, in forward order")
    pooling: Pooling = Field(
        default="average",
        description="how the positions of a layer become one vector: their average, alone or with "
        "their standard deviation or their maximum",
    )
    folds: int = Field(default=5, ge=2, le=20, description="parts of the cross-validation")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of all divisions of the images")
    most_images: int = Field(
        default=MOST_IMAGES,
        ge=10,
        description="about how many images are scored; of more images, a stratified sample is",
    )
    test_share: float = Field(
        default=TEST_SHARE,
        gt=0,
        lt=1,
        description="share of the images that no score sees, unless the dataset has its own split",
    )

    @property
    def key(self) -> str:
        """Name the scores as in the bucket's keys: `cut@1a2b3c4d`."""
        return f"cut@{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]}"

    @property
    def features_key(self) -> str:
        """Name the features, which no division of the images changes: `features@1a2b3c4d`."""
        decisive = self.model_dump_json(include={"layers", "pooling"})
        return f"features@{hashlib.sha256(decisive.encode()).hexdigest()[:8]}"


def feature_width(pooling: Pooling, channels: int) -> int:
    """Return the length of the feature vector of a layer."""
    return channels if pooling == "average" else 2 * channels


def channel_of(feature: int, channels: int) -> int:
    """Return the channel of a feature: with two parts, the second repeats the channels."""
    return feature % channels
