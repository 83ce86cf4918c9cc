"""Render the pages of the gallery."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import UndefinedError

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage.sets.layout import gallery_asset_key
from diamond_cutter.tasks.pages.frontend import Frontend, judge, render

_SCRIPTS = (
    "words",
    "data",
    "renewal",
    "failures",
    "network",
    "citation",
    "about",
    "layers",
    "search",
    "sprite_tip",
    "grid_drawing",
    "grid_input",
    "grid",
    "layer_tools",
    "layer",
    "reported",
    "unit",
    "live",
    "main",
)
_DATA = re.compile(rb'<script type="application/json" id="site">(.*)</script>')
GALLERY = Frontend("diamond_cutter.tasks.gallery", _SCRIPTS, ("gallery",), gallery_asset_key)


def set_page(shown: Mapping[str, Any]) -> bytes:
    """Return the page of a sprite set; `shown` is the data of its script."""
    return render(GALLERY, "set.html.jinja", "", site=shown)


def page_data(page: bytes) -> Any:
    """Return the data of the script of a set's page.

    Raises:
        ValueError, RecursionError: the page has none, or it is not valid JSON.
    """
    data = _DATA.search(page)
    if data is None:
        raise ValueError("the page has no data")
    return json.loads(data[1])


def judge_set_page(page: bytes) -> bool | None:
    """Tell whether a set's page without a record is whole: this version renders the same page.

    Returns:
        None if another version may have rendered the page.
    """
    try:
        built = set_page(page_data(page))
    except (ValueError, TypeError, RecursionError, UndefinedError):
        built = b""
    return judge(GALLERY, page, built)


def bucket_page(url: str, sets: Sequence[Any] = (), reports: Sequence[Any] = ()) -> bytes:
    """Return the page of a bucket; its files lie at the top.

    Args:
        url: the bucket's URL.
        sets: a `SetCard` of each sprite set.
        reports: a `ReportCard` of each report.
    """
    return render(GALLERY, "bucket.html.jinja", "/", url=url, sets=sets, reports=reports)


def model_page(
    key: str, card: ModelCard | None, sets: Sequence[Any] = (), reports: Sequence[Any] = ()
) -> bytes:
    """Return the page of a model in a bucket, with its sets and reports, as for `bucket_page`.

    Args:
        key: the name and hash of the model.
        card: its card, or None if it is missing or damaged.
        sets: a `SetCard` of each sprite set.
        reports: a `ReportCard` of each report.
    """
    values = {"key": key, "card": card, "sets": sets, "reports": reports}
    return render(GALLERY, "model.html.jinja", "/", **values)


def message_page(title: str, text: str) -> bytes:
    """Return a page with a message; its files lie at the top."""
    return render(GALLERY, "message.html.jinja", "/", title=title, text=text)
