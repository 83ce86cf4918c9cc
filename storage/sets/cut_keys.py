"""The keys of features, scores and trained heads, and of the reports on where to cut.

reports/<dataset>@<hash8>/
  <model>@<hash8>/features@<hash8>/  features of a set of images by one model
    features/00000-00511.json          record of the features of some images
    features/<layer>/00000-00511.<sha16>.parquet   their features at a layer
    costs.json                         parameters, multiplications and time of each layer
  <model>@<hash8>/cut@<hash8>/       scores of these features, for one division of the images
    scores/<layer>.json                the scores of a layer
    together.json                      the scores of layers that are concatenated
    trained/<layers hash8>.json        heads that were trained on some layers
  comparison/cut@<hash8>/            the report on several models
    report.json, index.html, ...       as in other reports
"""

import hashlib
from collections.abc import Sequence

from diamond_cutter.storage.sets.layout import escape, fingerprinted
from diamond_cutter.storage.sets.report_keys import report_folder

# Stands where other reports have a model, whose name always contains an @.
COMPARISON = "comparison"


def comparison_folder(dataset: str, cut: str) -> str:
    """Return the folder of the report on several models."""
    return report_folder(dataset, COMPARISON, cut)


def features_record_key(folder: str, first: int, end: int) -> str:
    """Return the key of the record of the features of images `first` to `end` - 1."""
    return f"{folder}features/{first:05d}-{end - 1:05d}.json"


def features_key(folder: str, layer: str, first: int, end: int, data: bytes) -> str:
    """Return the key of the features of these images at a layer."""
    return fingerprinted(
        f"{folder}features/{escape(layer)}/{first:05d}-{end - 1:05d}.json", data, "parquet"
    )


def costs_key(folder: str) -> str:
    """Return the key of the record of what the layers of a model cost."""
    return f"{folder}costs.json"


def scores_key(folder: str, layer: str) -> str:
    """Return the key of the record of the scores of a layer."""
    return f"{folder}scores/{escape(layer)}.json"


def together_key(folder: str) -> str:
    """Return the key of the record of layers that are concatenated."""
    return f"{folder}together.json"


def trained_key(folder: str, layers: Sequence[str]) -> str:
    """Return the key of the record of the heads that were trained on these layers."""
    digest = hashlib.sha256("\n".join(layers).encode()).hexdigest()
    return f"{folder}trained/{digest[:8]}.json"
