"""The base of all exceptions of this package.

```
DiamondCutterError
├── ModelError               UnknownModel, AmbiguousModel, UnknownLayer, WeightsMissing, BadModel
│                            (Quantised), NoKerasModel, NothingToFetch
├── StorageError             NotFound, Conflict, AccessDenied, CredentialsError, Unavailable,
│                            BadKey, Corrupt (BadPreset)
├── RequestError             the request contradicts itself or names something that does not exist
├── PrefectServerError       the Prefect server is missing or does not start
├── BadPhotos, UnreadablePhoto (GonePhoto), SheetTooLarge
├── BadDevices, DeviceMissing, UnsafeFolder
└── exit code 1              WorkerError (WorkerDied, WorkerTimedOut, WorkerRaised, SlotsClosed,
                             NoDeviceLeft), SpritesMissing, SpritesFailed, AttributionFailed,
                             CutFailed, RunnerLost, TaskLost, TensorFlowBroken,
                             BudgetSpent (only within a flow)
```
"""

import re

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# Keras quotes the whole description of a layer and then the reason, once for each outer model.
_REASON = re.compile(r".*Exception encountered: (?=.)", re.DOTALL)


class DiamondCutterError(Exception):
    """An error whose text is for the user: what is wrong, what was expected, and what to do.

    Attributes:
        exit_code: of the command that the error ends: 2 for bad input, 1 for work that failed.
    """

    exit_code = 2


def first_line(error: BaseException, limit: int | None = 200) -> str:
    """Return the first line of an error's text, or its type, without a full stop at the end.

    Args:
        error: of this package or of a library.
        limit: the most characters; None for all.
    """
    text = _REASON.sub("", _COLOURS.sub("", str(error)))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # Keras begins with the layer; the cause is on the next line.
    causes = [line for line in lines if not line.startswith("Exception encountered")]
    return [*causes, *lines, type(error).__name__][0][:limit].rstrip(".")
