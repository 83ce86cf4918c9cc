"""Write how a report is cited."""

import re

_SPECIAL = re.compile(r"[\\{}%&$#_^~]")


def bibtex(report: str, title: str, note: str, version: str) -> str:
    """Return the BibTeX entry of a report.

    Args:
        report: key of the report, such as `cut@1a2b3c4d`.
        title: of the report.
        note: the images and models.
        version: of Diamond Cutter.
    """
    fields = {"title": title, "howpublished": f"Diamond Cutter {version}", "note": note}
    lines = [f"  {name} = {{{_escaped(text)}}}" for name, text in fields.items()]
    return f"@misc{{{report.replace('@', '-')},\n" + ",\n".join(lines) + "\n}"


def _escaped(text: str) -> str:
    """Replace the characters that have a meaning to TeX by spaces or escapes."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}" if found[0] in "%&$#_" else " ", text)
