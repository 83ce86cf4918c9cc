"""A bucket in a local folder.

Objects are plain files named by their keys. A new one is written to `.staging/<host>.<pid>.<uuid>`,
flushed, then linked or renamed into its place, so that nobody ever sees half of it. Names that
cannot be keys, and symbolic links, are no part of the bucket. Replacing and deleting exclude each
other by `flock`: from several hosts at once they need a filesystem that honours it, which old NFS
does not. Creating does not need it, except where the filesystem has no hard links.
"""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from diamond_cutter.storage import staging
from diamond_cutter.storage.bucket import (
    ObjectInfo,
    PutMode,
    Token,
    check_folder,
    check_key,
    check_prefix,
    content_type_of,
    crc32c,
    is_name,
)
from diamond_cutter.storage.errors import AccessDenied, BadKey, Conflict, Corrupt, NotFound
from diamond_cutter.storage.staging import Staged

_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class LocalBucket:
    """A bucket in a local folder, which the first `put` makes if need be."""

    def __init__(self, root: Path) -> None:
        # Absolute, but not resolved: a later change of the working directory must not move it, a
        # link may be moved on purpose.
        self._root = Path(os.path.abspath(root))
        self._staging = self._root / ".staging"
        self._swept = False
        self.url = self._root.as_uri()
        self.transfers = 1

    def check(self) -> None:
        """Raise, with the remedy, unless objects can be kept here."""
        doing = f"keep objects in {self._root}"
        place = next(
            path
            for path in (self._staging, self._root, *self._root.parents)
            if os.path.lexists(path)
        )
        with self._explained(doing), tempfile.TemporaryFile(dir=_folder(place)) as probe:
            probe.write(b"x")
            probe.flush()

    def put(self, key: str, data: bytes | Path, *, mode: PutMode = "create") -> ObjectInfo:
        """Keep the bytes, or those of a file, under the key.

        Raises:
            Conflict: other bytes are there (`create`), or the object is gone or another version
                (token).
        """
        if not isinstance(mode, Token) and mode not in ("create", "overwrite"):
            raise ValueError(f"mode is {mode!r}; it must be 'create', 'overwrite' or a Token")
        path = self._path(key)
        with self._explained(f"keep {key!r} in {self._root}"), staging.opened(data) as source:
            self._prepare(path.parent)
            with staging.staged(self._staging / staging.staging_name(), source) as new:
                return (
                    self._create(key, path, new)
                    if mode == "create"
                    else self._replace(key, path, new, mode)
                )

    def get(self, key: str, *, want_crc: int | None = None) -> bytes:
        """Return the object's bytes.

        Raises:
            NotFound: there is no such object.
            Corrupt: the CRC32C of the bytes is not `want_crc`.
        """
        with self._reading(key) as source:
            data = source.read()
        if want_crc is not None:
            self._check_crc(key, crc32c(data), want_crc)
        return data

    def fetch(self, key: str, path: Path, *, want_crc: int | None = None) -> ObjectInfo:
        """Copy the object to a file, whole or not at all, making the folders that it needs.

        Raises:
            NotFound: there is no such object.
            Corrupt: the CRC32C of the bytes is not `want_crc`; what was at `path` before is still
                there.
        """
        with self._reading(key) as source, staging.explained(f"copy {key!r} to {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with staging.staged(path.with_name("." + staging.staging_name()), source) as new:
                if want_crc is not None:
                    self._check_crc(key, new.crc32c, want_crc)
                os.replace(new.path, path)
                return _info(key, os.fstat(source.fileno()), new.crc32c)

    def stat(self, key: str) -> ObjectInfo | None:
        """Return what is known of the object, or None where there is none."""
        with self._explained(f"look at {key!r} in {self._root}"):
            found = _stat(self._path(key))
        return _info(key, found) if found else None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with the prefix, in the byte order of their keys."""
        check_prefix(prefix)
        folder = prefix[: prefix.rfind("/") + 1]
        return self._walk(folder, prefix)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Yield the folders right below `prefix` that hold an object, each ending in '/', in byte
        order.
        """
        check_folder(prefix)
        subfolders = (key for key, _ in self._entries(prefix) if key.endswith("/"))
        return (key for key in subfolders if next(self._walk(key, key), None))

    def delete(self, key: str, *, token: Token | None = None) -> None:
        """Remove the object, or only the version that the token names; an object that is not there
        is fine.

        Raises:
            Conflict: the object is another version than the token's.
        """
        path = self._path(key)
        with self._explained(f"delete {key!r} in {self._root}"):
            if not _stat(path):
                return
            with staging.locked(self._staging):
                found = _stat(path)
                if not found:
                    return
                if token:
                    self._check_token(key, found, token)
                path.unlink()
                staging.sync_folder(path.parent)

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._inside(key)

    def _inside(self, key: str) -> Path:
        root = os.path.realpath(self._root)
        path = os.path.join(root, key) if key else root
        if os.path.realpath(path) != path:
            raise AccessDenied(
                f"{key!r} in {self._root} goes through a symbolic link, which no bucket may hold; "
                "put a real folder there."
            )
        return Path(path)

    def _prepare(self, folder: Path) -> None:
        staging.make_folders(self._staging)
        staging.make_folders(folder)
        if not self._swept:
            self._swept = True
            staging.sweep(self._staging)

    def _create(self, key: str, path: Path, new: Staged) -> ObjectInfo:
        status = staging.redate(new.path, None)
        try:
            os.link(new.path, path)
        except FileExistsError:
            return self._adopt(key, path, new)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            with staging.locked(self._staging):
                if os.path.lexists(path):
                    return self._adopt(key, path, new)
                os.replace(new.path, path)
        staging.sync_folder(path.parent)
        return _info(key, status, new.crc32c)

    def _adopt(self, key: str, path: Path, new: Staged) -> ObjectInfo:
        self._refuse_folder(key, path)
        with open(path, "rb") as there:
            status, crc = os.fstat(there.fileno()), staging.checksum(there)
        if (status.st_size, crc) != (new.size, new.crc32c):
            raise Conflict(
                f"Key {key!r} in {self._root} was kept because it holds other bytes "
                f"({status.st_size} with CRC32C {crc:08x}) than "
                f"the new ones ({new.size} with {new.crc32c:08x}); use what is there, or choose "
                "another key."
            )
        # Its writer may not have come to this yet, and our caller goes on to build on it.
        staging.sync_folder(path.parent)
        return _info(key, status, crc)

    def _replace(self, key: str, path: Path, new: Staged, mode: PutMode) -> ObjectInfo:
        with staging.locked(self._staging):
            self._refuse_folder(key, path)
            found = _stat(path)
            if isinstance(mode, Token):
                self._check_token(key, found, mode)
            status = staging.redate(new.path, found)
            os.replace(new.path, path)
            staging.sync_folder(path.parent)
        return _info(key, status, new.crc32c)

    def _refuse_folder(self, key: str, path: Path) -> None:
        if path.is_dir():
            raise BadKey(
                f"Key {key!r} cannot be kept in {self._root} because it is a folder there; choose "
                "another key."
            )

    @contextmanager
    def _reading(self, key: str) -> Iterator[BinaryIO]:
        path = self._path(key)
        with self._explained(f"read {key!r} in {self._root}"):
            try:
                source = open(path, "rb") if _stat(path) else None
            except FileNotFoundError:
                source = None
            if not source:
                raise NotFound(
                    f"There is no {key!r} in {self._root}; look at what is there, or run the step "
                    "that makes it."
                )
            with source:
                yield source

    def _walk(self, folder: str, prefix: str) -> Iterator[ObjectInfo]:
        for key, found in self._entries(folder):
            if not key.startswith(prefix):
                continue
            if found:
                yield _info(key, found)
            else:
                yield from self._walk(key, prefix)

    def _entries(self, folder: str) -> Sequence[tuple[str, os.stat_result | None]]:
        """Return the keys in the folder, in byte order, with their status; a subfolder's key ends
        in '/' and has none.
        """
        path = self._inside(folder.rstrip("/"))
        with self._explained(f"list {folder!r} in {self._root}"):
            try:
                return sorted(_scan(path, folder), key=lambda entry: entry[0])
            except FileNotFoundError:
                return []
            except NotADirectoryError:
                if self._root.is_dir():
                    return []
                raise

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        with staging.explained(doing):
            try:
                yield
            except NotADirectoryError as error:
                raise self._explain_file(error, doing) from error

    def _explain_file(self, error: NotADirectoryError, doing: str) -> NotFound | BadKey:
        path = Path(error.filename)
        culprit = next(place for place in (path, *path.parents) if os.path.lexists(place))
        why = f"Not able to {doing} because {culprit} is a file where a folder is needed"
        return (
            BadKey(f"{why}; choose another key.")
            if self._root.is_dir()
            else NotFound(f"{why}; give the path of a folder.")
        )

    def _check_token(self, key: str, found: os.stat_result | None, token: Token) -> None:
        if not found:
            raise Conflict(
                f"Key {key!r} in {self._root} was to be replaced but is not there any more; "
                "create it instead."
            )
        if _token(found) != token:
            raise Conflict(
                f"Key {key!r} in {self._root} has changed since it was looked at and was kept; "
                "look again, then try again."
            )

    def _check_crc(self, key: str, crc: int, want_crc: int) -> None:
        if crc != want_crc:
            raise Corrupt(
                f"The bytes of {key!r} in {self._root} have CRC32C {crc:08x} where {want_crc:08x} "
                "was expected; "
                "delete the object and make it again."
            )


def _folder(place: Path) -> Path:
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    return place


def _scan(path: Path, folder: str) -> Iterator[tuple[str, os.stat_result | None]]:
    with os.scandir(path) as entries:
        for entry in entries:
            if not is_name(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield f"{folder}{entry.name}/", None
            elif found := _stat(Path(entry.path)):
                yield folder + entry.name, found


def _stat(path: Path) -> os.stat_result | None:
    try:
        found = os.stat(path, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _token(found: os.stat_result) -> Token:
    return Token(f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}")


def _info(key: str, found: os.stat_result, crc: int | None = None) -> ObjectInfo:
    updated = datetime.fromtimestamp(found.st_mtime, UTC)
    return ObjectInfo(key, found.st_size, crc, _token(found), updated, content_type_of(key))
