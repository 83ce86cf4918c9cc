"""The gallery's pages: templates, and what they look like and do. Jinja escapes whatever is put into them."""

import functools
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from storage.layout import gallery_asset_key

# In the order in which they build on each other: modules of JavaScript would not load from file://.
_SCRIPTS = ("elements", "words", "data", "layers", "tip", "grid", "layer", "unit", "main")


@functools.cache
def assets() -> Mapping[str, bytes]:
    """Return the script, the style and the icon that all pages share, by their suffix."""
    folder = resources.files("tasks.gallery").joinpath("page")
    parts = [folder.joinpath(f"{name}.js").read_text("utf-8") for name in _SCRIPTS]
    # In a function, so that no name of ours meets any other script's.
    script = '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"
    return {
        "js": script.encode(),
        "css": folder.joinpath("gallery.css").read_bytes(),
        "svg": folder.joinpath("icon.svg").read_bytes(),
    }


def asset_files(folder: str) -> dict[str, bytes]:
    """Return the files that pages in a folder need, by their keys."""
    return {gallery_asset_key(folder, data, suffix): data for suffix, data in assets().items()}


def set_page(shown: Mapping[str, Any]) -> bytes:
    """Return the page of a sprite set, `shown` being what its script reads; its files lie beside it."""
    return _rendered("set.html.jinja", "", site=shown)


def bucket_page(url: str, models: Mapping[str, Sequence[str]]) -> bytes:
    """Return a page of a bucket's sprite sets, recipes by model; its files lie at the top."""
    return _rendered("bucket.html.jinja", "/", url=url, models=models)


def message_page(title: str, text: str) -> bytes:
    """Return a page that says one thing; its files lie at the top."""
    return _rendered("message.html.jinja", "/", title=title, text=text)


def _rendered(template: str, folder: str, **values: Any) -> bytes:
    names = {suffix: gallery_asset_key(folder, data, suffix) for suffix, data in assets().items()}
    return _templates().get_template(template).render(asset=names, **values).encode()


@functools.cache
def _templates() -> Environment:
    loader = PackageLoader("tasks.gallery", "page")
    return Environment(
        loader=loader, autoescape=select_autoescape(["html.jinja"]), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
