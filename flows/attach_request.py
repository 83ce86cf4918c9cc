"""The request to attach new layers: parameters of the command, the flow and its deployments."""

from pydantic import Field

from diamond_cutter.flows.request_fields import BucketPlace, Devices, FlowRequest, Grace
from diamond_cutter.flows.stops import GRACE_S
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.attaching.spec import AttachSpec, Augmentation, check_cut


class AttachRequest(FlowRequest):
    """Which network to cut where, and how to train new layers on it for labelled images."""

    model: str = Field(description="name of a model, as `diamond-cutter models` lists them")
    images: str = Field(
        description="a folder with a folder of images for each class, or with labels.csv; or "
        "gs://bucket/folder"
    )
    at: tuple[str, ...] = Field(
        min_length=1, description="the layer to cut at, or several whose features are joined"
    )
    name: str = Field(description="a new name for the trained model")
    conv: tuple[int, ...] = Field(
        default=(),
        description="channels of each new 3 x 3 convolution; without any, only a head is trained",
    )
    unfreeze: str | None = Field(
        default=None,
        description="train the model from this layer on, too, after the new layers, at a tenth of "
        "their learning rate",
    )
    epochs: int = Field(
        default=30, ge=0, le=10_000, description="most epochs of each phase; 0 trains nothing"
    )
    augment: Augmentation = Field(
        default="light",
        description="how far training images are varied: turned, zoomed and changed in contrast",
    )
    no_mirror: bool = Field(
        default=False,
        description="do not mirror training images, for example if they show text or organs",
    )
    rate: float = Field(
        default=1e-3, gt=0, le=1, description="highest learning rate of the new layers"
    )
    batch: int = Field(default=32, ge=2, le=4096, description="most images in a step")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of all random choices")
    bucket: BucketPlace = "./bucket"
    devices: Devices = None
    timeout_s: float = Field(
        default=86_400, gt=0, description="time limit for each task, which is then retried"
    )
    grace_s: Grace = GRACE_S


def attach_spec(card: ModelCard, request: AttachRequest) -> AttachSpec:
    """Return the specification of a request for a model.

    Raises:
        UnknownLayer: a layer does not exist; names the most similar ones.
        BadModel: the model cannot be cut or unfrozen there.
        ValidationError: a number of channels is not valid.
    """
    spec = AttachSpec(
        at=tuple(dict.fromkeys(request.at)),
        convolutions=request.conv,
        unfreeze=request.unfreeze,
        epochs=request.epochs,
        augment=request.augment,
        mirror=not request.no_mirror,
        rate=request.rate,
        batch=request.batch,
        seed=request.seed,
    )
    check_cut(card, spec)
    return spec
