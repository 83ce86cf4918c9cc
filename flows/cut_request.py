"""The request of a search for a cut: parameters of the command, the flow and its deployments."""

from pydantic import Field

from diamond_cutter.flows.request_fields import (
    AUTO,
    LOCAL,
    BucketPlace,
    Budget,
    Devices,
    FlowRequest,
    Grace,
    Recipe,
    Runner,
)
from diamond_cutter.flows.stops import GRACE_S
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.features.spec import CutSpec, Pooling
from diamond_cutter.tasks.rendering.recipe import RenderRecipe


class CutRequest(FlowRequest):
    """Which labelled images to classify, and which models and layers to compare for it."""

    images: str = Field(
        description="a folder with a folder of images for each class, or with labels.csv; or "
        "gs://bucket/folder"
    )
    models: tuple[str, ...] = Field(
        min_length=1, description="names of models, as `diamond-cutter models` lists them"
    )
    layers: tuple[str, ...] = Field(
        default=("main",), min_length=1, description="layer names, globs, 'main' or 'all'"
    )
    pooling: Pooling = Field(
        default="average",
        description="how the positions of a layer become one vector of features",
    )
    train: int = Field(
        default=6,
        ge=0,
        le=1000,
        description="heads to train as a check: on the best cuts, on random ones and on the last "
        "layer; 0 trains none",
    )
    folds: int = Field(default=5, ge=2, le=20, description="parts of the cross-validation")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of all random divisions of images")
    channels: int = Field(
        default=4,
        ge=0,
        le=32,
        description="channels per class that the report shows, with their sprites",
    )
    bucket: BucketPlace = "./bucket"
    recipe: Recipe = Field(
        default=RenderRecipe(name=AUTO),
        json_schema_extra={"default": AUTO},
        description="how to render sprites: a recipe or its name; auto: as for `sprites`",
    )
    devices: Devices = None
    timeout_s: float = Field(
        default=3600, gt=0, description="time limit for each task, which is then retried"
    )
    runner: Runner = LOCAL
    grace_s: Grace = GRACE_S
    budget_minutes: Budget = None


def cut_spec(card: ModelCard, request: CutRequest) -> CutSpec:
    """Return the specification of a request for a model.

    Raises:
        UnknownLayer: a layer does not exist; names the most similar ones.
    """
    return CutSpec(
        layers=tuple(layer.name for layer in card.select_layers(request.layers)),
        pooling=request.pooling,
        folds=request.folds,
        seed=request.seed,
    )
