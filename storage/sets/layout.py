"""The layout of a bucket. The keys of models and sprite sets are made here, others in *_keys.py.

    models/<model>@<hash8>/graph.pb, card.json
      preset.json                      the settings that `tune` found for the model
      photos/<folder>@<hash8>/         the effect of the user's photos on the layers
        <layer>.json                   record of a layer; pre-activation/<layer>.json is measured
                                       before its activation function
    sprites/<model>@<hash8>/<recipe>@<hash8>/        a sprite set
      recipe.json                      the complete recipe
      <layer>/00000-00031.<sha16>.webp   a shard: the sprites of some channels, lossless
      <layer>/00000-00031.json           its record
      <layer>/spritemap.<channels>.<sha16>.webp   a spritemap of `all` or of part of the channels
      <layer>/spritemap.<channels>.json           its record
      mixes.<hash8>/mixes.json         mixes of channels, by the hash of their content
      mixes.<hash8>/...                their shards and spritemaps, as for a layer of that name
      runs/<selection hash8>.json      the commit of a run, written last
      runs/<selection hash8>.<start>-<id>.json   one execution of the run: its times and devices
      index.parquet                    a view of all records, rebuilt after each run
      index.html                       the gallery of the set, rebuilt after each run
      index.js                         what grows in that page while a run is at work, for pages
                                       that are open meanwhile
      index.html.json, index.js.json, index.parquet.json     the hashes of these as published
      gallery.<sha16>.js, .css, .svg   its scripts, styles and icons
      gallery.<sha16>.js, .json        its index of words, named by the hash of its sources, and the
                                       record of the index
      <layer>/gallery.<sha16>.js, .webp   its data of a layer and a preview, named by the hash of
                                          their sources
      <layer>/gallery.<sha16>.json        the record of these two
    reports/<dataset>@<hash8>/<model>@<hash8>/attribution@<hash8>/    a report on a set of images
      images/00000-00127.<sha16>.parquet   measurements of some images
      images/00000-00127.json              their record
      images/<name>.<sha16>.webp, .js      pictures of the images, and data of a few at a time
      details.json                         the record of these
      layers/<layer>/<name>.<sha16>.webp, .js   sprites, patches and data of a layer
      <table>.<sha16>.parquet              measurements of all images
      report.json                          the commit of the report, written last: its contents
                                           and the list of its files
      index.html, index.html.json          the page of the report, and its hash
      report.<sha16>.js, .css, .svg        its scripts, styles and icons
    claims/<key of a record>         while a run works on the record: its claim on that work
    scratch-<hex32>                  written, read and deleted by `doctor`

A file with a fingerprint never changes. The record beside it, created once, commits it. The files
of a gallery are committed by index.html.
"""

import hashlib
import re
import string
import uuid
from collections.abc import Sequence

SCRATCH_PREFIX = "scratch-"

_PLAIN = set(string.ascii_letters + string.digits + "_@+,.-")
_OF_CONTENT = {"graph.pb", "recipe.json", "mixes.json"}
_VIEWS = {"index.parquet", "index.html", "index.js"}
_VIEW_RECORDS = {f"{view}.json" for view in _VIEWS}
_RESERVED_LAYERS = {"runs", "recipe.json", *_VIEWS, *_VIEW_RECORDS}
_REPLACED = {"preset.json", *_VIEWS, *_VIEW_RECORDS}
_SHARD_RECORD = re.compile(r"\d{5,}-\d{5,}(\.[0-9a-f]{8})?\.json")
_RUN_RECORD = re.compile(r"[^.]+\.json")
_RUN_EXECUTION = re.compile(r"[^.]+\.[^.]+\.json")
_MIXES = re.compile(r"mixes\.[0-9a-f]{8}")
_GALLERY_FILE = re.compile(r"gallery\.[0-9a-f]{16}\.[a-z]+")
_FINGERPRINTED = re.compile(r"(.+)\.[0-9a-f]{16}\.[a-z]+")
_SCRATCH = re.compile(SCRATCH_PREFIX + "[0-9a-f]{32}")


def model_folder(model: str) -> str:
    """Return the folder of a model, given its name and hash: `efficientnet-lite0@1a2b3c4d`."""
    return f"models/{model}/"


def graph_key(model: str) -> str:
    """Return the key of the frozen graph of a model."""
    return model_folder(model) + "graph.pb"


def card_key(model: str) -> str:
    """Return the key of the card of a model, which is written after its graph."""
    return model_folder(model) + "card.json"


def photos_folder(model: str) -> str:
    """Return the folder of the photo activations of a model."""
    return model_folder(model) + "photos/"


