"""Everything that a report on where to cut is made from."""

from collections.abc import Mapping
from dataclasses import dataclass

from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.tasks.cut_report.contents import ComparisonSpec
from diamond_cutter.tasks.cut_report.cuts import ComparedModel, Comparison
from diamond_cutter.tasks.cutting.dataset import Dataset
from diamond_cutter.tasks.cutting.together import JoinRecord
from diamond_cutter.tasks.photos.image_set import FoundImage, ImageSet
from diamond_cutter.tasks.training.job import TrainedRecord


@dataclass(frozen=True)
class ComparisonJob:
    """The sources of a report.

    folder: of the report, in the bucket.
    images: all images of the folder; `place` is where the user has them.
    labelled: those with a label; the position of an image is its number.
    recipe: the key of the recipe of the best model's sprites.
    layers, recipe_name: as requested; no name for a recipe of the user's own.
    refused: the reason for each unreadable image, by name.
    skipped: a sentence for each model that could not be compared.
    joins, trained: by the key of the model.
    problems: a sentence for each layer without scores, and each model without joined layers.
    """

    bucket: str
    folder: str
    images: ImageSet
    place: str
    labelled: tuple[FoundImage, ...]
    dataset: Dataset
    models: tuple[ComparedModel, ...]
    spec: ComparisonSpec
    recipe: str
    layers: tuple[str, ...]
    recipe_name: str | None
    refused: Mapping[str, str]
    skipped: tuple[str, ...]
    comparison: Comparison
    joins: Mapping[str, JoinRecord]
    problems: tuple[str, ...]
    trained: Mapping[str, TrainedRecord]

    @property
    def best_model(self) -> ComparedModel:
        """Return the model of the best cut."""
        return next(each for each in self.models if each.name == self.comparison.best.model)

    @property
    def best_card(self) -> ModelCard:
        """Return the card of the model of the best cut."""
        return self.best_model.card

    @property
    def best_layer(self) -> LayerCard:
        """Return the layer of the best cut."""
        return self.best_card.layer(self.comparison.best.layer)

    @property
    def layers_to_attach(self) -> list[LayerCard]:
        """Return the layer of the best cut, or the layers of its model that are better together."""
        join = self.joins.get(self.best_card.key)
        found = join.best.layers if join and join.best and join.best.kept else ()
        joined = [self.best_card.layer(name) for name in found]
        spatial = all(layer.height is not None for layer in joined)
        return joined if joined and spatial else [self.best_layer]
