"""Render pages, and join the scripts and styles of a site with the shared ones.

Jinja escapes all values in a page.
"""

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

# In the order of their dependencies. Modules of JavaScript would not load from file://.
_SHARED_SCRIPTS = (
    "elements",
    "phrases",
    "files",
    "state",
    "lazy",
    "tip",
    "glossary",
    "flags",
    "missing_sprite",
    "verdicts",
    "figure_marks",
    "figure_files",
    "share",
    "picture_dialog",
    "printing",
    "routes",
)
_SHARED_STYLES = ("base", "parts")
_SHARED = "diamond_cutter.tasks.pages"
_FINGERPRINT = re.compile(r"\.[0-9a-f]{16}\.")


class Frontend(NamedTuple):
    """The parts of one site.

    package: the package with a folder page/ of templates, scripts and styles.
    scripts: names of the site's scripts, in the order of their dependencies. A script that only
        some sites have in common lies with the shared ones.
    styles: names of the site's styles, each after those that it changes; they are found like
        scripts.
    asset_key: returns the key of an asset, given its folder, content and suffix.
    """

    package: str
    scripts: tuple[str, ...]
    styles: tuple[str, ...]
    asset_key: Callable[[str, bytes, str], str]


@functools.cache
def assets(frontend: Frontend) -> Mapping[str, bytes]:
    """Return the script, the style and the icon of a site, by suffix."""
    shared, own = _folder(_SHARED), _folder(frontend.package)

    def parts(shared_names: Iterable[str], names: Iterable[str], suffix: str) -> list[str]:
        files = [own.joinpath(f"{name}.{suffix}") for name in names]
        found = [file if file.is_file() else shared.joinpath(file.name) for file in files]
        first = [shared.joinpath(f"{name}.{suffix}") for name in shared_names]
        return [file.read_text("utf-8") for file in (*first, *found)]

    # The function keeps all names apart from other scripts.
    joined = (
        '"use strict";\n(() => {\n'
        + f"const DEFINITIONS = {json.dumps(definitions(), separators=(',', ':'))};\n"
        + "\n".join(parts(_SHARED_SCRIPTS, frontend.scripts, "js"))
        + "})();\n"
    )
    return {
        "js": joined.encode(),
        "css": "\n".join(parts(_SHARED_STYLES, frontend.styles, "css")).encode(),
        "svg": shared.joinpath("icon.svg").read_bytes(),
    }


@functools.cache
def definitions() -> Mapping[str, str]:
    """Return the glossary of all pages: the definition of each term."""
    text = _folder(_SHARED).joinpath("glossary.json").read_text("utf-8")
    loaded: Mapping[str, str] = json.loads(text)
    return loaded


def asset_files(frontend: Frontend, folder: str) -> dict[str, bytes]:
    """Return the assets of a site's pages in a folder, by key."""
    return {
        frontend.asset_key(folder, data, suffix): data for suffix, data in assets(frontend).items()
    }


def render(frontend: Frontend, template: str, folder: str, **values: Any) -> bytes:
    """Return a page of a site; `folder` is the path from the page to its assets."""
    names = {
        suffix: frontend.asset_key(folder, data, suffix)
        for suffix, data in assets(frontend).items()
    }
    return (
        _templates(frontend.package).get_template(template).render(asset=names, **values).encode()
    )


def judge(frontend: Frontend, page: bytes, built: bytes | None) -> bool | None:
    """Tell whether a page without a record is whole.

    Args:
        frontend: the site.
        page: the page.
        built: the page that this version renders from the same data, or None if unknown.

    Returns:
        None if another version may have rendered the page: it has the form of a page, but loads
        assets of another version.
    """
    if page == built:
        return True
    names = [frontend.asset_key("", data, suffix) for suffix, data in assets(frontend).items()]
    ours = built is not None and all(name.encode() in page for name in names)
    has_all = all(
        re.search(_FINGERPRINT.sub(r"[.][0-9a-f]{16}[.]", name).encode(), page) for name in names
    )
    # One script holds the data, and the other one is loaded.
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
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(["html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["definitions"] = definitions()
    return environment
