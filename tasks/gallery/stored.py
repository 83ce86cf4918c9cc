"""Write and check the files of a gallery in the bucket."""

import io
import re
from collections.abc import Collection, Iterator, Mapping

from PIL import WebPImagePlugin

from diamond_cutter.storage import Bucket, Corrupt, NotFound, ObjectInfo, crc32c
from diamond_cutter.storage.bucket import is_key
from diamond_cutter.storage.sets.layout import (
    gallery_asset_key,
    gallery_data_key,
    gallery_key,
    is_gallery_file,
    set_folder,
    view_record_key,
)
from diamond_cutter.storage.sets.records import FileRef, PublishedFiles
from diamond_cutter.storage.sets.sprite_set import commit, put_determined, read_record
from diamond_cutter.storage.sets.views import Finding, check_view, is_published
from diamond_cutter.tasks.gallery.pages import judge_set_page
from diamond_cutter.tasks.gallery.site import (
    is_data_script,
    layer_files,
    layer_keys,
    layer_record_key,
)
from diamond_cutter.tasks.gallery.sources import LayerSource, SetSource
from diamond_cutter.tasks.gallery.words import words_file, words_key
from diamond_cutter.tasks.pages.scripts import read_script

_NAMED = re.compile(r"[A-Za-z0-9_=@+,./-]*gallery\.[0-9a-f]{16}\.(?:css|js|svg|webp)")
# The only file at the top that is named by its sources and has a record, as the layers' files do.
_WORDS = re.compile(rb'"words": "(gallery\.[0-9a-f]{16}\.js)"')
_AGAIN = "The next run publishes it again"


def has_layer(bucket: Bucket, model: str, recipe: str, source: LayerSource) -> bool:
    """Tell whether the published files of a layer are whole."""
    if source.in_progress:  # its data is in the page
        return True
    return _has(bucket, layer_record_key(model, recipe, source), layer_keys(model, recipe, source))


def put_layer(bucket: Bucket, model: str, recipe: str, source: LayerSource) -> None:
    """Write the files of a layer, and their record.

    Raises:
        Corrupt, NotFound: a spritemap is missing or differs from its record.
    """
    files = layer_files(bucket, model, recipe, source)
    _put(bucket, layer_record_key(model, recipe, source), files)


def put_words(bucket: Bucket, source: SetSource) -> str:
    """Write the index of a set's words and its record, unless they are whole; return its key."""
    key, record_key = words_key(source), words_key(source, "json")
    if not _has(bucket, record_key, [key]):
        _put(bucket, record_key, {key: words_file(bucket, source)})
    return key


def _has(bucket: Bucket, key: str, files: Collection[str]) -> bool:
    """Tell whether a record names exactly these files, and they are whole."""
    record = read_record(bucket, key, PublishedFiles)
    if record is None or {file.key for file in record.files} != set(files):
        return False
    return _are_whole(
        bucket, record, {info.key: info for info in bucket.list(key.removesuffix("json"))}
    )


def _put(bucket: Bucket, key: str, files: Mapping[str, bytes]) -> None:
    record = PublishedFiles(
        files=tuple(
            FileRef.of(put_determined(bucket, name, data), crc32c(data))
            for name, data in files.items()
        )
    )
    commit(bucket, key, record, lambda theirs: theirs == record)


def gallery_checks(
    bucket: Bucket, model: str, recipe: str, *, committed: bool, reread: bool = False
) -> Iterator[Finding | None]:
    """Yield a finding, or None, for the page of a set and for each file that the page names.

    Args:
        bucket: the bucket.
        model: the model's key.
        recipe: the recipe's key.
        committed: whether a run has ended, so that a published page must exist.
        reread: read every file, even if the bucket stores its checksum.
    """
    folder, key = set_folder(model, recipe), gallery_key(model, recipe)
    known = bucket.stat(view_record_key(key)) is not None
    if not known and bucket.stat(key) is None:
        return
    found = check_view(bucket, key, due=committed, judge=judge_set_page)
    yield found
    yield from _checks_of_data(bucket, gallery_data_key(model, recipe), committed)
    if found is None or found.problem is None:
        yield from _checks_of_files(bucket, folder, key, reread)


def _checks_of_data(bucket: Bucket, key: str, committed: bool) -> Iterator[Finding | None]:
    """Check the data for open pages, which galleries of earlier versions lack."""
    known = bucket.stat(view_record_key(key)) is not None
    if known or bucket.stat(key) is not None:
        yield check_view(bucket, key, due=committed and known, judge=is_data_script)


def _checks_of_files(
    bucket: Bucket, folder: str, page: str, reread: bool
) -> Iterator[Finding | None]:
    try:
        data = bucket.get(page)
    except NotFound:
        return
    named = sorted(folder + name for name in set(_NAMED.findall(data.decode(errors="replace"))))
    listed = {info.key: info for info in bucket.list(folder) if is_gallery_file(info.key)}
    words = {folder + name.decode() for name in _WORDS.findall(data)}
    layers: dict[str, list[str]] = {}
    for key in filter(is_key, named):
        if key.count("/") == folder.count("/") and key not in words:
            yield _check_asset(bucket, folder, key)
        else:
            layers.setdefault(key.rpartition(".")[0] + ".json", []).append(key)
    published = is_published(bucket, page, data) is True
    for record_key, files in layers.items():
        record = read_record(bucket, record_key, PublishedFiles)
        if record is None and (published or record_key in listed):
            yield Finding(record_key, f"The record is missing or unreadable. {_AGAIN}.")
        elif record is None:
            yield from (_check_unrecorded(bucket, file) for file in files)
        else:
            known = {file.key: file for file in record.files}
            for file in files:
                yield _check_file(bucket, known.get(file), file, listed.get(file), reread)


def _check_asset(bucket: Bucket, folder: str, key: str) -> Finding | None:
    """Check a script, a style or an icon against the hash in its name."""
    try:
        sound = gallery_asset_key(folder, bucket.get(key), key.rpartition(".")[2]) == key
    except NotFound:
        sound = False
    return (
        None
        if sound
        else Finding(key, f"The file is missing or does not match the hash in its name. {_AGAIN}.")
    )


def _check_file(
    bucket: Bucket, file: FileRef | None, key: str, listed: ObjectInfo | None, reread: bool
) -> Finding | None:
    if file is not None and file.is_whole_in(bucket, listed, reread=reread):
        return None
    return Finding(key, f"The file is missing or differs from its record. {_AGAIN}.")


def _check_unrecorded(bucket: Bucket, key: str) -> Finding:
    """Check the form of a layer's file without a record: valid data, or a valid picture."""
    try:
        data = bucket.get(key)
        if key.endswith(".js"):
            read_script(data)
        else:
            WebPImagePlugin.WebPImageFile(io.BytesIO(data)).load()
    except (NotFound, Corrupt, OSError, SyntaxError, ValueError):
        return Finding(key, f"The file is missing or unreadable. {_AGAIN}.")
    return Finding(key, None)


def _are_whole(bucket: Bucket, record: PublishedFiles, listed: Mapping[str, ObjectInfo]) -> bool:
    return all(file.is_whole_in(bucket, listed.get(file.key)) for file in record.files)
