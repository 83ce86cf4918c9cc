"""Galleries of a bucket's sprite sets, generated when a browser requests them."""

import threading
from collections import OrderedDict
from dataclasses import replace

from diamond_cutter.storage import Bucket, NotFound
from diamond_cutter.storage.sets.layout import claims_folder, is_gallery_file, set_folder
from diamond_cutter.tasks.gallery.contents import ShownSet
from diamond_cutter.tasks.gallery.site import (
    data_script,
    index_page,
    layer_files,
    layer_keys,
    shown_set,
)
from diamond_cutter.tasks.gallery.sources import LayerSource, SetSource, read_sprites
from diamond_cutter.tasks.gallery.words import words_file, words_key
from diamond_cutter.tasks.importing.stored import read_card
from diamond_cutter.tasks.reporting.stored import reports_with

_LAYERS_KEPT = 32


class GeneratedGalleries:
    """The galleries of a bucket, cached until their set changes."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._lock = threading.Lock()
        self._sources: dict[tuple[str, str], tuple[object, SetSource]] = {}
        self._files: OrderedDict[str, dict[str, bytes]] = OrderedDict()

    def page(self, model: str, recipe: str) -> bytes:
        """Return the first page of a set's gallery.

        Raises:
            NotFound: the bucket has no such set.
        """
        return index_page(self._existing(model, recipe))

    def data(self, model: str, recipe: str) -> bytes:
        """Return the data for pages of a set's gallery that are open.

        Raises:
            NotFound: the bucket has no such set.
        """
        return data_script(self._existing(model, recipe))

    def shown(self, model: str, recipe: str) -> ShownSet:
        """Return the data of the first page of a set's gallery."""
        source = self.source(model, recipe)
        claims = self._bucket.list(claims_folder(set_folder(model, recipe)))
        source = replace(source, at_work=next(iter(claims), None) is not None)
        return shown_set(source, words_key(source))

    def _existing(self, model: str, recipe: str) -> ShownSet:
        shown = self.shown(model, recipe)
        if not (shown.layers or shown.settings):
            raise NotFound(f"The bucket has no sprite set of {model} by {recipe}.")
        return shown

    def words(self, model: str, recipe: str, key: str) -> bytes | None:
        """Return the index of words of a set, or None if the key is that of another file."""
        source = self.source(model, recipe)
        return words_file(self._bucket, source) if key == words_key(source) else None

    def file(self, model: str, recipe: str, key: str) -> bytes:
        """Return a file of a layer in a set's gallery.

        Raises:
            NotFound: the gallery has no such file, or no longer has it.
            Corrupt: the layer's spritemap is damaged.
        """
        if key.endswith(".webp"):  # a published gallery has the picture, also one of old pages
            try:
                return self._bucket.get(key)
            except NotFound:
                pass
        source = self._source_of(model, recipe, key)
        # One at a time: decoding the spritemap of a large layer takes a gigabyte.
        with self._lock:
            name = layer_keys(model, recipe, source)[0]
            if name not in self._files:
                self._files[name] = layer_files(self._bucket, model, recipe, source)
            self._files.move_to_end(name)
            while len(self._files) > _LAYERS_KEPT:
                self._files.popitem(last=False)
            return self._files[name][key]

    def source(self, model: str, recipe: str) -> SetSource:
        """Return what the gallery of a set shows, with the reports that show its sprites now."""
        reports = tuple(reports_with(self._bucket, model, recipe))
        return replace(self._sprites(model, recipe), reports=reports)

    def _source_of(self, model: str, recipe: str, key: str) -> LayerSource:
        known = self._sources.get((model, recipe))
        for source in (known[1] if known else None, self._sprites(model, recipe)):
            for layer in source.layers if source else ():
                if key in layer_keys(model, recipe, layer):
                    return layer
        raise NotFound(f"No layer of this set has the file {key}. Reload the page.")

    def _sprites(self, model: str, recipe: str) -> SetSource:
        """Return the sprites of a set, read again if one of its records has changed."""
        records = (
            info
            for info in self._bucket.list(set_folder(model, recipe))
            if not is_gallery_file(info.key)
        )
        version = tuple((info.key, info.token) for info in records)
        known = self._sources.get((model, recipe))
        if known is None or known[0] != version:
            card = read_card(self._bucket, model)
            known = self._sources[model, recipe] = (
                version,
                read_sprites(self._bucket, model, recipe, card),
            )
        return known[1]
