"""Render the pages of the gallery."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import UndefinedError

from diamond_cutter.storage.sets.layout import gallery_asset_key
from diamond_cutter.tasks.pages.frontend import Frontend, judge, render

_SCRIPTS = ("words", "data", "layers", "sprite_tip", "grid", "layer", "unit", "main")
_DATA = re.compile(rb'<script type="application/json" id="site">(.*)</script>')
GALLERY = Frontend("diamond_cutter.tasks.gallery", _SCRIPTS, "gallery", gallery_asset_key)


def set_page(shown: Mapping[str, Any]) -> bytes:
    """Return the page of a sprite set; `shown` is the data of its script."""
    return render(GALLERY, "set.html.jinja", "", site=shown)


def judge_set_page(page: bytes) -> bool | None:
    """Tell whether a set's page without a record is whole: this version renders the same page.

    Returns:
        None if another version may have rendered the page.
    """
    data = _DATA.search(page)
    try:
        built = set_page(json.loads(data[1])) if data else b""
    except (ValueError, TypeError, RecursionError, UndefinedError):
        built = b""
    return judge(GALLERY, page, built)


def bucket_page(
    url: str, models: Mapping[str, Sequence[str]], reports: Sequence[tuple[str, str, str]] = ()
) -> bytes:
    """Return the page of a bucket; its files lie at the top.

    Args:
        url: the bucket's URL.
        models: the recipes of the sprite sets, by model.
        reports: folder, dataset and model of each report; no model in reports on where to cut.
    """
    return render(GALLERY, "bucket.html.jinja", "/", url=url, models=models, reports=reports)


def message_page(title: str, text: str) -> bytes:
    """Return a page with a message; its files lie at the top."""
    return render(GALLERY, "message.html.jinja", "/", title=title, text=text)
