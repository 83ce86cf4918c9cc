"""The models that are available by name: packages, lucid's zoo, keras.applications, and presets.

The presets of KerasHub and the networks of timm are not listed before they are fetched.

TensorFlow is imported only when a model is built, so that listing models is fast.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelSource
from diamond_cutter.model_inventory.errors import UnknownModel, WeightsMissing
from diamond_cutter.model_inventory.keras.catalogue import KERAS_APPLICATIONS, keras_source
from diamond_cutter.model_inventory.keras.hub_catalogue import (
    HUB_ORIGINS,
    fetched_presets,
    is_hub_name,
    preset_source,
)
from diamond_cutter.model_inventory.lucid.zoo import lucid_models, lucid_source
from diamond_cutter.model_inventory.weights import EFFICIENTNET_LITE, cache_folder, package_source

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.bundle import Bundle

Origin = Literal["package", "lucid", "keras", "kerashub", "timm", "yours"]


class ModelListing(FrozenModel):
    """A model that is available by name."""

    name: str
    source: Origin
    height: int
    width: int
    layers: int | None = Field(description="number of layers, if known without building the model")
    channels: int | None = Field(description="total of all layers")
    weights: str = Field(description="where the weights are, or the command that gets them")


class WeightFile(NamedTuple):
    """A file that a model is imported from: where it comes from and where it lies here."""

    url: str
    path: Path


def model_names() -> tuple[str, ...]:
    """Return the name of every model that is built in; presets are not among them."""
    return (*EFFICIENTNET_LITE, *lucid_models(), *KERAS_APPLICATIONS)


def list_models() -> list[ModelListing]:
    """Return every model that is built in, with the place of its weights."""
    return [_listing(name) for name in model_names()]


def list_hub_presets() -> list[ModelListing]:
    """Return every preset on this machine."""
    return [
        ModelListing(
            name=name,
            source=origin_of(name),
            height=preset.height,
            width=preset.width,
            layers=None,
            channels=None,
            weights="here",
        )
        for name, preset in fetched_presets().items()
    ]


def is_known(name: str) -> bool:
    """Tell whether a name is that of a model that is built in, or may be that of a preset."""
    return name in model_names() or is_hub_name(name)


def origin_of(name: str) -> Origin:
    """Return which source a known model is of."""
    if is_hub_name(name):
        return "timm" if name.startswith("timm/") else "kerashub"
    return (
        "lucid" if name in lucid_models() else "keras" if name in KERAS_APPLICATIONS else "package"
    )


def require_model(name: str) -> None:
    """Check that a known model has the name.

    Raises:
        UnknownModel: no model has it; the text suggests similar names.
    """
    if not is_known(name):
        raise unknown_model(name)


def unknown_model(name: str, others: Iterable[str] = ()) -> UnknownModel:
    """Return the error for an unknown name; `others` are the names of models in the bucket."""
    if name.startswith(tuple(f"{origin}/" for origin in HUB_ORIGINS)):
        return UnknownModel(
            f"model {name[:160]!r} is not a valid name: expected kerashub/PRESET or timm/NAME, of "
            "up to 100 letters, digits and _.-, a letter or digit first. See docs/own-models.md."
        )
    names = {known.casefold(): known for known in (*model_names(), *others) if known != name}
    # The name after the slash also matches: `resnet50` suggests `keras/resnet50`.
    short = {key.rpartition("/")[2]: known for key, known in names.items()}
    near = difflib.get_close_matches(name.casefold(), {**short, **names}, n=3, cutoff=0.4)
    shown = list(dict.fromkeys({**short, **names}[key] for key in near)) or list(names.values())[:3]
    return UnknownModel(
        f"model {name!r} does not exist: did you mean {' or '.join(map(repr, shown))}? Run "
        "`diamond-cutter models` to list all models."
    )


def model_source(name: str) -> ModelSource:
    """Return the source of the weights of a model on this machine.

    Raises:
        UnknownModel: no model has the name.
        WeightsMissing: the weights are not on this machine.
    """
    require_model(name)
    if is_hub_name(name):
        return preset_source(name)
    if name in KERAS_APPLICATIONS:
        return keras_source(name)
    if name not in lucid_models():
        return package_source(name)
    graph = lucid_files(name)[0].path
    if not graph.is_file():
        raise WeightsMissing(
            f"the weights of {name} are not on this machine. Run `diamond-cutter models fetch "
            f"{name}` to download them."
        )
    return lucid_source(name, graph)


def lucid_files(name: str) -> tuple[WeightFile, ...]:
    """Return the files of a model in lucid's zoo: its graph, and its labels if it has any."""
    row, folder = lucid_models()[name], cache_folder() / "lucid"
    graph = WeightFile(row.weights, folder / row.weights_file)
    if row.labels is None or row.labels_file is None:
        return (graph,)
    return graph, WeightFile(row.labels, folder / row.labels_file)


def import_model(name: str) -> "Bundle":
    """Build the bundle of a known model.

    Raises:
        UnknownModel: no model has the name.
        WeightsMissing: the weights are not on this machine.
        BadModel: the weights are not valid.
    """
    model_source(name)
    if is_hub_name(name):
        from diamond_cutter.model_inventory.keras.hub_presets import import_preset

        return import_preset(name)
    if name in KERAS_APPLICATIONS:
        from diamond_cutter.model_inventory.keras.applications import import_keras_application

        return import_keras_application(name)
    if name in lucid_models():
        from diamond_cutter.model_inventory.lucid.zoo import import_lucid_model

        graph, *labels = lucid_files(name)
        return import_lucid_model(
            name, graph.path, next((file.path for file in labels if file.path.is_file()), None)
        )
    from diamond_cutter.model_inventory.efficientnet_lite import import_efficientnet_lite

    return import_efficientnet_lite(name)


def _listing(name: str) -> ModelListing:
    origin, layers, channels = origin_of(name), None, None
    if origin == "lucid":
        row = lucid_models()[name]
        height, width = row.image.height, row.image.width
        layers, channels = (
            (len(row.layers), sum(layer.channels for layer in row.layers))
            if row.layers
            else (None, None)
        )
    else:
        height = width = (
            KERAS_APPLICATIONS[name].image_size
            if origin == "keras"
            else EFFICIENTNET_LITE[name].image_size
        )
    return ModelListing(
        name=name,
        source=origin,
        height=height,
        width=width,
        layers=layers,
        channels=channels,
        weights=_weights_of(name, origin),
    )


def _weights_of(name: str, origin: Origin) -> str:
    if origin == "package":
        try:
            return f"here: {package_source(name).origin}"
        except WeightsMissing:
            return EFFICIENTNET_LITE[name].remedy
    file = KERAS_APPLICATIONS[name].weights_file if origin == "keras" else lucid_files(name)[0].path
    return "here" if file is not None and file.is_file() else f"diamond-cutter models fetch {name}"
