"""Find the channels that tell each class from the others, and where they respond."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.cut_report.image_results import classes_with_channels
from diamond_cutter.tasks.cut_report.job import ComparisonJob
from diamond_cutter.tasks.cutting.dataset import Part
from diamond_cutter.tasks.cutting.probe import Features, fit, standardised
from diamond_cutter.tasks.features.locating import highest_positions
from diamond_cutter.tasks.features.spec import channel_of
from diamond_cutter.tasks.features.stored import feature_set, features_folder
from diamond_cutter.tasks.importing.stored import read_bundle
from diamond_cutter.tasks.photos.image_set import FoundImage

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.bundle import Bundle

EXAMPLES = 6


@dataclass(frozen=True)
class SeparatingChannel:
    """A channel that tells a class from the others.

    weight: of its feature in the probe, for one deviation of the feature.
    images: numbers of the class's images with the highest features, in descending order.
    positions: where the activation of each of them is highest; empty until it was located.
    """

    channel: int
    weight: float
    images: tuple[int, ...]
    positions: tuple[int, ...] = ()


def separate(job: ComparisonJob) -> list[list[SeparatingChannel]]:
    """Find and locate the channels in this process, by class."""
    spec = job.best_model.spec
    part, best = job.dataset.choosing, job.comparison.best
    folder = features_folder(job.images.name, job.best_card.key, spec)
    found = feature_set(open_bucket(job.bucket), folder, len(job.labelled))
    channels = separating_channels(
        found.read(best.layer, part.numbers.tolist()),
        part,
        job.best_layer.channels,
        best.scores.probe.penalty,
        job.spec.channels,
    )
    shown = classes_with_channels(job.dataset, best, job.comparison.last)
    channels = [each if number in shown else [] for number, each in enumerate(channels)]
    bundle = read_bundle(job.bucket, job.best_card.key)
    return located(bundle, best.layer, channels, dict(enumerate(job.labelled)))


def separating_channels(
    features: Features, part: Part, channels: int, penalty: float, count: int
) -> list[list[SeparatingChannel]]:
    """Return the channels with the highest weights for each class, in descending order.

    The weights are those of a logistic regression on the standardised features of all images, so
    they say how much one deviation of a feature adds to the class's logit. A channel counts by the
    highest weight of its features.

    Args:
        features: float32 `[image, feature]`.
        part: the images' labels.
        channels: of the layer.
        penalty: inverse strength of the penalty.
        count: the most channels of a class.
    """
    (scaled,) = standardised(features)
    weights = fit(scaled, part.labels, penalty).coef_
    if len(weights) == 1:
        # With two classes, one set of weights tells the second class from the first.
        weights = np.stack([-weights[0], weights[0]])
    return [
        _channels_of(weights[number], features, part, number, channels, count)
        for number in range(len(weights))
    ]


def _channels_of(
    weights: npt.NDArray[np.float64],
    features: Features,
    part: Part,
    number: int,
    channels: int,
    count: int,
) -> list[SeparatingChannel]:
    found, taken = list[SeparatingChannel](), set[int]()
    of_class = np.flatnonzero(part.labels == number)
    for feature in np.argsort(-weights, kind="stable"):
        channel = channel_of(int(feature), channels)
        if len(found) == count or weights[feature] <= 0:
            break
        if channel in taken:
            continue
        taken.add(channel)
        order = np.argsort(-features[of_class, feature], kind="stable")[:EXAMPLES]
        images = tuple(part.numbers[of_class[order]].tolist())
        found.append(SeparatingChannel(channel, float(weights[feature]), images))
    return found


def located(
    bundle: "Bundle",
    layer: str,
    channels: Sequence[Sequence[SeparatingChannel]],
    images: Mapping[int, FoundImage],
) -> list[list[SeparatingChannel]]:
    """Return the channels with the position of the highest activation in each of their images.

    Args:
        bundle: of the model.
        layer: the layer of the channels.
        channels: of each class.
        images: all images, by number.
    """
    wanted = [
        (layer, each.channel, number)
        for of_class in channels
        for each in of_class
        for number in each.images
    ]
    places = highest_positions(bundle, wanted, images)
    return [
        [
            SeparatingChannel(
                each.channel,
                each.weight,
                each.images,
                tuple(places.get((layer, each.channel, number), 0) for number in each.images),
            )
            for each in of_class
        ]
        for of_class in channels
    ]
