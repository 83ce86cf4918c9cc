"""The base of all exceptions of this package.

```
DiamondCutterError
├── ModelError               UnknownModel, AmbiguousModel, UnknownLayer, WeightsMissing, BadModel,
│                            NothingToFetch
├── StorageError             NotFound, Conflict, AccessDenied, CredentialsError, Unavailable,
│                            BadKey, Corrupt (BadPreset)
├── RequestError             the request contradicts itself or names something that does not exist
├── PrefectServerError       the Prefect server is missing or does not start
├── BadPhotos, UnreadablePhoto (GonePhoto), SheetTooLarge
└── exit code 1              WorkerError (WorkerDied, WorkerTimedOut, WorkerRaised, SlotsClosed),
                             SpritesMissing, SpritesFailed, AttributionFailed, CutFailed
```
"""


class DiamondCutterError(Exception):
    """An error whose text is for the user: what is wrong, what was expected, and what to do.

    Attributes:
        exit_code: of the command that the error ends: 2 for bad input, 1 for work that failed.
    """

    exit_code = 2
