"""A small page with every part that all pages share."""

from pathlib import Path

from PIL import Image

from diamond_cutter.tasks.pages.frontend import Frontend, asset_files, render

SAMPLE = Frontend(
    "tests.browser.sample",
    ("sample",),
    ("sample",),
    lambda folder, data, suffix: f"{folder}sample.{suffix}",
)


def write_sample(folder: Path) -> None:
    """Write the page and its files into a folder."""
    folder.mkdir(parents=True)
    (folder / "index.html").write_bytes(render(SAMPLE, "sample.html.jinja", ""))
    for key, data in asset_files(SAMPLE, "").items():
        (folder / key).write_bytes(data)
    Image.new("RGB", (40, 20), "teal").save(folder / "picture.png")
