"""The keys of comparisons of two models.

reports/<dataset>@<hash8>/<model>@<hash8>+<model>@<hash8>/compare@<hash8>/
  layers.json                          the record of similar layers and matched channels
  channels.<sha16>.parquet             all channels with their counterparts
  report.json, index.html, ...         as in other reports

The features of each model are where a search for a cut has them.
"""

from diamond_cutter.storage.sets.report_keys import report_folder


def compare_folder(dataset: str, models: tuple[str, str], compare: str) -> str:
    """Return the folder of a comparison, given the keys of its models."""
    return report_folder(dataset, "+".join(models), compare)


def similar_layers_key(folder: str) -> str:
    """Return the key of the record of similar layers and matched channels."""
    return f"{folder}layers.json"
