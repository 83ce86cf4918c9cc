"""The keys of a training of new layers.

reports/<dataset>@<hash8>/<model>@<hash8>/attach@<hash8>/
  epochs/0003.json, 0003.<sha16>.npz   the state after an epoch; those before the last two go
  attached.json                        the commit of the training
  attached.<sha16>.npz                 the trained weights
  attached.<sha16>.svg                 the chart of its history
"""


def epochs_folder(folder: str) -> str:
    """Return the folder of the states after each epoch."""
    return f"{folder}epochs/"


def epoch_key(folder: str, place: int) -> str:
    """Return the key of the record of an epoch, by its place in the history."""
    return f"{epochs_folder(folder)}{place:04d}.json"


def attached_key(folder: str) -> str:
    """Return the key of the record that commits a training."""
    return f"{folder}attached.json"