def photo_activations_key(model: str, photos: str, layer: str, *, pre_activation: bool) -> str:
    """Return the key of the photo activations of a layer; `photos` names their folder."""
    part = "pre-activation/" if pre_activation else ""
    return f"{photos_folder(model)}{photos}/{part}{escape(layer)}.json"


def preset_key(model: str) -> str:
    """Return the key of the preset of a model, which is replaced after each tuned layer."""
    return model_folder(model) + "preset.json"


def sets_folder(model: str) -> str:
    """Return the folder of all sprite sets of a model."""
    return f"sprites/{model}/"


def set_folder(model: str, recipe: str) -> str:
    """Return the folder of a sprite set: the sprites of one model by one recipe."""
    return f"{sets_folder(model)}{recipe}/"


def recipe_key(model: str, recipe: str) -> str:
    """Return the key of the recipe of a sprite set."""
    return set_folder(model, recipe) + "recipe.json"


def layer_folder(model: str, recipe: str, layer: str) -> str:
    """Return the folder of the shards and spritemaps of a layer."""
    return f"{set_folder(model, recipe)}{escape(layer)}/"


def mixes_key(model: str, recipe: str, name: str) -> str:
    """Return the key of the definition of mixes, given their name, such as `mixes.1a2b3c4d`."""
    return layer_folder(model, recipe, name) + "mixes.json"


def is_mixes(name: str) -> bool:
    """Tell whether the name of a layer is that of mixes."""
    return _MIXES.fullmatch(name) is not None


def shard_record_key(model: str, recipe: str, layer: str, channels: Sequence[int]) -> str:
    """Return the key of the record that commits a shard."""
    return f"{layer_folder(model, recipe, layer)}{channel_span(channels)}.json"


def is_shard_record(key: str) -> bool:
    """Tell whether a key in a set is that of the record of a shard."""
    return _SHARD_RECORD.fullmatch(key.rpartition("/")[2]) is not None


def spritemap_record_key(model: str, recipe: str, layer: str, part: str) -> str:
    """Return the key of the record of a spritemap; `part` is `all` or a `channel_span`."""
    return f"{layer_folder(model, recipe, layer)}spritemap.{part}.json"


def is_spritemap_record(key: str) -> bool:
    """Tell whether a key in a set is that of the record of a spritemap."""
    name = key.rpartition("/")[2]
    return name.startswith("spritemap.") and name.endswith(".json")


def run_record_key(model: str, recipe: str, selection: str) -> str:
    """Return the key of the commit of a run; `selection` is the hash of the requested channels."""
    return f"{set_folder(model, recipe)}runs/{selection}.json"


def is_run_record(key: str) -> bool:
    """Tell whether a key in a set is that of the commit of a run."""
    return _is_in_runs(key, _RUN_RECORD)


def run_execution_key(model: str, recipe: str, selection: str, execution: str) -> str:
    """Return the key of the record of an execution of a run; `execution` is its start and id."""
    return f"{run_executions_prefix(run_record_key(model, recipe, selection))}{execution}.json"


def run_executions_prefix(run: str) -> str:
    """Return the beginning of the keys of the executions of a run, given the key of its commit."""
    return run.removesuffix("json")


def is_run_execution(key: str) -> bool:
    """Tell whether a key in a set is that of the record of an execution of a run."""
    return _is_in_runs(key, _RUN_EXECUTION)


def _is_in_runs(key: str, name: re.Pattern[str]) -> bool:
    folders = key.split("/")
    return folders[-2:-1] == ["runs"] and name.fullmatch(folders[-1]) is not None


def index_key(model: str, recipe: str) -> str:
    """Return the key of the table of all sprites of a set."""
    return set_folder(model, recipe) + "index.parquet"


def gallery_key(model: str, recipe: str) -> str:
    """Return the key of the page of the gallery of a set."""
    return set_folder(model, recipe) + "index.html"


def gallery_data_key(model: str, recipe: str) -> str:
    """Return the key of the data that open pages of a gallery load again while a run is at work."""
    return set_folder(model, recipe) + "index.js"


def gallery_asset_key(folder: str, data: bytes, suffix: str) -> str:
    """Return the key of a script, style or icon of a gallery; `folder` is '' or ends in '/'."""
    return f"{folder}gallery.{hashlib.sha256(data).hexdigest()[:16]}.{suffix}"


def gallery_layer_key(model: str, recipe: str, layer: str, sources: bytes, suffix: str) -> str:
    """Return the key of a file of a gallery for a layer, named by the hash of its sources."""
    return gallery_asset_key(layer_folder(model, recipe, layer), sources, suffix)


def is_gallery_file(key: str) -> bool:
    """Tell whether a key is that of a file of a gallery other than its page."""
    return _GALLERY_FILE.fullmatch(key.rpartition("/")[2]) is not None


