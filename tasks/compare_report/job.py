"""Everything that a comparison of two models is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from diamond_cutter.tasks.comparing.class_means import LeadingChannels
from diamond_cutter.tasks.comparing.images import ComparedImages
from diamond_cutter.tasks.comparing.layer_pairs import LayerPair
from diamond_cutter.tasks.comparing.similar_layers import SimilarLayersRecord
from diamond_cutter.tasks.comparing.spec import CompareSpec, PairedModel
from diamond_cutter.tasks.features.locating import Place
from diamond_cutter.tasks.photos.image_set import FoundImage, ImageSet

# The number and the class of each image of a label.
Labels = Mapping[str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class CompareJob:
    """The sources of a comparison.

    folder: of the comparison, in the bucket.
    images: all images of the folder; `place` is where the user has them.
    numbered: the same images; the position of an image is its number.
    compared: the images that count.
    refused: the reason for each unreadable image, by name.
    layers: as requested; names, globs or `main`.
    recipe_name: as requested; None for a recipe of the user's own.
    """

    bucket: str
    folder: str
    images: ImageSet
    place: str
    numbered: tuple[FoundImage, ...]
    compared: ComparedImages
    refused: Mapping[str, str]
    models: tuple[PairedModel, PairedModel]
    spec: CompareSpec
    layers: tuple[str, ...]
    recipe_name: str | None
    similar: SimilarLayersRecord


@dataclass(frozen=True)
class ShownChannels:
    """Channels of a pair of layers that are shown.

    channels: the first layer's channel, the second layer's channel, and their correlation.
    examples: for each model, the images that excite each channel most, by channel.
    """

    pair: LayerPair
    channels: tuple[tuple[int, int, float], ...]
    examples: tuple[Mapping[int, tuple[int, ...]], Mapping[int, tuple[int, ...]]]


@dataclass(frozen=True)
class Choice:
    """The channels and classes that a report shows.

    seen: pairs of layers with the channels that changed most.
    contributing: the pair of layers whose contributions to the classes are measured, if any.
    classes: for each model, the images of each label, each with its class.
    """

    seen: tuple[ShownChannels, ...]
    contributing: LayerPair | None
    classes: tuple[Labels, Labels]


@dataclass(frozen=True)
class Examined:
    """What a device found out about the shown channels and classes of one model.

    positions: of the highest activation, by layer, channel and image.
    leading: the channels that contribute most to each class, by its label.
    """

    positions: Mapping[Place, int] = field(default_factory=dict)
    leading: Mapping[str, LeadingChannels] = field(default_factory=dict)
