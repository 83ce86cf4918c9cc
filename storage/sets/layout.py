"""Where everything lies in a bucket: the one place where keys are made.

    models/<model>@<hash8>/graph.pb, card.json
      preset.json                                      what `tune` has found for the model
    models/<model>@<hash8>/photos/<folder>@<hash8>/    what the user's photos do to the model's
    layers
      <layer>.json                                     a layer's record; pre-activation/<layer>.json
      is of what its activations are made of
    sprites/<model>@<hash8>/<recipe>@<hash8>/          a sprite set
      recipe.json                                      the recipe, whole
      <layer>/00000-00031.<sha16>.webp                 a shard: the sprites of some channels,
      lossless <layer>/00000-00031.json                         its record
      <layer>/spritemap.<channels>.<sha16>.webp        <channels> = all, or the part asked for
      (00000-00031) <layer>/spritemap.<channels>.json                its record
      mixes.<hash8>/mixes.json                         mixes of channels, by the hash of their
      content mixes.<hash8>/...                                their shards and spritemaps, as of a
      layer of that name runs/<selection hash8>.json                      a run's commit, written
      last index.parquet                                    a view over all records, rebuilt after
      each run index.html                                       the gallery of the set, for people;
      rebuilt after each run index.html.json, index.parquet.json              the hashes of these
      two, as they were published gallery.<sha16>.js, .css, .svg                   what it looks
      like and does <layer>/gallery.<sha16>.js, .webp                its numbers of a layer, and a
      preview; <sha16> is the hash of what they are made of <layer>/gallery.<sha16>.json
      the record of these two
    reports/<dataset>@<hash8>/<model>@<hash8>/attribution@<hash8>/    a report: what a model does
    with a folder of images
      images/00000-00127.<sha16>.parquet               what was measured of some images
      images/00000-00127.json                          its record
      images/<name>.<sha16>.webp, .js                  the images, and the numbers of a few at a
      time that the page loads details.json                                     their record
      layers/<layer>/<name>.<sha16>.webp, .js          a layer's sprites and patches, and its
      numbers <table>.<sha16>.parquet                          what was measured of all images
      report.json                                      the report's commit, written last: what it
      says, and all its files index.html                                       the report's page,
      for people; index.html.json is its hash report.<sha16>.js, .css, .svg                    what
      it looks like and does

A file with a fingerprint never changes; the record beside it, created once, is what makes it count.
The gallery's files count by being named in index.html.
"""

import hashlib
import re
import string
from collections.abc import Sequence

_PLAIN = set(string.ascii_letters + string.digits + "_@+,.-")
_OF_CONTENT = {"graph.pb", "recipe.json", "mixes.json"}
_VIEWS = {"index.parquet", "index.html"}
_VIEW_RECORDS = {f"{view}.json" for view in _VIEWS}
_RESERVED_LAYERS = {"runs", "recipe.json", *_VIEWS, *_VIEW_RECORDS}
_REPLACED = {"preset.json", *_VIEWS, *_VIEW_RECORDS}
_SHARD_RECORD = re.compile(r"\d{5,}-\d{5,}(\.[0-9a-f]{8})?\.json")
_MIXES = re.compile(r"mixes\.[0-9a-f]{8}")
_GALLERY_FILE = re.compile(r"gallery\.[0-9a-f]{16}\.[a-z]+")
_FINGERPRINTED = re.compile(r"(.+)\.[0-9a-f]{16}\.[a-z]+")


def model_folder(model: str) -> str:
    """Return the folder of a model, `model` being its name and hash, such as
    `efficientnet-lite0@1a2b3c4d`.
    """
    return f"models/{model}/"


def graph_key(model: str) -> str:
    """Return the key of a model's frozen graph."""
    return model_folder(model) + "graph.pb"


def card_key(model: str) -> str:
    """Return the key of a model's card, which is written after its graph."""
    return model_folder(model) + "card.json"


def photos_folder(model: str) -> str:
    """Return the folder of the records of what the user's photos do to a model."""
    return model_folder(model) + "photos/"


def photo_activations_key(model: str, photos: str, layer: str, *, pre_activation: bool) -> str:
    """Return the key of the record of what photos do to a layer; `photos` is their folder's name
    and hash, as a key can hold it.
    """
    part = "pre-activation/" if pre_activation else ""
    return f"{photos_folder(model)}{photos}/{part}{escape(layer)}.json"


def preset_key(model: str) -> str:
    """Return the key of the recipe that tuning has found for a model; each layer that is tuned
    replaces it.
    """
    return model_folder(model) + "preset.json"


