"""The gallery's pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from storage.layout import gallery_asset_key
from tasks.pages.frontend import Frontend, render

_SCRIPTS = ("words", "data", "layers", "sprite_tip", "grid", "layer", "unit", "main")
GALLERY = Frontend("tasks.gallery", _SCRIPTS, "gallery", gallery_asset_key)


def set_page(shown: Mapping[str, Any]) -> bytes:
    """Return the page of a sprite set, `shown` being what its script reads; its files lie beside it."""
    return render(GALLERY, "set.html.jinja", "", site=shown)


def bucket_page(url: str, models: Mapping[str, Sequence[str]], reports: Sequence[tuple[str, str, str]] = ()) -> bytes:
    """Return a page of a bucket's sprite sets, recipes by model, and its reports: folder, images and model; its files lie at the top."""
    return render(GALLERY, "bucket.html.jinja", "/", url=url, models=models, reports=reports)


def message_page(title: str, text: str) -> bytes:
    """Return a page that says one thing; its files lie at the top."""
    return render(GALLERY, "message.html.jinja", "/", title=title, text=text)
