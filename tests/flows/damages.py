"""What may become of a file in a bucket that anybody can write to."""

from collections.abc import Callable, Mapping

DAMAGES: Mapping[str, Callable[[bytes], bytes | None]] = {
    "cut": lambda data: data[: len(data) // 2],
    "hostile": lambda data: b"<!doctype html><script>alert(1)</script></html>",
    "of the same length": lambda data: b"x" * len(data),
    "deleted": lambda data: None,
}
