"""Errors of buckets.

    StorageError
    ├── NotFound           the object, or the bucket, does not exist
    ├── Conflict           another version exists: it was kept and nothing was written
    ├── AccessDenied       the access is not allowed
    ├── CredentialsError   the credentials are missing, invalid or expired
    ├── Unavailable        no space, no response, a failing disk: a later attempt can succeed
    ├── Corrupt            the bytes do not have the expected checksum
    └── BadKey             the key is not valid

Each text says what happened, what was expected, what was found, and what to do.
"""

from diamond_cutter.errors import DiamondCutterError


class StorageError(DiamondCutterError):
    """An operation on a bucket failed."""


class NotFound(StorageError):
    """The object, or the bucket, does not exist."""


class Conflict(StorageError):
    """Another version exists: it was kept and nothing was written."""


class AccessDenied(StorageError):
    """The access is not allowed."""


class CredentialsError(StorageError):
    """The credentials are missing, invalid or expired."""


class Unavailable(StorageError):
    """The store is full, does not respond or fails: a later attempt can succeed."""


class Corrupt(StorageError):
    """The bytes do not have the expected checksum."""


class BadKey(StorageError):
    """The key is not valid."""
