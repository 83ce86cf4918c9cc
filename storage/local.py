"""A bucket in a local folder.

Objects are regular files named by their keys. A new file is written to
`.staging/<host>.<pid>.<uuid>`, flushed, then linked or renamed, so that readers never see a part of
it. Files with invalid keys and symbolic links are ignored. Replacing and deleting exclude each
other by `flock`; several hosts need a filesystem that supports it, which old NFS does not. Creating
does not need it, unless the filesystem has no hard links.
"""

import errno
import os
import stat
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
    """A bucket in a local folder, which the first `put` creates if it is missing."""

    def __init__(self, root: Path) -> None:
        # Absolute, so that a change of the working directory does not move the bucket. Links are
        # not resolved, because users may redirect them on purpose.
        self._root = Path(os.path.abspath(root))
        self._staging = self._root / staging.FOLDER_NAME
        self._swept = False
        self.url = self._root.as_uri()
        self.transfers = 1

    def check(self) -> None:
        """Check that objects can be written; raise an error that says what to do if not."""
        with self._explained(f"write to {self._root}"):
            staging.check_writable(self._staging)

    def put(self, key: str, data: bytes | Path, *, mode: PutMode = "create") -> ObjectInfo:
        """Write bytes, or the content of a file, to the key.

        Raises:
            Conflict: the key holds other bytes (`create`), or another version or none (token).
        """
        if not isinstance(mode, Token) and mode not in ("create", "overwrite"):
            raise ValueError(f"mode is {mode!r}: expected 'create', 'overwrite' or a Token")
        path = self._path(key)
        with self._explained(f"write {key!r} to {self._root}"), staging.opened(data) as source:
            self._prepare(path.parent)
            with staging.staged(self._staging / staging.staging_name(), source) as new:
                return (
                    self._create(key, path, new)
                    if mode == "create"
                    else self._replace(key, path, new, mode)
                )

    def get(self, key: str, *, want_crc: int | None = None) -> bytes:
        """Return the bytes of the object.

        Raises:
            NotFound: the object does not exist.
            Corrupt: the CRC32C of the bytes is not `want_crc`.
        """
        with self._reading(key) as source:
            data = source.read()
        if want_crc is not None:
            self._check_crc(key, crc32c(data), want_crc)
        return data

    def fetch(self, key: str, path: Path, *, want_crc: int | None = None) -> ObjectInfo:
        """Copy the object to a file, whole or not at all, and create missing folders.

        Raises:
            NotFound: the object does not exist.
            Corrupt: the CRC32C of the bytes is not `want_crc`. A file at `path` is kept.
        """
        with self._reading(key) as source, staging.explained(f"copy {key!r} to {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with staging.staged(path.with_name("." + staging.staging_name()), source) as new:
                if want_crc is not None:
                    self._check_crc(key, new.crc32c, want_crc)
                os.replace(new.path, path)
                return _info(key, os.fstat(source.fileno()), new.crc32c)

    def stat(self, key: str) -> ObjectInfo | None:
        """Return the metadata of the object, or None if it does not exist."""
        with self._explained(f"read {key!r} in {self._root}"):
            found = _stat(self._path(key))
        return _info(key, found) if found else None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with the prefix, in the byte order of their keys."""
        check_prefix(prefix)
        folder = prefix[: prefix.rfind("/") + 1]
        return self._walk(folder, prefix)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Yield the folders directly in the folder `prefix`, each ending in '/', in byte order."""
        check_folder(prefix)
        subfolders = (key for key, _ in self._entries(prefix) if key.endswith("/"))
        return (key for key in subfolders if next(self._walk(key, key), None))

    def delete(self, key: str, *, token: Token | None = None) -> None:
        """Delete the object, if it exists; with a token only the version that it names.

        Raises:
            Conflict: the object has another version.
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
                f"{key!r} in {self._root} leads through a symbolic link, which buckets must not "
                "contain. Replace the link by a folder."
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
                f"key {key!r} in {self._root} exists with other content: expected {new.size} bytes "
                f"with CRC32C {new.crc32c:08x}, found {status.st_size} with {crc:08x}. Use the "
                "existing object, or choose another key."
            )
        # The other writer may not have flushed the folder yet, and our caller relies on the object.
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
                f"key {key!r} cannot be written to {self._root}: it is a folder there. Choose "
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
                    f"{key!r} does not exist in {self._root}. Run the step that creates it."
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
        """Return the sorted keys in the folder with their status; subfolders end in '/' without."""
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
        why = f"cannot {doing}: expected the folder {culprit}, found a file"
        return (
            BadKey(f"{why}. Remove the file, or choose another bucket.")
            if self._root.is_dir()
            else NotFound(f"{why}. Give the path of a folder.")
        )

    def _check_token(self, key: str, found: os.stat_result | None, token: Token) -> None:
        if not found:
            raise Conflict(
                f"key {key!r} in {self._root} was deleted before it was replaced. Create it "
                "instead."
            )
        if _token(found) != token:
            raise Conflict(
                f"key {key!r} in {self._root} has changed since it was read, and was kept. Read it "
                "again, then try again."
            )

    def _check_crc(self, key: str, crc: int, want_crc: int) -> None:
        if crc != want_crc:
            raise Corrupt(
                f"{key!r} in {self._root} is damaged: expected CRC32C {want_crc:08x}, found "
                f"{crc:08x}. Delete the object and create it again."
            )


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