def sets_folder(model: str) -> str:
    """Return the folder of all sprite sets of a model."""
    return f"sprites/{model}/"


def set_folder(model: str, recipe: str) -> str:
    """Return the folder of a sprite set: one model's sprites by one recipe."""
    return f"{sets_folder(model)}{recipe}/"


def recipe_key(model: str, recipe: str) -> str:
    """Return the key of the recipe that a set's sprites were rendered by."""
    return set_folder(model, recipe) + "recipe.json"


def layer_folder(model: str, recipe: str, layer: str) -> str:
    """Return the folder of a layer's shards and spritemaps."""
    return f"{set_folder(model, recipe)}{escape(layer)}/"


def mixes_key(model: str, recipe: str, name: str) -> str:
    """Return the key of the mixes that the sprites beside it are of, `name` being theirs, such as
    `mixes.1a2b3c4d`.
    """
    return layer_folder(model, recipe, name) + "mixes.json"


def is_mixes(name: str) -> bool:
    """Tell whether what stands for a layer's name is that of mixes."""
    return _MIXES.fullmatch(name) is not None


def shard_record_key(model: str, recipe: str, layer: str, channels: Sequence[int]) -> str:
    """Return the key of the record that commits a shard."""
    return f"{layer_folder(model, recipe, layer)}{channel_span(channels)}.json"


def is_shard_record(key: str) -> bool:
    """Tell whether a key below a set is that of a shard's record."""
    return _SHARD_RECORD.fullmatch(key.rpartition("/")[2]) is not None


def spritemap_record_key(model: str, recipe: str, layer: str, part: str) -> str:
    """Return the key of a spritemap's record; `part` is `all` or a `channel_span`."""
    return f"{layer_folder(model, recipe, layer)}spritemap.{part}.json"


def is_spritemap_record(key: str) -> bool:
    """Tell whether a key below a set is that of a spritemap's record."""
    name = key.rpartition("/")[2]
    return name.startswith("spritemap.") and name.endswith(".json")


def run_record_key(model: str, recipe: str, selection: str) -> str:
    """Return the key of a run's commit; `selection` is the hash of what was asked for."""
    return f"{set_folder(model, recipe)}runs/{selection}.json"


def is_run_record(key: str) -> bool:
    """Tell whether a key below a set is that of a run's commit."""
    return key.endswith(".json") and key.split("/")[-2] == "runs"


def index_key(model: str, recipe: str) -> str:
    """Return the key of the table of all sprites of a set."""
    return set_folder(model, recipe) + "index.parquet"


def gallery_key(model: str, recipe: str) -> str:
    """Return the key of the page that a set's gallery begins with."""
    return set_folder(model, recipe) + "index.html"


def gallery_asset_key(folder: str, data: bytes, suffix: str) -> str:
    """Return the key of a script, a style or a picture that the pages of galleries share, in a
    folder ending in '/', or at the top.
    """
    return f"{folder}gallery.{hashlib.sha256(data).hexdigest()[:16]}.{suffix}"


def gallery_layer_key(model: str, recipe: str, layer: str, sources: bytes, suffix: str) -> str:
    """Return the key of a file that a gallery holds of a layer, named by all that the file is made
    of.
    """
    return gallery_asset_key(layer_folder(model, recipe, layer), sources, suffix)


def report_asset_key(folder: str, data: bytes, suffix: str) -> str:
    """Return the key of a script, a style or a picture that a report's pages share, in its folder;
    report.json, beside it, commits it.
    """
    return fingerprinted(f"{folder}report.json", data, suffix)


def is_gallery_file(key: str) -> bool:
    """Tell whether a key is that of a gallery's file, its page left out."""
    return _GALLERY_FILE.fullmatch(key.rpartition("/")[2]) is not None


def is_view(key: str) -> bool:
    """Tell whether a key is that of a view over records, of a set or a report: whoever adds records
    makes it anew.
    """
    folder, _, name = key.rpartition("/")
    return name in _VIEWS and (
        (folder.count("/") == 2 and set_of(key) is not None)
        or (folder.count("/") == 3 and report_of(key) is not None)
    )


def view_record_key(view: str) -> str:
    """Return the key of the record of what a view was published with."""
    return f"{view}.json"


def is_view_record(key: str) -> bool:
    """Tell whether a key is that of such a record."""
    return key.endswith(".json") and is_view(key.removesuffix(".json"))


def set_of(key: str) -> tuple[str, str] | None:
    """Return the model and the recipe of the sprite set that a key is in, or None if it is in
    none.
    """
    names = key.split("/")
    return (names[1], names[2]) if len(names) > 3 and names[0] == "sprites" else None


