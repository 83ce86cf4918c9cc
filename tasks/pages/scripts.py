"""Write and read data as scripts, because pages from file:// cannot read other files."""

import json
import re
from typing import Any

from pydantic import BaseModel

from diamond_cutter.storage import Corrupt

# The form that `as_script` writes, in ASCII.
_SCRIPT = re.compile(rb"diamondCutter\.take\(\.\.\.(\[[^<\n\x80-\xff]*\])\);\n")


def as_script(name: str, data: BaseModel) -> bytes:
    """Return a script that passes data to its page, under a name that the page knows."""
    # ASCII without <, so that names have no meaning to any reader of the file.
    arguments = json.dumps(
        [name, data.model_dump(mode="json")], separators=(",", ":"), allow_nan=False
    ).replace("<", "\\u003c")
    return f"diamondCutter.take(...{arguments});\n".encode()


def read_script(script: bytes) -> tuple[str, Any]:
    """Return the name and the data of a script, and reject any other code.

    Raises:
        Corrupt: the script does not have the form that `as_script` writes.
    """
    found = _SCRIPT.fullmatch(script)
    try:
        name, data = json.loads(found[1], parse_constant=_refused) if found else (None, None)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"Data script is not valid JSON: {error}.") from error
    if not isinstance(name, str):
        raise Corrupt("Data script is not valid: expected one call with a name and data.")
    return name, data


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
