"""Pages and what lies beside them: templates, scripts and styles of one site, put together with
those that all sites share.

Jinja escapes whatever is put into a page.
"""

import functools
import re
from collections.abc import Callable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

# In the order in which they build on each other: modules of JavaScript would not load from file://.
_SHARED_SCRIPTS = ("elements", "phrases", "files", "tip", "routes")
_SHARED = "diamond_cutter.tasks.pages"
_FINGERPRINT = re.compile(r"\.[0-9a-f]{16}\.")


class Frontend(NamedTuple):
    """What a site has of its own."""

    package: str  # has a folder page/ with its templates, scripts and styles
    scripts: tuple[
        str, ...
    ]  # in the order in which they build on each other, after the shared ones
    style: str
    asset_key: Callable[
        [str, bytes, str], str
    ]  # names a script, a style or a picture by folder, content and suffix


@functools.cache
def assets(frontend: Frontend) -> Mapping[str, bytes]:
    """Return the script, the style and the icon of a site's pages, by their suffix."""
    shared, own = _folder(_SHARED), _folder(frontend.package)
    scripts = [shared.joinpath(f"{name}.js") for name in _SHARED_SCRIPTS] + [
        own.joinpath(f"{name}.js") for name in frontend.scripts
    ]
    # In a function, so that no name of ours meets any other script's.
    script = (
        '"use strict";\n(() => {\n'
        + "\n".join(part.read_text("utf-8") for part in scripts)
        + "})();\n"
    )
    styles = [shared.joinpath("base.css"), own.joinpath(f"{frontend.style}.css")]
    return {
        "js": script.encode(),
        "css": "\n".join(part.read_text("utf-8") for part in styles).encode(),
        "svg": shared.joinpath("icon.svg").read_bytes(),
    }


def asset_files(frontend: Frontend, folder: str) -> dict[str, bytes]:
    """Return the files that a site's pages in a folder need, by their keys."""
    return {
        frontend.asset_key(folder, data, suffix): data for suffix, data in assets(frontend).items()
    }


def render(frontend: Frontend, template: str, folder: str, **values: Any) -> bytes:
    """Return a page of a site; its files are in `folder`, as seen from the page."""
    names = {
        suffix: frontend.asset_key(folder, data, suffix)
        for suffix, data in assets(frontend).items()
    }
    return (
        _templates(frontend.package).get_template(template).render(asset=names, **values).encode()
    )


def judge(frontend: Frontend, page: bytes, built: bytes | None) -> bool | None:
    """Tell whether a page that has no record is whole: `built` is what this version makes of the
    same data, None if that is unknown.

    Returns:
        None if another version may have made the page: it has the form that all pages have, but
        loads files that are not this version's.
    """
    if page == built:
        return True
    names = [frontend.asset_key("", data, suffix) for suffix, data in assets(frontend).items()]
    ours = built is not None and all(name.encode() in page for name in names)
    has_all = all(
        re.search(_FINGERPRINT.sub(r"[.][0-9a-f]{16}[.]", name).encode(), page) for name in names
    )
    # One script that holds data, and one that is loaded.
    return (
        None
        if has_all and not ours and page.count(b"<script") == 2 and page.endswith(b"</html>")
        else False
    )


def _folder(package: str) -> Traversable:
    return resources.files(package).joinpath("page")


@functools.cache
def _templates(package: str) -> Environment:
    loader = ChoiceLoader([PackageLoader(package, "page"), PackageLoader(_SHARED, "page")])
    return Environment(
        loader=loader,
        autoescape=select_autoescape(["html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
