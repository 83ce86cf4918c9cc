"""What can go wrong with a bucket.

    StorageError
    ├── NotFound           the object, or the bucket itself, is not there
    ├── Conflict           somebody else's bytes are there: they were kept, nothing was written
    ├── AccessDenied       the place is there, but not for us
    ├── CredentialsError   we could not say who we are
    ├── Unavailable        no space, no answer, a failing disk: worth another try later
    ├── Corrupt            the bytes are not those whose checksum was asked for
    └── BadKey             no object can have this name

Each text is one sentence: what happened, what was expected, what was found, what to do next.
"""

from diamond_cutter.errors import DiamondCutterError


class StorageError(DiamondCutterError):
    """Anything that a bucket could not do."""


class NotFound(StorageError):
    """The object, or the bucket itself, is not there."""


class Conflict(StorageError):
    """Somebody else's bytes are there: they were kept, nothing was written."""


class AccessDenied(StorageError):
    """The place is there, but we may not do this to it."""


class CredentialsError(StorageError):
    """Credentials are missing, broken or expired."""


class Unavailable(StorageError):
    """The place has no space, gives no answer, or fails: worth another try later."""


class Corrupt(StorageError):
    """The bytes are not those whose checksum was asked for."""


class BadKey(StorageError):
    """No object can have this name here."""
