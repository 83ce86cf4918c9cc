"""Shortens names of layers that are too long for the names of files."""

import hashlib
import re
from urllib.parse import quote

# A bucket allows 200 characters. Others than letters, digits and these become three each.
_LONGEST, _PLAIN = 190, "_@+,.-"
_SHORTENED = re.compile(r".*\.\.\.[0-9a-f]{8}", re.DOTALL)


def short_name(name: str) -> str:
    """Return the name of a layer, the end of a long one replaced by a hash of the whole name."""
    if _length(name) <= _LONGEST:
        return name
    ending = f"...{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    kept = ""
    for letter in name:
        if _length(kept + letter + ending) > _LONGEST:
            break
        kept += letter
    return kept + ending


def is_shortened(name: str) -> bool:
    """Tell whether a name came from `short_name`, and not unchanged."""
    return _SHORTENED.fullmatch(name) is not None and _length(name) > _LONGEST - 12


def _length(name: str) -> int:
    """Return the length of a name in which other letters are written as hexadecimal bytes."""
    return len(quote(name, safe=_PLAIN))
