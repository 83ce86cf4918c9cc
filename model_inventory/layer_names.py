"""Shortens names of layers that are too long for the names of files."""

import hashlib
import re
from urllib.parse import quote

# A bucket allows 200 characters. Others than letters, digits and these become three for each byte.
_LONGEST, _PLAIN = 190, "_@+,.-"
_KEPT = 40
_SHORTENED = re.compile(rf".{{1,{_KEPT}}}\.\.\.[0-9a-f]{{8}}", re.DOTALL)


def short_name(name: str) -> str:
    """Return the name of a layer, or the beginning of a long one with a hash of the whole name."""
    if len(quote(name, safe=_PLAIN)) <= _LONGEST:
        return name
    beginning = name[:_KEPT]
    while len(quote(beginning, safe=_PLAIN)) > _LONGEST - 11:
        beginning = beginning[:-1]
    return f"{beginning}...{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def is_shortened(name: str) -> bool:
    """Tell whether a name looks as if it came from `short_name`, and not unchanged."""
    return _SHORTENED.fullmatch(name) is not None
