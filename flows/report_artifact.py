"""The Markdown of a report's artifact, which Prefect's pages show: the finding and a picture."""

import base64
import re
import shlex
from collections.abc import Sequence
from urllib.parse import quote

from diamond_cutter.flows.attribution_summary import ReportSummary
from diamond_cutter.storage import Bucket, Corrupt, NotFound
from diamond_cutter.tasks.reporting.contents import ReportContents
from diamond_cutter.tasks.reporting.preview import preview

_GCS = "gs://"
_CONSOLE = "https://console.cloud.google.com/storage/browser/"


def report_markdown(bucket: Bucket, summary: ReportSummary, contents: ReportContents) -> str:
    """Return the finding, a picture, the verdicts, the summary and the way to the page."""
    picture = _picture(bucket, summary.key, contents)
    parts = [
        f"## {escaped(summary.finding or summary.explained)}",
        *([picture] if picture else []),
        "\n".join(f"- {escaped(image.caption)}" for image in contents.annotated),
        _table(*summary.table()),
        *map(escaped, (*summary.advice(), *summary.in_words())),
        _way_to(bucket.url, summary),
    ]
    return "\n\n".join(filter(None, parts))


def escaped(text: str) -> str:
    """Escape text for Markdown: layers and files may have any name."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~-])", r"\\\1", text).replace("\n", " ")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [map(escaped, head), ["---"] * len(head), *(map(escaped, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _picture(bucket: Bucket, folder: str, contents: ReportContents) -> str | None:
    try:
        picture = preview(bucket, folder, contents)
    except (Corrupt, NotFound):
        return None
    if picture is None:
        return None
    # Prefect's pages show no picture of a bucket that needs a login, but one in the text itself.
    return f"![annotated images](data:image/webp;base64,{base64.b64encode(picture).decode()})"


def _way_to(url: str, summary: ReportSummary) -> str:
    """Return a link that opens in a browser, or the command that shows a local bucket.

    A browser opens no local file from a page of a server.
    """
    if url.startswith(_GCS):
        folder = quote(f"{url.removeprefix(_GCS)}/{summary.key}".rstrip("/"))
        return f"[The report in the bucket]({_CONSOLE}{folder})"
    command = shlex.join(["diamond-cutter", "open", summary.key, "--bucket", url])
    return f"To open the report on the machine of the bucket, run `{_code(command)}`."


def _code(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")
