"""Choose the layers, channels and classes that a comparison shows."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.tasks.compare_report.job import Choice, CompareJob, ShownChannels
from diamond_cutter.tasks.comparing.accuracy import PairedTest, Predictions
from diamond_cutter.tasks.comparing.images import images_of_labels
from diamond_cutter.tasks.comparing.layer_pairs import LayerPair
from diamond_cutter.tasks.comparing.similar_layers import read_channels
from diamond_cutter.tasks.features.stored import feature_set, features_folder

EXAMPLES = 6
MOST_CLASSES = 12
_MOST_CHANGED = 3


def choose(job: CompareJob, differing: Sequence[str]) -> Choice:
    """Return what a report shows.

    Args:
        job: the sources of the report.
        differing: labels of the images, those about which the models differ most first.
    """
    if not job.spec.channels:
        return Choice((), None, ({}, {}))
    bucket = open_bucket(job.bucket)
    table = read_channels(bucket, job.similar)
    pairs = shown_pairs(job.similar.pairs, job.spec.show)
    seen = tuple(_channels(bucket, job, pair, table) for pair in pairs)
    contributing = contributing_pair(job)
    if contributing is None:
        return Choice(seen, None, ({}, {}))
    known = [
        images_of_labels(model, job.numbered, job.compared.tested) if model.outputs else {}
        for model in job.models
    ]
    names = [name for name in differing if any(name in each for each in known)][:MOST_CLASSES]
    first, second = ({name: each[name] for name in names if name in each} for each in known)
    return Choice(seen, contributing if names else None, (first, second))


def shown_pairs(pairs: Sequence[LayerPair], show: Sequence[str]) -> list[LayerPair]:
    """Return the pairs whose channels are shown, in forward order.

    Args:
        pairs: all pairs, in forward order.
        show: names of layers of the first model; if empty, the last pair and the three pairs that
            are least alike are shown.
    """
    matched = [pair for pair in pairs if pair.matched]
    if show:
        return [pair for pair in matched if pair.first in show]
    changed = sorted(
        (pair for pair in matched[:-1] if pair.cka is not None), key=lambda pair: pair.cka or 0.0
    )[:_MOST_CHANGED]
    kept = [*changed, *matched[-1:]]
    return [pair for pair in matched if pair in kept]


def contributing_pair(job: CompareJob) -> LayerPair | None:
    """Return the last pair of layers with rows and columns; None without any, or without logits."""
    first, second = job.models
    if not (first.outputs or second.outputs):
        return None
    spatial = [
        pair
        for pair in job.similar.pairs
        if first.card.layer(pair.first).height and second.card.layer(pair.second).height
    ]
    return spatial[-1] if spatial else None


def _channels(
    bucket: Bucket, job: CompareJob, pair: LayerPair, table: pd.DataFrame
) -> ShownChannels:
    rows = table[(table["layer"] == pair.first) & table["other_channel"].notna()]
    rows = rows.sort_values("correlation", kind="stable").head(job.spec.channels)
    channels = tuple(
        (int(one), int(other), float(correlation))
        for one, other, correlation in zip(
            rows["channel"], rows["other_channel"], rows["correlation"], strict=True
        )
    )
    first, second = (
        _examples(bucket, job, side, layer, [(each[0], each[1])[side] for each in channels])
        for side, layer in enumerate((pair.first, pair.second))
    )
    return ShownChannels(pair, channels, (first, second))


def _examples(
    bucket: Bucket, job: CompareJob, side: int, layer: str, channels: Sequence[int]
) -> dict[int, tuple[int, ...]]:
    """Return the numbers of the images with the highest features for each channel."""
    model = job.models[side]
    folder = features_folder(job.images.name, model.card.key, model.features)
    numbers = np.array(job.compared.measured)
    features = feature_set(bucket, folder, len(job.numbered)).read(layer, numbers.tolist())
    return {
        channel: tuple(
            numbers[np.argsort(-features[:, channel], kind="stable")[:EXAMPLES]].tolist()
        )
        for channel in channels
    }


def by_difference(
    first: Predictions | None, second: Predictions | None, test: PairedTest | None
) -> list[str]:
    """Return all labels; if both models were tested, those that they differ about most first."""
    names = sorted({name for each in (first, second) if each for name in each.labels})
    if test is None or first is None or second is None:
        return names
    differing = pd.Series(first.right != second.right).groupby(np.array(first.labels)).sum()
    return sorted(names, key=lambda name: (-int(differing.get(name, 0)), name))
