"""Define what a report on where to cut shows, and how the bucket names it."""

import hashlib

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel


class ComparisonSpec(FrozenModel):
    """All that decides a report, beside the images."""

    models: tuple[tuple[str, str], ...] = Field(
        min_length=1, description="key of each model, and of its features and scores"
    )
    train: int = Field(ge=0, description="number of heads to train")
    channels: int = Field(ge=0, description="channels shown of each class")
    sprites: str = Field(description="key of the recipe of the sprites that are shown")

    @property
    def key(self) -> str:
        """Name the report as in the bucket's keys: `cut@1a2b3c4d`."""
        return f"cut@{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]}"
