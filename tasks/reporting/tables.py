"""Build the Parquet tables of a report."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.attribution.examples import QUANTILES, ExampleImages, Examples
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.totals import SetName, Totals
from diamond_cutter.tasks.reporting.dataset_sums import DatasetSums
from diamond_cutter.tasks.reporting.layer_contents import FoundGroups

_TITLES = {"all": "all images", "right": "right predictions", "wrong": "wrong predictions"}


def set_title(card: ModelCard, name: SetName) -> str:
    """Return the title of a set of images."""
    if name.kind == "class":
        return card.class_label(name.number).name
    return name.label if name.kind == "label" else _TITLES[name.kind]


def images_table(card: ModelCard, sums: DatasetSums) -> pd.DataFrame:
    """Return one row for each image."""
    table = pd.DataFrame(sums.images)
    table["predicted_name"] = [card.class_label(number).name for number in table["predicted"]]
    return table


def channels_table(card: ModelCard, spec: AttributionSpec, totals: Totals) -> pd.DataFrame:
    """Return one row for each set of images, layer and channel."""
    tables = []
    for name in totals.ordered():
        for layer in spec.layers:
            found = totals.sets[name][layer]
            tables.append(
                pd.DataFrame(
                    {
                        "set_kind": name.kind,
                        "set": set_title(card, name),
                        "images": found.images,
                        "layer": layer,
                        "channel": np.arange(len(found.mean), dtype=np.int32),
                        "attribution_mean": found.mean.astype(np.float32),
                        "attribution_spread": found.spread.astype(np.float32),
                        "positive_share": found.positive_share.astype(np.float32),
                        "highest_activation_mean": found.mean_highest.astype(np.float32),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def examples_table(examples: Mapping[str, Examples]) -> pd.DataFrame:
    """Return one row for each example of a channel; `quantile` is NaN for the highest ones."""
    tables = []
    for layer, found in examples.items():
        highest, sampled = found.highest(), found.at_quantiles()
        tables.append(_examples(layer, highest, [float("nan")] * highest.values.shape[1]))
        tables.append(_examples(layer, sampled, list(QUANTILES)))
    return pd.concat(tables, ignore_index=True)


def _examples(layer: str, found: ExampleImages, quantiles: list[float]) -> pd.DataFrame:
    channels, places = found.values.shape
    table = pd.DataFrame(
        {
            "layer": layer,
            "channel": np.repeat(np.arange(channels, dtype=np.int32), places),
            "quantile": np.tile(np.array(quantiles, np.float32), channels),
            "image": found.images.ravel(),
            "activation": found.values.ravel(),
            "position": found.where.ravel(),
        }
    )
    return table[table["image"] >= 0]


def groups_table(groups: Mapping[str, FoundGroups]) -> pd.DataFrame:
    """Return one row for each layer, group and channel."""
    tables = [
        pd.DataFrame(
            {
                "layer": layer,
                "group": number,
                "channel": np.arange(len(direction), dtype=np.int32),
                "weight": np.array(direction, np.float32),
                "group_attribution": found.attribution[number],
            }
        )
        for layer, found in groups.items()
        for number, direction in enumerate(found.directions)
    ]
    columns = ["layer", "group", "channel", "weight", "group_attribution"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
