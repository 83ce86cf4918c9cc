"""Numbers as scripts: pages from file:// may load scripts, but may not read files."""

import json
import re
from typing import Any

from pydantic import BaseModel

from diamond_cutter.storage import Corrupt

# As as_script writes it: ASCII, so that $ and . mean what they seem to.
_SCRIPT = re.compile(rb"diamondCutter\.take\(\.\.\.(\[[^<\n\x80-\xff]*\])\);\n")


def as_script(name: str, data: BaseModel) -> bytes:
    """Return a script that hands numbers over to the page that loads it, under a name that the page
    knows.
    """
    # All of it in ASCII and without <, so that no name means anything to whatever reads the file.
    arguments = json.dumps(
        [name, data.model_dump(mode="json")], separators=(",", ":"), allow_nan=False
    ).replace("<", "\\u003c")
    return f"diamondCutter.take(...{arguments});\n".encode()


def read_script(script: bytes) -> tuple[str, Any]:
    """Return the name and the numbers that a script hands over; it can be nothing else that a
    browser would run.

    Raises:
        Corrupt: it is not such a script.
    """
    found = _SCRIPT.fullmatch(script)
    try:
        name, data = json.loads(found[1], parse_constant=_refused) if found else (None, None)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"A script of numbers cannot be read: {error}.") from error
    if not isinstance(name, str):
        raise Corrupt(
            "A script of numbers is none: it is not one call that hands over a name and what goes "
            "by it."
        )
    return name, data


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")
