"""Pages and what lies beside them: templates, scripts and styles of one site, put together with those that all sites share.

Jinja escapes whatever is put into a page.
"""

import functools
from collections.abc import Callable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

# In the order in which they build on each other: modules of JavaScript would not load from file://.
_SHARED_SCRIPTS = ("elements", "phrases", "files", "tip", "routes")
_SHARED = "tasks.pages"


class Frontend(NamedTuple):
    """What a site has of its own."""

    package: str  # has a folder page/ with its templates, scripts and styles
    scripts: tuple[str, ...]  # in the order in which they build on each other, after the shared ones
    style: str
    asset_key: Callable[[str, bytes, str], str]  # names a script, a style or a picture by folder, content and suffix


@functools.cache
def assets(frontend: Frontend) -> Mapping[str, bytes]:
    """Return the script, the style and the icon of a site's pages, by their suffix."""
    shared, own = _folder(_SHARED), _folder(frontend.package)
    scripts = [shared.joinpath(f"{name}.js") for name in _SHARED_SCRIPTS] + [own.joinpath(f"{name}.js") for name in frontend.scripts]
    # In a function, so that no name of ours meets any other script's.
    script = '"use strict";\n(() => {\n' + "\n".join(part.read_text("utf-8") for part in scripts) + "})();\n"
    styles = [shared.joinpath("base.css"), own.joinpath(f"{frontend.style}.css")]
    return {
        "js": script.encode(),
        "css": "\n".join(part.read_text("utf-8") for part in styles).encode(),
        "svg": shared.joinpath("icon.svg").read_bytes(),
    }


def asset_files(frontend: Frontend, folder: str) -> dict[str, bytes]:
    """Return the files that a site's pages in a folder need, by their keys."""
    return {frontend.asset_key(folder, data, suffix): data for suffix, data in assets(frontend).items()}


def render(frontend: Frontend, template: str, folder: str, **values: Any) -> bytes:
    """Return a page of a site; its files are in `folder`, as seen from the page."""
    names = {suffix: frontend.asset_key(folder, data, suffix) for suffix, data in assets(frontend).items()}
    return _templates(frontend.package).get_template(template).render(asset=names, **values).encode()


def _folder(package: str) -> Traversable:
    return resources.files(package).joinpath("page")


@functools.cache
def _templates(package: str) -> Environment:
    loader = ChoiceLoader([PackageLoader(package, "page"), PackageLoader(_SHARED, "page")])
    return Environment(
        loader=loader, autoescape=select_autoescape(["html.jinja"]), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