def report_folder(dataset: str, model: str, report: str) -> str:
    """Return the folder of a report; `dataset` is the images' folder's name and hash, as a key can
    hold it.
    """
    return f"reports/{dataset}/{model}/{report}/"


def report_key(folder: str) -> str:
    """Return the key of the record that commits a report, `folder` being the report's."""
    return folder + "report.json"


def report_page_key(folder: str) -> str:
    """Return the key of a report's page."""
    return folder + "index.html"


def details_key(folder: str) -> str:
    """Return the key of the record of what a report shows of single images."""
    return folder + "details.json"


def images_record_key(folder: str, first: int, end: int) -> str:
    """Return the key of the record of what was measured of a report's images, `first` to the one
    before `end`.
    """
    return f"{folder}images/{first:05d}-{end - 1:05d}.json"


def report_image_key(folder: str, name: str, data: bytes, suffix: str) -> str:
    """Return the key of a picture of an image, or of the numbers of some."""
    return fingerprinted(f"{folder}images/{name}.json", data, suffix)


def report_layer_key(folder: str, layer: str, name: str, data: bytes, suffix: str) -> str:
    """Return the key of a picture, or of the numbers, of a report's layer."""
    return fingerprinted(f"{folder}layers/{escape(layer)}/{name}.json", data, suffix)


def report_table_key(folder: str, name: str, data: bytes) -> str:
    """Return the key of a table of a report."""
    return fingerprinted(f"{folder}{name}.json", data, "parquet")


def report_of(key: str) -> str | None:
    """Return the folder of the report that a key is in, or None if it is in none."""
    names = key.split("/")
    return "/".join(names[:4]) + "/" if len(names) > 4 and names[0] == "reports" else None


def fingerprinted(record_key: str, data: bytes, suffix: str) -> str:
    """Return the key of the immutable file that a record commits: the record's own, with the
    content's hash in it.
    """
    return f"{record_key.removesuffix('.json')}.{hashlib.sha256(data).hexdigest()[:16]}.{suffix}"


def is_fingerprinted(key: str) -> bool:
    """Tell whether a key has its content's hash in it, so that what is under it never changes."""
    return _FINGERPRINTED.fullmatch(key.rpartition("/")[2]) is not None


def record_beside(key: str) -> str | None:
    """Return the key of the record that commits a fingerprinted file, or None if the key has no
    fingerprint, or is a gallery's.
    """
    match = _FINGERPRINTED.fullmatch(key)
    return f"{match[1]}.json" if match and not is_gallery_file(key) else None


def cache_control_of(key: str) -> str:
    """Return how long whoever reads an object over the web may keep it, as HTTP says it.

    A file with a fingerprint, or of a folder named after its content, never changes; a record only
    where it was damaged; the others do.
    """
    name = key.rpartition("/")[2]
    if is_fingerprinted(key) or name in _OF_CONTENT:
        return "public, max-age=31536000, immutable"
    return "no-cache" if name in _REPLACED else "public, max-age=3600"


def channel_span(channels: Sequence[int]) -> str:
    """Name a set of channels: `00000-00031`, with a hash behind it if channels in between are left
    out.
    """
    ordered = sorted(channels)
    span = f"{ordered[0]:05d}-{ordered[-1]:05d}"
    if len(ordered) == ordered[-1] - ordered[0] + 1:
        return span
    return f"{span}.{hashlib.sha256(','.join(map(str, ordered)).encode()).hexdigest()[:8]}"


def escape(layer: str) -> str:
    """Return a layer's name as one folder of a key: what a key cannot hold becomes `=` and two
    hexadecimal digits a byte.
    """
    escaped = "".join(letter if letter in _PLAIN else _hexadecimal(letter) for letter in layer)
    if layer in _RESERVED_LAYERS or is_gallery_file(escaped) or escaped.startswith("."):
        escaped = _hexadecimal(layer[0]) + escaped[1:]
    if escaped.endswith("."):
        escaped = escaped[:-1] + _hexadecimal(".")
    return escaped


def unescape(folder: str) -> str:
    """Return the layer's name that a folder stands for."""
    parts = re.split(r"((?:=[0-9A-F]{2})+)", folder)
    return "".join(
        bytes.fromhex(part.replace("=", "")).decode() if index % 2 else part
        for index, part in enumerate(parts)
    )


def _hexadecimal(text: str) -> str:
    return "".join(f"={byte:02X}" for byte in text.encode())