def is_view(key: str) -> bool:
    """Tell whether a key is that of a view of a set or report, rebuilt with new records."""
    folder, _, name = key.rpartition("/")
    return name in _VIEWS and (
        (folder.count("/") == 2 and set_of(key) is not None)
        or (folder.count("/") == 3 and report_of(key) is not None)
    )


def view_record_key(view: str) -> str:
    """Return the key of the record with the hash of a view."""
    return f"{view}.json"


def is_view_record(key: str) -> bool:
    """Tell whether a key is that of the record of a view."""
    return key.endswith(".json") and is_view(key.removesuffix(".json"))


def set_of(key: str) -> tuple[str, str] | None:
    """Return the model and the recipe of the sprite set of a key, or None outside of sets."""
    names = key.split("/")
    return (names[1], names[2]) if len(names) > 3 and names[0] == "sprites" else None


def report_of(key: str) -> str | None:
    """Return the folder of the report of a key, or None outside of reports."""
    names = key.split("/")
    return "/".join(names[:4]) + "/" if len(names) > 4 and names[0] == "reports" else None


def new_scratch_key() -> str:
    """Return a key that nobody else uses, for an object that tries a bucket and is then deleted.

    It is in no folder, because a local bucket would keep the empty folder.
    """
    return f"{SCRATCH_PREFIX}{uuid.uuid4().hex}"


def is_scratch(key: str) -> bool:
    """Tell whether a key is that of an object that tried a bucket."""
    return _SCRATCH.fullmatch(key) is not None


def fingerprinted(record_key: str, data: bytes, suffix: str) -> str:
    """Return the key of the immutable file of a record: the record's key with a content hash."""
    return f"{record_key.removesuffix('.json')}.{hashlib.sha256(data).hexdigest()[:16]}.{suffix}"


def is_fingerprinted(key: str) -> bool:
    """Tell whether a key contains the hash of its content, so that the object never changes."""
    return _FINGERPRINTED.fullmatch(key.rpartition("/")[2]) is not None


def record_beside(key: str) -> str | None:
    """Return the key of the record of a fingerprinted file, None for others and for galleries."""
    match = _FINGERPRINTED.fullmatch(key)
    return f"{match[1]}.json" if match and not is_gallery_file(key) else None


def cache_control_of(key: str) -> str:
    """Return the HTTP Cache-Control value for an object.

    Fingerprinted files and those in a folder named by their content never change. Records change
    only if they were damaged.
    """
    name = key.rpartition("/")[2]
    if is_fingerprinted(key) or name in _OF_CONTENT:
        return "public, max-age=31536000, immutable"
    return "no-cache" if name in _REPLACED or is_claim(key) else "public, max-age=3600"


def claims_folder(folder: str) -> str:
    """Return the folder of the claims on work whose records belong into a folder."""
    return f"claims/{folder}"


def claim_key(record_key: str) -> str:
    """Return the key of the claim on the work that a record commits."""
    return claims_folder("") + record_key


def claimed_record(key: str) -> str:
    """Return the key of the record whose work a claim is on."""
    return key.removeprefix(claims_folder(""))


def is_claim(key: str) -> bool:
    """Tell whether a key is that of a claim."""
    return key.startswith(claims_folder(""))


def channel_span(channels: Sequence[int]) -> str:
    """Return the name of a set of channels: `00000-00031`, with a hash if it has gaps."""
    ordered = sorted(channels)
    span = f"{ordered[0]:05d}-{ordered[-1]:05d}"
    if len(ordered) == ordered[-1] - ordered[0] + 1:
        return span
    return f"{span}.{hashlib.sha256(','.join(map(str, ordered)).encode()).hexdigest()[:8]}"


def escape(layer: str) -> str:
    """Return the name of a layer as a folder: invalid bytes become `=` and two hex digits."""
    escaped = "".join(letter if letter in _PLAIN else _hexadecimal(letter) for letter in layer)
    if layer in _RESERVED_LAYERS or is_gallery_file(escaped) or escaped.startswith("."):
        escaped = _hexadecimal(layer[0]) + escaped[1:]
    if escaped.endswith("."):
        escaped = escaped[:-1] + _hexadecimal(".")
    return escaped


def unescape(folder: str) -> str:
    """Return the name of the layer of an escaped folder."""
    parts = re.split(r"((?:=[0-9A-F]{2})+)", folder)
    return "".join(
        bytes.fromhex(part.replace("=", "")).decode() if index % 2 else part
        for index, part in enumerate(parts)
    )


def _hexadecimal(text: str) -> str:
    return "".join(f"={byte:02X}" for byte in text.encode())
